"""T12, second part: does the decision serve views, sexes and ages alike?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from lunglens.evaluate.audit.record import AuditTest, not_done
from lunglens.evaluate.audit.verdict import level
from lunglens.evaluate.operating_point import chosen_threshold
from lunglens.evaluate.subgroups import FEWEST, levels_of, subgroup_measures

_NAME = "Subgroups"
_GAP = {"doubt": 0.1, "shortcut": 0.2}


class _Gap(NamedTuple):
    """The levels of an attribute that a share is worst and best for; apart: their intervals do not overlap."""

    apart: bool
    size: float
    attribute: str
    share: str
    worst: dict[str, Any]
    best: dict[str, Any]


def subgroups(predictions: pd.DataFrame, films: pd.DataFrame, classes: Sequence[str], seed: int) -> AuditTest:
    """The largest gap between two levels of an attribute.

    Args:
        predictions: out of fold, of two classes.
        films: view, sex, age_years of the same rows.
        classes: the first is positive.
        seed: of the bootstrap.
    """
    threshold = chosen_threshold(predictions, classes)
    found = subgroup_measures(predictions, levels_of(films), classes, threshold, seed)
    rows = tuple({"attribute": attribute, **row} for attribute, levels in found.items() for row in levels)
    gap = max(_gaps(found), key=lambda gap: gap[:2], default=None)
    if gap is None:
        why = f"No attribute has two levels of {FEWEST} films of a class."
        return not_done("T12", _NAME, why).model_copy(update={"rows": rows})
    worst, best = (f"{row[gap.share]:.2f} for {gap.attribute} {row['level']}" for row in (gap.worst, gap.best))
    return AuditTest(
        test="T12",
        name=_NAME,
        what=f"largest gap: {gap.share} by {gap.attribute}",
        number=round(gap.size, 4),
        verdict=level(gap.size, _GAP) if gap.apart else "clear",
        sentence=f"At {threshold:.2f} the {gap.share} is {worst} and {best}"
        + ("." if gap.apart else "; the intervals overlap."),
        rows=rows,
    )


def _gaps(found: Mapping[str, list[dict[str, Any]]]) -> Iterator[_Gap]:
    for attribute, levels in found.items():
        for share in ("sensitivity", "specificity"):
            known = [row for row in levels if row[f"{share}_95_ci"] is not None]
            if len(known) > 1:
                worst, *_, best = sorted(known, key=lambda row: row[share])
                apart = worst[f"{share}_95_ci"][1] < best[f"{share}_95_ci"][0]
                yield _Gap(apart, best[share] - worst[share], attribute, share, worst, best)
