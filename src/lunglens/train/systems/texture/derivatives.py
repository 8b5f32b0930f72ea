"""Descriptors of Gaussian derivatives: LETRIST and oriented basic image features."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from lunglens.train.systems.texture.codes import LEVEL, histogram


class _Derivatives(nn.Module):
    """Gaussian derivatives at one scale, times sigma to their order; kernels reach 3 sigma, the edge is continued."""

    rows: Tensor
    columns: Tensor

    def __init__(self, sigma: int) -> None:
        super().__init__()
        half = 3 * sigma
        x = np.arange(-half, half + 1.0)
        g = np.exp(-(x**2) / (2 * sigma**2))
        g /= g.sum()
        second = (x**2 / sigma**2 - 1) * g
        second -= second.sum() * g  # cut off as it is, it would answer to a uniform picture
        kernels = torch.tensor(np.array([g, x / sigma * g, second]), dtype=torch.float32)
        self.reach = half
        self.register_buffer("rows", kernels[:, None, None, :])
        self.register_buffer("columns", kernels[:, None, :, None])

    def forward(self, gray: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, H, W) -> smooth, x, y, xx, xy, yy, each (N, H, W); x to the right, y down."""
        wide = conv2d(pad(gray, (self.reach,) * 4, mode="replicate"), self.rows)  # 0, x, xx
        plain, slope, bend = (conv2d(wide[:, k : k + 1], self.columns[: 3 - k]) for k in range(3))
        return plain[:, 0], slope[:, 0], plain[:, 1], bend[:, 0], slope[:, 1], plain[:, 2]


class LETRIST(nn.Module):
    """Locally encoded transform features, 413, of Gaussian derivatives at sigma 1, 2, 4 (Song et al. 2018).

    Shape index in 3 levels, gradient g and curvedness d as above twice their mean or not, their ratio in 5 levels. Two
    histograms of two neighbouring scales (3^2 * 2^4 = 144) and one of the ratio at three (5^3 = 125); here the three
    together sum to 1. Divisions by 0 are avoided by adding 0.01 gray levels.
    """

    length = 413

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_Derivatives(sigma) for sigma in (1, 2, 4))

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 413)."""
        shapes, edges, ratios = zip(*(self._levels(scale(gray)) for scale in self.scales), strict=True)
        pairs = [(shapes[k] * 3 + shapes[k + 1]) * 16 + edges[k] * 4 + edges[k + 1] for k in (0, 1)]
        ratio = (ratios[0] * 5 + ratios[1]) * 5 + ratios[2]
        return torch.cat([histogram(pairs[0], 144), histogram(pairs[1], 144), histogram(ratio, 125)], 1) / 3

    def _levels(self, derivatives: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """(N, H, W) shape index 0..2, g and d as two bits, ratio 0..4."""
        _, x, y, xx, xy, yy = derivatives
        g, d = (x**2 + y**2).sqrt(), ((xx - yy) ** 2 + 4 * xy**2).sqrt()
        shape = 0.5 + ((xx + yy) / (d + LEVEL)).atan() / math.pi
        ratio = 2 / math.pi * (d / (g + LEVEL)).atan()
        high = [(one > 2 * one.mean((1, 2), keepdim=True)).long() for one in (g, d)]
        return _level(shape, 3), high[0] * 2 + high[1], _level(ratio, 5)


def _level(share: Tensor, levels: int) -> Tensor:
    """0..1 -> whole numbers 0 ... levels - 1."""
    return (share * levels).long().clamp(0, levels - 1)


class OBIF(nn.Module):
    """Oriented basic image features in columns, 529, at sigma 2 and 4 with epsilon 0.001 (Newell & Griffin 2011).

    Each pixel is flat, a slope (8 directions), a dark or bright blob, a dark or bright line or a saddle (4 directions
    each): 23 symbols, and 23^2 of two scales.
    """

    length = 529

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_Derivatives(sigma) for sigma in (2, 4))

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 529)."""
        fine, coarse = (self._symbols(scale(gray)) for scale in self.scales)
        return histogram(fine * 23 + coarse, 529)

    def _symbols(self, derivatives: tuple[Tensor, ...]) -> Tensor:
        """(N, H, W) numbers 0..22: flat, 8 slopes, dark blob, bright blob, 4 dark lines, 4 bright lines, 4 saddles."""
        smooth, x, y, xx, xy, yy = derivatives
        blob, twist = xx + yy, ((xx - yy) ** 2 + 4 * xy**2).sqrt()
        lines = [(twist + blob) / math.sqrt(2), (twist - blob) / math.sqrt(2)]
        kind = torch.stack([0.001 * smooth, 2 * (x**2 + y**2).sqrt(), blob, -blob, *lines, twist], 1).argmax(1)
        slope = _turn(torch.atan2(y, x), 8)
        line = _turn(torch.atan2(2 * xy, xx - yy), 4)
        first = torch.tensor([0, 1, 9, 10, 11, 15, 19])
        zero = torch.zeros_like(kind)
        which = torch.where(kind == 1, slope, torch.where(kind > 3, line, zero))
        return first[kind] + which


def _turn(angle: Tensor, parts: int) -> Tensor:
    """-pi..pi -> the nearest of so many directions, 0 ... parts - 1."""
    return (angle * (parts / (2 * math.pi))).round().long().remainder(parts)
