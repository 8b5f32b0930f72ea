"""What films of the sick have and those of screening have not: opaque lung, collimated edges, tubes, letters.

Everything is drawn by formula at random places, for all chosen films of a batch at once; randomness comes from torch's
global generator. Sizes are shares of the film's side; coordinates are -1..1.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate, max_pool2d, pad

from lunglens.study.config.training import Damage

_LINES = 3  # of a film, at most
_GLYPHS = (2, 6)  # rows of letters, letters of a row
_Draw = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_GRID = 48  # side of the picture that is blurred


def damage(images: Tensor, masks: Tensor, region: Tensor, settings: Damage) -> tuple[Tensor, Tensor]:
    """Damage a batch.

    Opaque lung is drawn on films of the region alone: whether fields leave it out or not, their readers decided film by
    film.

    Args:
        images: (N, 1, S, S), 0..1.
        masks: (N, 1, S, S), 0 or 1.
        region: (N,), True where the mask is the whole lung.
        settings: how often.

    Returns:
        images, 0..1, and masks, which end where the film is collimated.
    """
    images, masks, every = images.clone(), masks.clone(), torch.ones_like(region)
    kinds: tuple[tuple[float, Tensor, _Draw], ...] = (
        (settings.opacity_probability, region, _opaque),
        (settings.line_probability, every, _lined),
        (settings.marker_probability, every, _marked),
        (settings.border_probability, every, _collimated),
    )
    for probability, among, draw in kinds:
        rows = ((torch.rand(len(among), device=among.device) < probability) & among).nonzero()[:, 0]
        if len(rows):
            images[rows], masks[rows] = draw(images[rows], masks[rows])
    return images, masks


def _opaque(images: Tensor, lungs: Tensor) -> tuple[Tensor, Tensor]:
    """Blobs, consolidations, effusions or white lungs, as bright as the tissue beside the lungs; ribs shine through."""
    cloud = _uniform(images, -0.6, 1.6), _uniform(images, 0.08, 0.5)
    blobs = ((_noise(images) - cloud[0]) / cloud[1]).sigmoid()
    covered = torch.where(_uniform(images, 0, 1) < 0.35, _half(lungs), blobs) * _uniform(images, 0.35, 1.0)
    small, within = _small(images), _small(lungs)
    around = max_pool2d(within, 5, 1, 2) - within
    tissue = (small * around).sum((2, 3), keepdim=True) / around.sum((2, 3), keepdim=True).clamp_min(1)
    tissue = tissue * _uniform(images, 0.85, 1.1) + 0.04 * _noise(images)
    inside = covered * _blurred(lungs, 1)
    details = images - _blurred(images, 2)
    return (images + inside * (tissue + 0.4 * details - images)).clamp(0, 1), lungs


def _half(lungs: Tensor) -> Tensor:
    """All on one side of the lungs' centre, or all below a line: a white lung, or an effusion, of any height."""
    x, y = _coordinates(lungs)
    area = lungs.sum((2, 3), keepdim=True).clamp_min(1)
    centre_x, centre_y = ((lungs * axis).sum((2, 3), keepdim=True) / area for axis in (x, y))
    left = torch.where(_uniform(lungs, 0, 1) < 0.5, 1.0, -1.0) * (x - centre_x) / 0.03
    height = centre_y + _uniform(lungs, -0.4, 0.4) + _uniform(lungs, -0.4, 0.4) * (x - centre_x)
    below = (y - height) / _uniform(lungs, 0.02, 0.15)
    kind = _uniform(lungs, 0, 1)
    # One lung, its lower part, or the lower parts of both.
    return torch.where(kind < 0.4, left.sigmoid(), below.sigmoid() * torch.where(kind < 0.8, left.sigmoid(), 1.0))


