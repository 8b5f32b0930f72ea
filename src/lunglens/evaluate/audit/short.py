"""T12, first part: shortcut testing (ShorT, Brown et al. 2023, doi:10.1038/s41467-023-39902-7), by source.

The same small network is taught to keep the source in its features, or to drop it. Where it serves sources less alike
the more it knows of them, the source is a shortcut; where that does not follow, the gap has other causes.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from scipy.stats import spearmanr

from lunglens.evaluate.audit.record import AuditTest, Verdict, not_done
from lunglens.evaluate.audit.verdict import level
from lunglens.evaluate.predictions import THRESHOLD
from lunglens.evaluate.subgroups import FEWEST

NAME = "Shortcut testing (ShorT): source taught and untaught"
_FOLLOWS = 0.8  # rank correlation from which on the gap follows the source
_RANGE = {"doubt": 0.05, "shortcut": 0.15}


def source_gap(predictions: pd.DataFrame, classes: Sequence[str]) -> float | None:
    """Largest difference, among films of one class, of the share called rightly in one source and in another.

    None where no class has two sources of ten films.
    """
    called = predictions[f"p_{classes[0]}"] >= THRESHOLD
    right = called == (predictions["class"] == classes[0])
    gaps = []
    for _, films in right.groupby(predictions["class"]):
        of_source = films.groupby(predictions["source"]).agg(["mean", "size"])
        shares = of_source.loc[of_source["size"] >= FEWEST, "mean"]
        if len(shares) > 1:
            gaps.append(float(shares.max() - shares.min()))
    return round(max(gaps), 4) if gaps else None


def short_test(points: Sequence[dict[str, Any]]) -> AuditTest:
    """From one small training a scale: how the gap between sources goes with what the features know of them.

    Args:
        points: scale; told, AUROC of the source by the features; gap; auroc of the class.
    """
    known = [point for point in points if point["told"] is not None and point["gap"] is not None]
    if len(known) < 4:
        return not_done("T12", NAME, "No class has films of two sources to tell apart, or the network has no features.")
    told, gap = [point["told"] for point in known], [point["gap"] for point in known]
    rank = float(spearmanr(told, gap).statistic) if len(set(told)) > 1 and len(set(gap)) > 1 else 0.0
    spread = max(gap) - min(gap)
    verdict: Verdict = level(spread, _RANGE) if rank >= _FOLLOWS else "clear"
    follows = "follows" if rank >= _FOLLOWS else "does not follow"
    return AuditTest(
        test="T12",
        name=NAME,
        what="rank correlation, over the scales, of what features know of the source and the gap between sources",
        number=round(rank, 4),
        verdict=verdict,
        sentence=f"Features name the source with an AUROC of {min(told):.2f} to {max(told):.2f}; the gap between "
        f"sources, {min(gap):.2f} to {max(gap):.2f}, {follows} it.",
        rows=tuple(known),
    )
