"""Texture descriptors as fixed torch modules: the same code computes them in training and in the exported graph.

Every one maps (N, 1, H, W) float32 pictures of whole numbers 0..255 to (N, length) shares that sum to 1: a histogram of
the codes of the picture's pixels. Which definition each follows, and what of it is a reading, says its docstring.

What is exactly equal in theory, such as the answers of a filter on a uniform patch, differs by rounding in practice;
a small threshold (`LEVEL`) decides such pixels alike everywhere. Without it uniform parts of films would have noise for
codes.
"""

import math
from importlib.resources import files
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from lunglens.train.systems.texture.codes import LEVEL, histogram
from lunglens.train.systems.texture.derivatives import LETRIST, OBIF

Floats = NDArray[np.float64]


class _Filters(nn.Module):
    """Fixed filters (K, h, w), correlated with the picture under a border: "valid" leaves pixels at the edge out."""

    weight: Tensor

    def __init__(self, filters: Floats, border: str) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(filters[:, None], dtype=torch.float32))
        self.border = border

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, K, H, W)."""
        if self.border != "valid":
            y, x = (side // 2 for side in self.weight.shape[2:])
            gray = pad(gray, (x, x, y, y), mode=self.border)
        return conv2d(gray, self.weight)


class _Bits(nn.Module):
    """Codes of 8 bits: which of 8 filters answer above 0; the histogram of them."""

    length = 256

    def __init__(self, filters: Floats, border: str) -> None:
        super().__init__()
        norms = np.sqrt((filters**2).sum((1, 2), keepdims=True))
        self.filters = _Filters(filters / norms, border)

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 256)."""
        return histogram(_number(self.filters(gray) > LEVEL), 256)


def _number(bits: Tensor) -> Tensor:
    """(N, 8, H, W) bits -> (N, H, W), the first bit counting 1 and the last 128."""
    weights = torch.tensor([1 << bit for bit in range(8)])
    return (bits.long() * weights[:, None, None]).sum(1)


