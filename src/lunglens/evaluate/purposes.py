"""Thresholds for a purpose, chosen on a run's own films, and what they cost on films that it was never trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lunglens.evaluate.classification import external_tables
from lunglens.evaluate.operating_point import chosen_threshold, operating_points
from lunglens.evaluate.predictions import EXTERNAL, cross_validated

SHARE = 0.95
PURPOSES = {
    "rule out": f"a sensitivity of {SHARE}",
    "balanced": "the largest sum of sensitivity and specificity",
    "rule in": f"a specificity of {SHARE}",
}


def threshold_of_sensitivity(films: pd.DataFrame, classes: Sequence[str], share: float = SHARE) -> float:
    """The largest threshold that calls this share of the first class's films, each of its sources weighing the same."""
    scores, reached = _ranked(films[films["class"] == classes[0]], classes, ascending=False)
    return float(scores[reached >= share - 1e-9][0])


def threshold_of_specificity(films: pd.DataFrame, classes: Sequence[str], share: float = SHARE) -> float:
    """The least threshold below which this share of the other films lies, each of their sources weighing the same."""
    scores, reached = _ranked(films[films["class"] != classes[0]], classes, ascending=True)
    return float(np.nextafter(scores[reached >= share - 1e-9][0], np.inf))


def purpose_rows(predictions: pd.DataFrame, classes: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """By purpose: its threshold, and sensitivity and specificity there on own films and on pairs never trained on.

    Args:
        predictions: of a run; as `read_predictions` gives them.
        classes: the two; the first is positive.
        seed: of the bootstrap.

    Returns:
        rows of purpose, threshold and `rows`, see `operating_points`; none where the run's own films lack a class.
    """
    inside = cross_validated(predictions)
    if set(inside["class"]) != set(classes):
        return []
    thresholds = {
        "rule out": threshold_of_sensitivity(inside, classes),
        "balanced": chosen_threshold(inside, classes),
        "rule in": threshold_of_specificity(inside, classes),
    }
    tables = {"out of fold": inside}
    external = external_tables(predictions[predictions["fold"] == EXTERNAL], classes)
    tables |= {f"never trained on: {films}": rows for films, rows in external.items()}
    return [
        {"purpose": purpose, "threshold": round(at, 4), "rows": operating_points(tables, classes, at, seed)}
        for purpose, at in thresholds.items()
    ]


def _ranked(films: pd.DataFrame, classes: Sequence[str], *, ascending: bool) -> tuple[Any, Any]:
    """Scores in order, and the weight up to each; every source weighs the same."""
    ranked = films.sort_values(f"p_{classes[0]}", ascending=ascending)
    weight = 1 / ranked.groupby("source")["source"].transform("size").to_numpy(float)
    return ranked[f"p_{classes[0]}"].to_numpy(float), weight.cumsum() / weight.sum()
