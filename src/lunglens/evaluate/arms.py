"""What a classifier of two classes is worth by finding: hospitals it never saw, one collection, films before COVID-19.

A study's classes join findings: "not covid" is healthy, another pneumonia, or tuberculosis. Here they are told apart.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.classification import auc
from lunglens.evaluate.heat import mean_with_interval
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.operating_point import chosen_threshold, operating_points
from lunglens.evaluate.paired import auroc_difference
from lunglens.evaluate.predictions import EXTERNAL, cross_validated, groups_of
from lunglens.evaluate.purposes import threshold_of_sensitivity
from lunglens.evaluate.subgroups import Levels, subgroup_measures

SENSITIVITY = 0.85  # on validation, of every source alike: there the threshold lies
_FEWEST = 10  # films of a side

Measured = dict[str, dict[str, Any]]


def arm_measures(
    predictions: pd.DataFrame,
    validation: pd.DataFrame,
    findings: "pd.Series[str]",
    classes: Sequence[str],
    seed: int,
    levels: Levels | None = None,
) -> dict[str, Any]:
    """Everything that the arms of a training are compared by, with 95 % intervals by group.

    Args:
        predictions: of a run; as `read_predictions` gives them.
        validation: the same of its validation films, by which thresholds are chosen.
        findings: image_id -> finding, such as normal or tuberculosis.
        classes: the two; the first is positive.
        seed: of the bootstrap.
        levels: attribute -> image_id -> level, such as a view (`evaluate.subgroups`).

    Returns:
        `auroc`: films in words -> n (positives, negatives), value, 95_ci. `balanced`: the threshold where sensitivity +
        specificity is largest, and what it does on these films. `threshold`: the one of `SENSITIVITY`. `called`: films
        of one class in words -> n, share called positive by it, 95_ci. `subgroups`: at the balanced threshold, those
        tested out of fold and the external ones apart.
    """
    rows = predictions.assign(finding=predictions["image_id"].map(findings.to_dict()).astype(object).fillna("unknown"))
    pairs = {words: pd.concat(sides, ignore_index=True) for words, sides in _pairs(rows, classes)}
    balanced, threshold = (
        chosen_threshold(validation, classes),
        threshold_of_sensitivity(validation, classes, SENSITIVITY),
    )
    return {
        "auroc": {words: _auroc(both, classes, seed) for words, both in pairs.items()},
        "balanced": {"threshold": balanced, "rows": operating_points(pairs, classes, balanced, seed)},
        "threshold": round(threshold, 4),
        "called": {words: _called(films, threshold, classes, seed) for words, films in _of_one_class(rows, classes)},
        "subgroups": {
            words: subgroup_measures(films, _of_films(levels or {}, films), classes, balanced, seed)
            for words, films in (("tested mixture", cross_validated(rows)), (EXTERNAL, rows[rows["fold"] == EXTERNAL]))
        },
    }


def arm_differences(
    predictions: pd.DataFrame, base: pd.DataFrame, findings: "pd.Series[str]", classes: Sequence[str]
) -> dict[str, Any]:
    """AUROC of a run less that of another on the same films: those of `arm_measures`, tested by patient.

    Returns:
        films in words -> value, 95_ci and p of `paired.auroc_difference`; without those that only one run has, such as
        a mixture that was folded otherwise.

    Raises:
        DataError: they have no films in common.
    """
    score, told = f"p_{classes[0]}", findings.to_dict()
    ours, theirs = (
        {
            words: pd.concat(sides).set_index("image_id", drop=False).sort_index()
            for words, sides in _pairs(run.assign(finding=run["image_id"].map(told).fillna("unknown")), classes)
        }
        for run in (predictions, base)
    )
    found = {}
    for words, films in ours.items():
        if words not in theirs or not films.index.equals(theirs[words].index):
            continue
        first, second = (one[score].to_numpy(float) for one in (films, theirs[words]))
        tested = auroc_difference((films["class"] == classes[0]).to_numpy(), first, second, groups_of(films))
        found[words] = None if tested is None else {"value": tested.value, "95_ci": tested.ci, "p": tested.p}
    if not found:
        raise DataError("the two runs were not tested on the same films, so that they cannot be compared film by film")
    return found


def _of_films(levels: Levels, films: pd.DataFrame) -> Levels:
    return {name: films["image_id"].map(of.to_dict()).fillna("") for name, of in levels.items()}


def _pairs(rows: pd.DataFrame, classes: Sequence[str]) -> Iterator[tuple[str, tuple[pd.DataFrame, pd.DataFrame]]]:
    """Words -> positives and negatives: the tested mixture, within its sources, and external against external ones."""
    inside, external = cross_validated(rows), rows[rows["fold"] == EXTERNAL]
    positive = inside["class"] == classes[0]
    found = [("tested mixture", (inside[positive], inside[~positive]))]
    for source, films in inside.groupby("source", sort=True):
        ours = films[films["class"] == classes[0]]
        others = films[films["class"] != classes[0]]
        found += [
            (f"within {source}, against {finding}", (ours, theirs)) for finding, theirs in others.groupby("finding")
        ]
    for source, ours in external[external["class"] == classes[0]].groupby("source", sort=True):
        for words, theirs in _of_one_class(external[external["class"] != classes[0]], classes):
            found.append((f"{classes[0]} of {source} against {words}", (ours, theirs)))
    yield from ((words, sides) for words, sides in found if min(map(len, sides)) >= _FEWEST)


def _of_one_class(rows: pd.DataFrame, classes: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Words -> films of a finding of a source, positive ones of a source together."""
    finding = rows["finding"].where(rows["class"] != classes[0], classes[0])
    for (source, name), films in rows.groupby(["source", finding], sort=True):
        yield f"{name} of {source}", films


def _auroc(both: pd.DataFrame, classes: Sequence[str], seed: int) -> dict[str, Any]:
    target = (both["class"] == classes[0]).to_numpy(int)
    score = both[f"p_{classes[0]}"].to_numpy(float)
    bounds = bootstrap(lambda drawn: auc(target[drawn], score[drawn]), groups_of(both), seed)
    return {"n": [int(target.sum()), int((1 - target).sum())], "value": round(auc(target, score), 4), "95_ci": bounds}


def _called(films: pd.DataFrame, threshold: float, classes: Sequence[str], seed: int) -> dict[str, Any]:
    called = (films[f"p_{classes[0]}"].to_numpy(float) >= threshold).astype(np.float64)
    share, bounds = mean_with_interval(called, groups_of(films), seed)
    return {"n": len(films), "share": share, "95_ci": bounds}
