"""The cardiothoracic ratio: how wide the heart is against the chest, told from the borders of the lung fields.

Danzer 1919 (Am J Med Sci 157:513): the heart's largest extent to the right and to the left, added, against the largest
inner width of the chest. On a PA film of an adult about one half is held to be normal; on an AP film the heart is
magnified.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lunglens.film.morphology import open_profile
from lunglens.film.preprocess import Mask

_FROM = 0.65  # of the lung's height: above it lie the hila, not the heart
# Of the film's height and width: what is bitten out of a lung's inner border on fewer rows, and deeper, is no heart.
_BITE, _DEEP = 0.08, 0.05

Point = tuple[float, float]


class Cardiothoracic(NamedTuple):
    """Two lines across a displayed film, as shares 0..1 of its width and height.

    heart: (left end, right end) x of the heart, as they lie on the film, and y of each. chest: likewise, on one level.
    """

    heart: tuple[Point, Point]
    chest: tuple[Point, Point]

    @property
    def ratio(self) -> float:
        """Heart against chest, 0..1."""
        return (self.heart[1][0] - self.heart[0][0]) / (self.chest[1][0] - self.chest[0][0])


def cardiothoracic(left: Mask, right: Mask) -> Cardiothoracic | None:
    """From the patient's lung fields (H, W) on a displayed film, without the heart; None where there are not both.

    Between the lungs' inner borders lies the heart down to where it meets the diaphragm: that corner is the place of
    the lower border that lies furthest from the line between the border's height at two thirds of the lung and its
    lowest lateral tip.
    """
    levels = np.flatnonzero(left.any(axis=1) & right.any(axis=1))
    if len(levels) < 3:
        return None
    height, width = left.shape
    outer = np.array([(right[row].argmax(), width - left[row, ::-1].argmax()) for row in levels])
    widest = int((outer[:, 1] - outer[:, 0]).argmax())
    start, end = (float(edge) / width for edge in outer[widest])
    level = (float(levels[widest]) + 0.5) / height
    from_right, from_left = _heart(right[:, ::-1]), _heart(left)  # the right lung lies on the film's left
    heart = (((width - from_right[0]) / width, from_right[1] / height), (from_left[0] / width, from_left[1] / height))
    found = Cardiothoracic(heart, ((start, level), (end, level)))
    return found if 0 < found.ratio < 1 else None


def _heart(lung: NDArray[np.bool_]) -> Point:
    """(x, y), px, of the heart's outermost place at a lung (H, W) whose inner border is on the picture's left."""
    rows = np.flatnonzero(lung.any(axis=1))
    first = int(rows[0] + _FROM * (rows[-1] - rows[0]))
    below = np.arange(first, rows[-1] + 1)
    below = below[lung[below].any(axis=1)]
    inner = np.stack([lung[below].argmax(axis=1), below], axis=1).astype(float)
    columns = np.flatnonzero(lung[first:].any(axis=0))
    lowest = lung.shape[0] - 1 - lung[::-1, columns].argmax(axis=0)
    border = np.concatenate([inner, np.stack([columns, lowest], axis=1)])
    start, tip = inner[0], border[(border[:, 1] + border[:, 0] / 2).argmax()]
    along, away = tip - start, border - start
    corner = border[(along[0] * away[:, 1] - along[1] * away[:, 0]).argmax()]
    whole = open_profile(inner[:, 0], round(_BITE * lung.shape[0]) | 1)
    inner[:, 0] = np.where(inner[:, 0] - whole > _DEEP * lung.shape[1], whole, inner[:, 0])
    above = np.concatenate([inner[inner[:, 1] <= corner[1]], corner[None]])
    x, y = above[above[:, 0].argmax()]
    return float(x), float(y) + 0.5