class LBP(nn.Module):
    """Local binary patterns, 59: 8 neighbours at radius 2, uniform, with their direction (Ojala et al. 2002).

    As scikit-image's `local_binary_pattern(picture, 8, 2, "nri_uniform")` to the last bit: bilinear neighbours in
    double precision, black outside, at least as bright counts as 1.
    """

    length = 59
    numbers: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor([_uniform(code) for code in range(256)]))

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 59)."""
        return histogram(self.numbers[_number(torch.stack(self._bits(gray[:, 0].double()), 1))], 59)

    def _bits(self, gray: Tensor) -> list[Tensor]:
        """(N, H, W) -> for each neighbour (N, H, W), whether it is at least as bright."""
        height, width = gray.shape[1:]
        wide = pad(gray, (2, 2, 2, 2))
        bits = []
        for k in range(8):
            y, x = round(-2 * math.sin(k * math.pi / 4), 5), round(2 * math.cos(k * math.pi / 4), 5)
            # The shares are taken from the sums, whose last digits change over the picture, as scikit-image does.
            rows, columns = torch.arange(height).double() + y, torch.arange(width).double() + x
            down, right = (rows - rows.floor())[:, None], columns - columns.floor()
            lines = []
            for row in (math.floor(y) + 2, math.ceil(y) + 2):
                ends = [wide[:, row : row + height, c : c + width] for c in (math.floor(x) + 2, math.ceil(x) + 2)]
                lines.append((1 - right) * ends[0] + right * ends[1])
            bits.append((1 - down) * lines[0] + down * lines[1] - gray >= 0)
        return bits


def _uniform(code: int) -> int:
    """Place of a pattern of 8 bits: 0 all dark, 1-56 one run of bright (by length, then turn), 57 all, 58 the rest."""
    bits = [code >> k & 1 for k in range(8)]
    if sum(bits[k] != bits[k - 1] for k in range(8)) > 2:
        return 58
    ones = sum(bits)
    if ones in (0, 8):
        return 57 if ones else 0
    turn = ones - bits.index(0) if bits[0] else 8 - bits.index(1)
    return 1 + (ones - 1) * 8 + turn


class LPQ(_Bits):
    """Local phase quantisation, 256: signs of four decorrelated Fourier coefficients (Ojansivu & Heikkila 2008).

    Window 7 (a reading: the toolbox offers 3 and 7), correlation of neighbours 0.9; only whole windows count.
    """

    def __init__(self) -> None:
        super().__init__(_lpq_filters(), "valid")


def _lpq_filters(side: int = 7, rho: float = 0.9) -> Floats:
    """(8, side, side): real, then imaginary parts at (a, 0), (0, a), (a, a), (a, -a), a = 1 / side, decorrelated."""
    half = side // 2
    y, x = (axis.ravel() for axis in np.mgrid[-half : half + 1, -half : half + 1])
    waves = [np.exp(-2j * np.pi * (u * x + v * y) / side) for u, v in ((1, 0), (0, 1), (1, 1), (1, -1))]
    basis = np.array([part(wave) for part in (np.real, np.imag) for wave in waves])
    covariance = rho ** np.hypot(x[:, None] - x, y[:, None] - y)
    # Slightly unequal weights, as in the authors' program: coefficients of equal variance have no order else.
    uneven = np.diag(1 + 1e-6 * np.arange(7, -1, -1))
    *_, directions = np.linalg.svd(uneven @ basis @ covariance @ basis.T @ uneven)
    signs = np.sign(directions[np.arange(8), np.abs(directions).argmax(1)])
    return np.asarray((directions * signs[:, None] @ basis).reshape(8, side, side))


class BSIF(_Bits):
    """Binarised statistical image features, 256: signs of 8 independent components, 11x11 (Kannala & Rahtu 2012).

    The published filters have no clear licence; `tools/learn_bsif.py` learned these from scikit-image's photographs.
    The picture is continued at its opposite edge.
    """

    def __init__(self) -> None:
        super().__init__(bsif_filters(), "circular")


def bsif_filters() -> Floats:
    """(8, 11, 11)."""
    return np.asarray(np.load(Path(str(files(__package__))) / "bsif-11x11-8.npy"), np.float64)


class LDN(nn.Module):
    """Local directional number, 56: strongest and weakest of Kirsch's 8 directions (Ramirez Rivera et al. 2013).

    Of equal answers the first is the strongest and the last the weakest (a reading), so that the two always differ.
    The edge is continued.
    """

    length = 56
    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.filters = _Filters(_kirsch(), "replicate")
        # Code 8i + j without those of i = j, which do not occur.
        self.register_buffer("places", torch.tensor([i * 7 + j - (j > i) for i, j in product(range(8), range(8))]))

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 56)."""
        strongest, weakest = self.directions(gray)
        return histogram(self.places[8 * strongest + weakest], 56)

    def directions(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        """(N, H, W) numbers 0..7 of the strongest and the weakest direction, counted from the east by 45 degrees."""
        answers = self.filters(gray)
        return answers.argmax(1), 7 - answers.flip(1).argmin(1)


def _kirsch() -> Floats:
    """(8, 3, 3), each turned 45 degrees against the clock from the one before."""
    ring = [(1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]  # from the east
    masks = np.zeros((8, 3, 3))
    for direction, (place, (row, column)) in product(range(8), enumerate(ring)):
        masks[direction, row, column] = 5 if (place - direction + 1) % 8 < 3 else -3
    return masks


class EQP(nn.Module):
    """Elliptic quinary patterns, 256: 8 neighbours on an ellipse, five levels of difference (Nanni et al. 2010).

    A difference d is coded 2 for d >= 10, 1 for d >= 5, 0 for d >= -5, -1 for d >= -10, else -2; the four levels but 0
    each give a binary pattern. Readings: half-axes 3 across and 2 down, the limits 5 and 10, the mean of the four
    histograms (that is how 256 can come out), a continued edge.
    """

    length = 256

    def __init__(self) -> None:
        super().__init__()
        self.filters = _Filters(_ellipse(3, 2), "replicate")

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 256)."""
        difference = self.filters(gray) + LEVEL
        far, near, little, less = (difference >= limit for limit in (10, 5, -5, -10))
        patterns = (far, near & ~far, less & ~little, ~less)
        return torch.stack([histogram(_number(pattern), 256) for pattern in patterns]).mean(0)


def _ellipse(across: int, down: int) -> Floats:
    """(8, 2 down + 1, 2 across + 1): neighbour (bilinear) minus centre, from the east against the clock."""
    filters = np.zeros((8, 2 * down + 2, 2 * across + 2))
    for k in range(8):
        sine, cosine = round(math.sin(k * math.pi / 4), 12), round(math.cos(k * math.pi / 4), 12)
        radius = across * down / math.hypot(across * sine, down * cosine)
        y, x = down - radius * sine, across + radius * cosine
        top, left = math.floor(y), math.floor(x)
        for row, column in product((0, 1), (0, 1)):
            share = (y - top if row else top + 1 - y) * (x - left if column else left + 1 - x)
            filters[k, top + row, left + column] += share
    filters[:, down, across] -= 1
    return filters[:, :-1, :-1]


DESCRIPTORS: dict[str, type[nn.Module]] = {
    "lbp": LBP,
    "lpq": LPQ,
    "ldn": LDN,
    "letrist": LETRIST,
    "bsif": BSIF,
    "eqp": EQP,
    "obif": OBIF,
}