def _collimated(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Black, white or gray outside a slightly turned rectangle, where nothing is lung."""
    x, y = _coordinates(images)
    turn = _uniform(images, -0.12, 0.12)
    along, across = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
    left, right, top, bottom = (1.05 - _uniform(images, 0, 0.35) for _ in range(4))
    seen = (along > -left) & (along < right) & (across > -top) & (across < bottom)
    kind = _uniform(images, 0, 1)
    shade = torch.where(kind < 0.6, 0.0, torch.where(kind < 0.85, 1.0, _uniform(images, 0, 1)))
    return torch.where(seen, images, shade), masks * seen


def _lined(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Bright lines: a cubic of one coordinate, as it is or with the coordinates exchanged, between two ends."""
    x, y = _coordinates(images)
    for _ in range(_LINES):
        lying = _uniform(images, 0, 1) < 0.4
        along, across = torch.where(lying, x, y), torch.where(lying, y, x)
        bent = [_uniform(images, -most, most) for most in (0.8, 0.5, 0.5, 0.4)]
        place = sum((factor * along**power for power, factor in enumerate(bent)), torch.zeros_like(x))
        slope = sum((power * factor * along ** (power - 1) for power, factor in enumerate(bent) if power), bent[0] * 0)
        distance = (across - place).abs() / (1 + slope**2).sqrt()
        start, end = _uniform(images, -1.5, 0.5), _uniform(images, -0.5, 1.5)
        core = (1 - distance / _uniform(images, 0.006, 0.025)).clamp_min(0).sqrt()
        core = core * ((along > start) & (along < end))
        images = images + (1 - images) * _uniform(images, 0.1, 0.7) * core
    return images, masks


def _marked(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of bright letters (of dots that make none), of any size, anywhere and turned."""
    count, side = len(images), images.shape[-1]
    rows, letters = _GLYPHS
    dots = (torch.rand(count, rows, 5, letters, 3, device=images.device) < 0.6).float()
    dots = dots * (torch.rand(count, rows, 1, letters, 1, device=images.device) < 0.6)  # some letters are missing
    dots = pad(dots, (0, 1, 0, 0, 0, 1)).view(count, 1, rows * 6, letters * 4)
    larger = 2 / _uniform(images, 0.06, 0.3)  # 2 / the height of the rows
    turn = _uniform(images, -0.2, 0.2) + (_uniform(images, 0, 1) < 0.2) * (math.pi / 2)
    cosine, sine = (larger * turn.cos()).flatten(), (larger * turn.sin()).flatten()
    at_x, at_y = _uniform(images, -0.9, 0.9).flatten(), _uniform(images, -0.9, 0.9).flatten()
    linear = torch.stack([cosine / 2, sine / 2, -sine, cosine], 1).view(count, 2, 2)
    shift = -(linear @ torch.stack([at_x, at_y], 1)[..., None])
    grid = affine_grid(torch.cat([linear, shift], 2), [count, 1, side, side], align_corners=False)
    drawn = grid_sample(dots.to(images), grid, mode="bilinear", align_corners=False)
    return images + (_uniform(images, 0.7, 1.0) - images).clamp_min(0) * drawn, masks


def _noise(images: Tensor) -> Tensor:
    """Smooth noise (N, 1, S, S) of about mean 0 and spread 1, in two sizes of waves."""
    count, side = len(images), images.shape[-1]
    coarse, fine = (
        interpolate(torch.randn(count, 1, cells, cells, device=images.device), (side, side), mode="bicubic")
        for cells in (5, 12)
    )
    return 1.2 * coarse + 0.7 * fine


def _small(images: Tensor) -> Tensor:
    return interpolate(images, (_GRID, _GRID), mode="area")


def _blurred(images: Tensor, radius: int) -> Tensor:
    """The mean over a square, twice: nearly a Gaussian; reckoned on the grid, whose cells are the radius' unit."""
    small = _small(images)
    for _ in range(2):
        small = avg_pool2d(small, 2 * radius + 1, 1, radius, count_include_pad=False)
    return interpolate(small, images.shape[-2:], mode="bilinear")


def _coordinates(images: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows of the batch's films, -1..1, (N, 1, S, S) each."""
    axis = torch.linspace(-1, 1, images.shape[-1], device=images.device)
    return axis.expand_as(images), axis[:, None].expand_as(images)


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    """A number a film, (N, 1, 1, 1)."""
    return torch.rand(len(like), 1, 1, 1, device=like.device) * (high - low) + low
