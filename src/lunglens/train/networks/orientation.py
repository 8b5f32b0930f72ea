"""The network that scores how upright a film is, and its training (torch)."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lunglens.film.orientation import ALL_ORIENTATIONS, AS_STORED, Orientation

SIZE = 64
WIDTH = 16
BATCH = 64
PEAK_RATE = 0.01
WEIGHT_DECAY = 0.05


class UprightNet(nn.Module):
    """One score a film: how well it fits the usual display. 45,000 parameters, of which no direction is preset.

    It is asked about all eight orientations of a film, so that mirror images get exactly opposite answers and no
    orientation is favoured. The film is standardised first: brightness and contrast do not count.
    """

    outputs = ("score",)

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(1, width, kernel=5, stride=2),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            *_block(2 * width, 3 * width),
            nn.MaxPool2d(2),
            *_block(3 * width, 4 * width),
            nn.MaxPool2d(2),
        )
        self.drop = nn.Dropout(0.3)
        # It keeps the places apart: where something lies is what tells the orientations apart.
        self.head = nn.Linear(4 * width * (SIZE // 16) ** 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, 64, 64) in 0..1 -> (N,): differences between orientations of one film are log odds."""
        middle = images.mean((2, 3), keepdim=True)
        spread = (images - middle).square().mean((2, 3), keepdim=True).sqrt()
        score: Tensor = self.head(self.drop(self.body((images - middle) / (spread + 1e-3)).flatten(1)))
        return score[:, 0]


def train_upright(films: NDArray[np.uint8], weights: NDArray[np.float64], steps: int, seed: int) -> UprightNet:
    """Learn from upright films alone: each must score above its own mirror image and a turned copy.

    Args:
        films: (N, 64, 64), 0..255, upright and not mirrored.
        weights: (N,), how often each is drawn.
        steps: how many batches are drawn.
        seed: of the weights, the draws and the augmentation.
    """
    torch.manual_seed(seed)
    net = UprightNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    for batch in _batches(torch.from_numpy(films), torch.from_numpy(weights), steps):
        other = Orientation(int(torch.randint(1, 4, ())), mirrored=bool(torch.rand(()) < 0.5))
        ways = [_oriented(batch, way) for way in (AS_STORED, Orientation(mirrored=True), other)]
        scores = net(torch.cat(ways).contiguous(memory_format=torch.channels_last)).reshape(len(ways), -1)
        loss = -torch.log_softmax(scores, 0)[0].mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.inference_mode()
def all_scores(net: UprightNet, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 8): the scores of films (N, 64, 64) after each of `ALL_ORIENTATIONS`."""
    rows = [
        torch.stack([net(_oriented(batch, way)) for way in ALL_ORIENTATIONS], 1)
        for batch in torch.split(torch.from_numpy(films)[:, None].float() / 255, 256)
    ]
    return torch.cat(rows).numpy()


def _oriented(images: Tensor, way: Orientation) -> Tensor:
    """`Orientation.apply` for images (..., H, W)."""
    turned = torch.rot90(images, -way.quarter_turns, (-2, -1))
    return turned.flip(-1) if way.mirrored else turned


def _block(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]


def _batches(films: Tensor, weights: Tensor, steps: int) -> Iterator[Tensor]:
    for _ in range(steps):
        drawn = torch.multinomial(weights, BATCH, replacement=True)
        yield _augmented(films[drawn][:, None].float() / 255)


def _augmented(images: Tensor) -> Tensor:
    """Turned by up to 12 degrees, shifted, scaled, of other gamma, noisy; one in four negative."""
    count = len(images)
    angle, width, height = (_between(count, reach) for reach in (0.2, 0.15, 0.15))
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() * (1 + width), -angle.sin() * (1 + height)
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin() * (1 + width), angle.cos() * (1 + height)
    matrix[:, :, 2] = _between(count, 0.12, 2)
    grid = nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
    images = nn.functional.grid_sample(images, grid, align_corners=False).clamp(0, 1)
    images = images ** _between(count, 0.6, 1, 1, 1).exp()
    images = images + 0.03 * torch.rand(count, 1, 1, 1) * torch.randn_like(images)
    return torch.where(torch.rand(count, 1, 1, 1) < 0.25, 1 - images, images)


def _between(count: int, reach: float, *shape: int) -> Tensor:
    return (2 * torch.rand(count, *shape) - 1) * reach
