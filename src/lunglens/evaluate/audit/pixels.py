"""Tests of the audit on pixels without a network: T3 thumbnails, T6 the mask's shape."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lunglens.evaluate.audit.record import AuditTest
from lunglens.evaluate.audit.verdict import verdict_of_auc
from lunglens.evaluate.guess import told
from lunglens.evaluate.predictions import Codes, Floats
from lunglens.film.preprocess import Mask, resize

SIDES = (8, 16)  # of the thumbnails, px


def thumbnail_test(
    pictures: Mapping[str, Sequence[NDArray[Any]]], target: Codes, folds: NDArray[Any], groups: NDArray[Any], seed: int
) -> AuditTest:
    """T3: a thumbnail shows no pneumonia, but a hospital's framing, exposure and borders.

    Args:
        pictures: words for what is shown -> (N) pictures (H, W), 0..1.
        target, folds, groups, seed: as `told`.
    """
    rows: list[dict[str, Any]] = []
    for words, films in pictures.items():
        for side in SIDES:
            small = np.stack([resize(np.asarray(film, np.float32), side, side).ravel() for film in films])
            found = told(small.astype(np.float64), target, folds, groups, seed, linear=True)
            rows.append({"shown": words, "side_px": side, "auroc": found.auc, "auroc_95_ci": found.interval})
    best = max(rows, key=lambda row: row["auroc"])
    return AuditTest(
        test="T3",
        name="Thumbnail",
        what=f"AUROC of a straight line through {best['side_px']}x{best['side_px']} px of the {best['shown']}",
        number=best["auroc"],
        interval=best["auroc_95_ci"],
        verdict=verdict_of_auc(best["auroc"], best["auroc_95_ci"]),
        sentence=f"{best['side_px']}x{best['side_px']} pixels of the {best['shown']} tell the class with an AUROC of "
        f"{best['auroc']:.3f}.",
        rows=tuple(rows),
    )


def shape_test(masks: Sequence[Mask], target: Codes, folds: NDArray[Any], groups: NDArray[Any], seed: int) -> AuditTest:
    """T6: the outline of the lungs alone, without what is in them."""
    shapes = np.stack([shape_of(mask) for mask in masks])
    found = told(shapes, target, folds, groups, seed)
    return AuditTest(
        test="T6",
        name="The mask's shape alone",
        what="AUROC of trees on areas, box, moments and outline of the lung mask",
        number=found.auc,
        interval=found.interval,
        verdict=verdict_of_auc(found.auc, found.interval),
        sentence=f"The outline of the lungs alone tells the class with an AUROC of {found.auc:.3f}.",
    )


def shape_of(mask: Mask) -> Floats:
    """Of a mask (S, S): share of the film; box; centre; second moments; left share; length of outline; pieces, holes.

    (14,), NaN where there is no lung.
    """
    side = len(mask)
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.full(14, np.nan)
    y, x = rows / side, columns / side
    box = [y.min(), x.min(), y.max(), x.max()]
    moments = [y.var(), x.var(), float(np.cov(y, x)[0, 1]) if len(y) > 1 else 0.0]
    outline = np.count_nonzero(mask & ~ndimage.binary_erosion(mask)) / np.sqrt(len(rows))
    pieces = ndimage.label(mask)[1]
    holes = ndimage.label(~mask)[1]
    left = float((x < 0.5).mean())
    return np.array([len(rows) / side**2, *box, y.mean(), x.mean(), *moments, left, outline, pieces, holes], np.float64)
