"""Where a classifier of two classes decides, and what it decides rightly there, from a table of probabilities."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.evaluate.heat import mean_with_interval
from lunglens.evaluate.intervals import bootstrap_draws, interval
from lunglens.evaluate.predictions import groups_of

_DIGITS = 4


def chosen_threshold(predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """The first class's probability where sensitivity + specificity is largest; every source x class weighs the same.

    Raises:
        DataError: the films are of one class.

    >>> classes = ["tb", "normal", "normal"]
    >>> table = pd.DataFrame({"class": classes, "source": "clinic", "p_tb": [0.8, 0.6, 0.1]})
    >>> chosen_threshold(table, ["tb", "normal"])
    0.7
    """
    if missing := set(classes) - set(predictions["class"]):
        raise DataError(f"no film of class {', '.join(sorted(missing))} to choose a threshold on")
    weight = 1 / predictions.groupby(["source", "class"])["class"].transform("size").to_numpy(float)
    positive = (predictions["class"] == classes[0]).to_numpy()
    return round(youden_threshold(positive, predictions[f"p_{classes[0]}"].to_numpy(float), weight), _DIGITS)


def operating_points(
    tables: Mapping[str, pd.DataFrame], classes: Sequence[str], threshold: float, seed: int = 0
) -> list[dict[str, Any]]:
    """Sensitivity and specificity at a threshold on some films, with 95 % intervals by group.

    Args:
        tables: words for the films -> rows of predictions; those of one class or of too few patients are left out.
        classes: the two; the first is positive.
        threshold: of its probability.
        seed: of the bootstrap.

    >>> table = pd.DataFrame({"class": ["tb", "normal"] * 20, "p_tb": [0.8, 0.2] * 20})
    >>> table["image_id"] = table["group_id"] = [f"patient {number}" for number in range(40)]
    >>> row, = operating_points({"of the clinic": table}, ["tb", "normal"], 0.5)
    >>> row["sensitivity"], row["n_positive"]
    (1.0, 20)
    """
    rows = []
    for films, table in tables.items():
        positive = (table["class"] == classes[0]).to_numpy()
        called = table[f"p_{classes[0]}"].to_numpy(float) >= threshold
        if len(set(positive)) < 2:
            continue
        shares, bounds = _shares(positive, called), _bounds(positive, called, groups_of(table), seed)
        if None not in bounds:
            counts = {"n_positive": int(positive.sum()), "n_negative": int((~positive).sum())}
            row: dict[str, Any] = {"films": films, **counts}
            for name, share, between in zip(("sensitivity", "specificity"), shares, bounds, strict=True):
                row |= {name: round(share, _DIGITS), f"{name}_95_ci": between}
            rows.append(row)
    return rows


def false_alarms(
    tables: Mapping[str, pd.DataFrame], classes: Sequence[str], threshold: float, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """How often films of the second class are called the first, with 95 % intervals by group.

    Args:
        tables: words for the films -> rows of predictions; those without a film of the second class are left out.
        classes: the two; the first is the one called.
        threshold: of its probability.
        seed: of the bootstrap.

    Returns:
        words -> n, called (films), share and share_95_ci (None for a single patient).
    """
    found: dict[str, dict[str, Any]] = {}
    for films, table in tables.items():
        healthy = table[table["class"] == classes[1]]
        if len(healthy):
            called = healthy[f"p_{classes[0]}"].to_numpy(float) >= threshold
            share, bounds = mean_with_interval(called.astype(float), groups_of(healthy), seed)
            found[films] = {"n": len(healthy), "called": int(called.sum()), "share": share, "share_95_ci": bounds}
    return found


def youden_threshold(target: NDArray[Any], score: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """Threshold where weighted sensitivity + specificity is largest, midway between the neighbouring scores."""
    order = np.argsort(score)[::-1]
    ordered, positive = score[order], (np.asarray(target) == 1)[order]
    gain = np.where(positive, weight[order], 0).cumsum() / weight[np.asarray(target) == 1].sum()
    loss = np.where(positive, 0, weight[order]).cumsum() / weight[np.asarray(target) == 0].sum()
    # Equal scores are called together: only the last of them is a place to cut.
    last_of_ties = np.append(ordered[:-1] != ordered[1:], True)
    best = int(np.argmax(np.where(last_of_ties, gain - loss, -np.inf)))
    below = ordered[min(best + 1, len(ordered) - 1)]
    return float((ordered[best] + below) / 2)


def _bounds(positive: Any, called: Any, groups: Any, seed: int) -> list[list[float] | None]:
    draws = bootstrap_draws(lambda rows: _shares(positive[rows], called[rows]), groups, seed)
    return [interval(draws[:, column]) for column in (0, 1)]


def _shares(positive: Any, called: Any) -> list[float]:
    """Sensitivity and specificity; NaN where there is no such film."""
    parts = (called[positive], ~called[~positive])
    return [float(part.mean()) if len(part) else np.nan for part in parts]
