"""A film's own values, for a viewer that windows them itself: all bits that are stored, and how they are shown."""

import struct

import numpy as np
from numpy.typing import NDArray

from lunglens.film.finding_record import FindingRecord
from lunglens.film.orientation import Orientation
from lunglens.film.radiograph import Radiograph

_MOST_LEVELS = 2**16
_LONGEST_PX = 4096
_HEAD = "<3I2d"  # width, height, levels, first, step
_INNER = (0.02, 0.98)  # of the gray scale: there a window is told from its film
_EVERY = 4  # th row and column tells how the levels are shown


def stored_bytes(film: Radiograph, record: FindingRecord) -> bytes:
    """The film as it is usually displayed, level by level (docs/reference.md says how the bytes are laid out).

    Args:
        film: with `stored`.
        record: what the analysis has found of it: which way round, and in which polarity, it is shown.
    """
    if film.stored is None:
        raise ValueError("the film was read without its stored values")
    turned = record.orientation
    display = Orientation(turned.turned_degrees_clockwise // 90 % 4, turned.mirrored).apply
    levels, first, step = _levels(film.stored)
    shown = film.pixels if not record.gate.polarity_inverted else 1 - film.pixels
    table = _shown(levels[::_EVERY, ::_EVERY], shown[::_EVERY, ::_EVERY], int(levels.max()) + 1)
    every = -(-max(levels.shape) // _LONGEST_PX)
    pixels = display(levels[::every, ::every])
    head = struct.pack(_HEAD, pixels.shape[1], pixels.shape[0], len(table), first, step)
    return head + table.tobytes() + pixels.astype("<u2").tobytes()


def _levels(stored: NDArray[np.generic]) -> tuple[NDArray[np.int32], float, float]:
    """Values (H, W) -> levels from 0 below `_MOST_LEVELS`, and of level 0 the value, and from one to the next."""
    low, high = float(stored.min()), float(stored.max())
    if stored.dtype.kind in "bui" and high - low < _MOST_LEVELS:
        return stored.astype(np.int32) - np.int32(low), low, 1.0
    step = (high - low) / (_MOST_LEVELS - 1) or 1.0
    return np.rint((stored.astype(np.float64) - low) / step).astype(np.int32), low, step


def _shown(levels: NDArray[np.int32], shown: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(count,) float32: how bright each level is shown, 0..1; beyond black and white as far as a line would go on."""
    films = np.bincount(levels.ravel(), minlength=count)
    present = np.flatnonzero(films)
    bright = np.bincount(levels.ravel(), weights=shown.ravel(), minlength=count)[present] / films[present]
    inner = (bright > _INNER[0]) & (bright < _INNER[1])
    if inner.sum() < 2:
        inner[:] = True
    slope, start = np.polyfit(present[inner], bright[inner], 1) if len(present) > 1 else (0.0, float(bright[0]))
    every = np.arange(count)
    line = slope * every + start
    between = np.interp(every, present, bright)
    beyond = np.where(between <= 0, np.minimum(line, 0), np.where(between >= 1, np.maximum(line, 1), between))
    return np.asarray(beyond, "<f4")
