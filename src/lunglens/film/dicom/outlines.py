"""The outline of a mask as closed lines of few points (extra `serve`)."""

import contourpy
import numpy as np
from numpy.typing import NDArray

from lunglens.film.preprocess import Mask

Points = NDArray[np.float64]

MOST_POINTS = 300  # of one line
_TOLERANCE = 1 / 1000  # of the film's longer side: half the side of a pixel of the networks' masks


def outlines(mask: Mask) -> list[Points]:
    """The borders of a mask (H, W): closed lines (N, 2) of (column, row), the first point repeated as the last.

    Coordinates as PS3.3 C.10.5 has them in units of PIXEL: 0, 0 is the outer corner of the first pixel, W, H that of
    the last. No point of a border lies further from its line than half a pixel, 1/1000 of the longer side where that is
    more, or what keeps the line to MOST_POINTS points.

    >>> square = np.zeros((4000, 4000), bool)
    >>> square[1000:3000, 0:2000] = True
    >>> [len(line) for line in outlines(square)], outlines(square)[0].max(axis=0).tolist()
    ([5], [2000.0, 3000.0])
    """
    if not mask.any():
        return []
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    inside = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.float32)  # a frame closes all lines
    traced = contourpy.contour_generator(z=inside).lines(0.5)
    offset, tolerance = np.array([left - 0.5, top - 0.5]), max(0.5, max(mask.shape) * _TOLERANCE)
    return [_simplified(np.asarray(line, np.float64) + offset, tolerance) for line in traced]


def _simplified(line: Points, tolerance: float) -> Points:
    """A closed line without the points that its neighbours tell well enough (Douglas and Peucker 1973)."""
    far = int(np.argmax(np.sum((line - line[0]) ** 2, axis=1)))  # two ends, for a closed line has none
    while True:
        kept = sorted({0, far, len(line) - 1} | _needed(line, 0, far, tolerance))
        kept = sorted({*kept, *_needed(line, far, len(line) - 1, tolerance)})
        if len(kept) <= MOST_POINTS:
            return line[kept]
        tolerance *= 1.5


def _needed(line: Points, first: int, last: int, tolerance: float) -> set[int]:
    """Of the points between two kept ones those that are kept too."""
    found, parts = set[int](), [(first, last)]
    while parts:
        start, end = parts.pop()
        if end - start < 2:
            continue
        between, chord = line[start + 1 : end] - line[start], line[end] - line[start]
        length = float(np.hypot(*chord))
        away = np.hypot(*between.T) if length == 0 else np.abs(between @ (-chord[1], chord[0])) / length
        furthest = int(np.argmax(away))
        if away[furthest] > tolerance:
            middle = start + 1 + furthest
            found.add(middle)
            parts += [(start, middle), (middle, end)]
    return found
