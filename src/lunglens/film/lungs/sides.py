"""Which lung is the left one."""

import numpy as np

from lunglens.film.morphology import label
from lunglens.film.preprocess import Mask


def lung_sides(fields: Mask) -> tuple[Mask, Mask]:
    """The patient's (left, right) lung: regions by the side of the film their centre lies on, right lung on the left.

    One region that spans both sides is cut at the column of its own centre.
    """
    labels, count = label(fields)
    if count == 0:
        return np.zeros_like(fields), np.zeros_like(fields)
    columns = np.arange(fields.shape[1])
    middle = _middle(fields)
    if count == 1 and _spans_both_sides(fields):
        return fields & (columns >= middle), fields & (columns < middle)
    if count == 1:
        middle = fields.shape[1] / 2  # a single lung says nothing of where the chest's middle is
    of_region, at = labels[fields], np.flatnonzero(fields) % fields.shape[1]
    centres = np.bincount(of_region, at)[1:] / np.bincount(of_region)[1:]
    on_right = np.concatenate([[False], centres >= middle])[labels]
    return fields & on_right, fields & ~on_right


def _middle(fields: Mask) -> float:
    columns = np.flatnonzero(fields.any(axis=0))
    return float(columns[0] + columns[-1]) / 2 + 0.5


def _spans_both_sides(fields: Mask) -> bool:
    return bool(np.ptp(np.flatnonzero(fields.any(axis=0))) > 0.45 * fields.shape[1])
