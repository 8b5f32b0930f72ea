"""T10: what changes in a film that changes nothing in the lungs must not change the answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.evaluate.audit.record import AuditTest
from lunglens.evaluate.audit.verdict import level
from lunglens.evaluate.heat import mean_with_interval
from lunglens.evaluate.predictions import THRESHOLD, Floats

_FLIPS = {"doubt": 0.1, "shortcut": 0.25}


def counterfactual_test(before: Floats, after: Mapping[str, Floats], groups: NDArray[Any], seed: int) -> AuditTest:
    """T10: probabilities of the first class of the same films, as they are and after each edit.

    Args:
        before: (N,).
        after: edit -> (N,).
        groups: (N,) whose film it is.
        seed: of the bootstrap.
    """
    rows: list[dict[str, Any]] = []
    for name, scores in after.items():
        flipped = ((scores >= THRESHOLD) != (before >= THRESHOLD)).astype(np.float64)
        share, interval = mean_with_interval(flipped, groups, seed)
        moved = scores - before
        rows.append(
            {
                "edit": name,
                "flipped": share,
                "flipped_95_ci": interval,
                "median_change": round(float(np.median(np.abs(moved))), 4),
                "mean_shift": round(float(moved.mean()), 4),
            }
        )
    worst = max(rows, key=lambda row: row["flipped"] or 0.0)
    return AuditTest(
        test="T10",
        name="Edits that leave the lungs as they are",
        what=f"share of decisions that flip when the film is edited: {worst['edit']}",
        number=worst["flipped"],
        interval=worst["flipped_95_ci"],
        verdict=level(worst["flipped"] or 0.0, _FLIPS),
        sentence=f"The worst edit ({worst['edit']}) flips {worst['flipped']:.0%} of {len(before)} decisions and moves "
        f"the probability by {worst['median_change']:.2f} (median).",
        rows=tuple(rows),
    )
