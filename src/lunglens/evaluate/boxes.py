"""Heat-maps against boxes that radiologists drew round opacities (RSNA's challenge, Shih et al. 2019)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.evaluate.heat import inside, inside_summary, pointing, pointing_summary
from lunglens.film.preprocess import Floats, Mask

RSNA_SIDE = 1024  # px, of the films that the boxes are given on
NAMES = ("Image Index", "patientId")  # the film: as NIH calls it, or as RSNA does
SIDES = ["x", "y", "width", "height"]

Boxes = NDArray[np.float64]


def read_boxes(path: Path) -> dict[str, Boxes]:
    """Stem of a film's name -> its boxes (n, 4): left, top, width, height as shares 0..1 of the film's sides.

    Args:
        path: RSNA's `stage_2_train_labels.csv` (patientId, x, y, width, height; a film without boxes has a line of
            blanks, and is not in the result), or the same by NIH's names (Image Index).

    Raises:
        DataError: the file is missing, or is not in this layout.
    """
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=dict.fromkeys(NAMES, str))
        name = next(name for name in NAMES if name in table)
        table = table[[name, *SIDES]].dropna().astype(dict.fromkeys(SIDES, float))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        wanted = f"{' or '.join(NAMES)}, {', '.join(SIDES)}"
        raise DataError(f"{path}: no table of boxes ({error!r}); it needs the columns {wanted}") from error
    corners = table[["x", "y"]].to_numpy() + table[["width", "height"]].to_numpy()
    wrong = (table[SIDES] < 0).any(axis=1) | (corners > RSNA_SIDE).any(axis=1)
    if wrong.any():
        raise DataError(f"{path}: {table.loc[wrong, name].iloc[0]}: a box that is not within {RSNA_SIDE} px")
    stems = table[name].map(lambda film: Path(film).stem.lower())
    return {str(stem): boxes[SIDES].to_numpy(float) / RSNA_SIDE for stem, boxes in table.groupby(stems)}


def boxes_mask(boxes: Boxes, size: int) -> Mask:
    """(size, size) bool: the pixels whose centre lies in one of the boxes (n, 4), shares as `read_boxes` gives them."""
    centres = (np.arange(size) + 0.5) / size
    left, top, width, height = boxes.T[:, :, None]
    rows = (top <= centres) & (centres < top + height)
    columns = (left <= centres) & (centres < left + width)
    return np.asarray((rows[:, :, None] & columns[:, None, :]).any(axis=0))


def in_boxes(heat: Floats, boxes: Boxes, region: Mask) -> tuple[float, float, bool | None]:
    """Does the heat (h, w) of a whole film lie in its boxes (n, 4)?

    Args:
        heat: >= 0.
        boxes: as `read_boxes` gives them.
        region: (S, S) the lung region of the film, in which heat may lie.

    Returns:
        the share (0..1) of the film's heat in the boxes, NaN where there is no heat; the share of the region that they
        cover, which evenly spread heat would have, NaN where there is no region; whether the hottest pixel is in one,
        None where there is no heat.
    """
    drawn = boxes_mask(boxes, len(region))
    area = float((drawn & region).sum() / region.sum()) if region.any() else float("nan")
    return inside(heat, drawn)[0], area, pointing(heat, drawn)[0]


def boxes_agreement(
    heat_shares: NDArray[np.float64],
    area_shares: NDArray[np.float64],
    hits: Sequence[bool | None],
    groups: NDArray[Any],
    seed: int = 0,
) -> dict[str, Any]:
    """`in_boxes` over films, (N,) each, with 95 % bootstrap intervals by group.

    Films without a region are left out.

    Returns:
        `evaluate.heat.inside_summary` of the shares, with `hottest_pixel`, its `pointing_summary`: chance is a pixel of
        the region drawn at random.
    """
    known = np.flatnonzero(~np.isnan(area_shares))
    area, of = area_shares[known], groups[known]
    found = inside_summary(heat_shares[known], area, of, seed)
    return found | {"hottest_pixel": pointing_summary([hits[int(at)] for at in known], area, of, seed)}
