"""What is kept of a film to compare it with all others: a hash of its pixels and a small view of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lunglens.film.radiograph import read_radiograph

VERSION = 1  # of what `describe` computes: raise it when the same file would give other bytes
SIDE = 64  # px of the view: as much as a copy at 0.3 of the size still shows
_GRID = 256  # px, where borders are looked for
_FLAT = 0.06  # of the film's contrast: a row whose middle 90 % spans less is border
_SMALLEST = 100  # px of the grid that must be left; less is no film in a border but a nearly empty picture


@dataclass(frozen=True, eq=False)
class Description:
    """pixel_hash: 16 bytes, equal for equal gray pixels in any file format; view: uint8 (SIDE, SIDE), borders cut."""

    pixel_hash: bytes
    view: NDArray[np.uint8]


def describe(path: Path) -> Description:
    """Describe one file.

    Raises:
        LungLensError: it cannot be read as one radiograph.
    """
    pixels = read_radiograph(path).pixels
    return Description(pixel_hash(pixels), small_view(pixels))


def pixel_hash(pixels: NDArray[np.float32]) -> bytes:
    """Hash of the film's size and its gray values at 16 bits, in which 8 bits are exact (times 257)."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.rint(pixels * 65535).astype("<u2").tobytes())
    return digest.digest()


def small_view(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The film without its borders, squashed to a square (several collections are published so), at full contrast."""
    height, width = pixels.shape
    left, top, right, bottom = content_box(pixels)
    box = (left * width, top * height, right * width, bottom * height)
    view = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX, box))
    low, high = float(view.min()), float(view.max())
    return np.rint(255 * (view - low) / max(high - low, 1e-6)).astype(np.uint8)


def content_box(pixels: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) as shares of width and height: the film without even borders of any gray."""
    grid = np.asarray(Image.fromarray(pixels).resize((_GRID, _GRID), Image.Resampling.BOX))
    low, high = np.percentile(grid, (2, 98))
    least = _FLAT * max(float(high - low), 1e-3)
    top, bottom, left, right = 0, _GRID, 0, _GRID
    for _ in range(2):  # a frame's rows show as even only once its columns are gone, and the other way round
        top, bottom = _uneven(grid[:, left:right], top, bottom, least)
        left, right = _uneven(grid[top:bottom].T, left, right, least)
    if min(bottom - top, right - left) < _SMALLEST:
        return 0.0, 0.0, 1.0, 1.0
    # One more pixel, for the border's edge is blurred in a copy that was scaled or compressed.
    inner = (left + (left > 0), top + (top > 0), right - (right < _GRID), bottom - (bottom < _GRID))
    return inner[0] / _GRID, inner[1] / _GRID, inner[2] / _GRID, inner[3] / _GRID


def _uneven(rows: NDArray[np.float32], first: int, last: int, least: float) -> tuple[int, int]:
    """The range of rows within first..last from the first to the last one that is not even."""
    low, high = np.percentile(rows[first:last], (5, 95), axis=1)
    uneven = np.flatnonzero(high - low > least)
    return (first, last) if not len(uneven) else (first + int(uneven[0]), first + int(uneven[-1]) + 1)
