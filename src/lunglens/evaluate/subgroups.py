"""Whether a classifier of two classes serves all alike: its answers by view, sex, age or severity."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.evaluate.classification import auc
from lunglens.evaluate.compare import holm
from lunglens.evaluate.heat import mean_with_interval
from lunglens.evaluate.intervals import bootstrap, bootstrap_draws
from lunglens.evaluate.predictions import Codes, Floats, groups_of

FEWEST = 10  # films of a class, for a number
UNKNOWN = "not stated"
_AGES = {"under 18": 18, "18 to 39": 40, "40 to 59": 60, "60 to 79": 80, "80 and over": 200}
_P = ("sensitivity_p_holm", "specificity_p_holm")
_TERCILES = ("mild third", "middle third", "severe third")

Levels = Mapping[str, "pd.Series[str]"]


def subgroup_measures(
    predictions: pd.DataFrame, levels: Levels, classes: Sequence[str], threshold: float, seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """AUROC, sensitivity and specificity of every level of every attribute, with 95 % intervals by group.

    Args:
        predictions: as `read_predictions` gives them.
        levels: attribute -> of each row which level; empty where the attribute does not apply.
        classes: the two; the first is positive.
        threshold: of its probability.
        seed: of the bootstrap.

    Returns:
        attribute -> a row a level: level, n (positives, negatives), and the measures; None where a class has fewer than
        10 films. Levels with neither are left out. `sensitivity_p_holm`, `specificity_p_holm`: of the difference to all
        other levels of the attribute, by bootstrap of groups, corrected for all of them together (Holm 1979).
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for attribute, level in levels.items():
        rows = []
        for name in sorted(set(level) - {""}):
            within = (level == name).to_numpy()
            films = predictions[within]
            if films["class"].value_counts().max() >= FEWEST:
                measured = _measures(films, classes, threshold, seed)
                beside = predictions[(level != "").to_numpy()]
                tested = _against_rest(beside, within[(level != "").to_numpy()], classes, threshold, seed)
                rows.append({"level": name} | measured | tested)
        found[attribute] = rows
    _correct([row for rows in found.values() for row in rows])
    return found


def _against_rest(
    films: pd.DataFrame, within: NDArray[np.bool_], classes: Sequence[str], threshold: float, seed: int
) -> dict[str, float | None]:
    """Two-sided p of a level's sensitivity and specificity against those of the other levels."""
    positive = (films["class"] == classes[0]).to_numpy()
    called = films[f"p_{classes[0]}"].to_numpy(float) >= threshold
    groups, found = groups_of(films), dict[str, float | None]()
    for name, side in (("sensitivity", positive), ("specificity", ~positive)):
        right, ours = (called == positive)[side].astype(np.float64), within[side]
        if min(ours.sum(), (~ours).sum()) < FEWEST:
            found[f"{name}_p_holm"] = None
            continue
        draws = bootstrap_draws(partial(_gap, right, ours), groups[side], seed)
        known = draws[~np.isnan(draws)]
        below, above = (known <= 0).mean(), (known >= 0).mean()
        found[f"{name}_p_holm"] = float(min(1.0, max(2 * min(below, above), 1 / len(known))))
    return found


def _gap(right: Floats, ours: NDArray[np.bool_], rows: Codes) -> list[float]:
    inside, others = right[rows][ours[rows]], right[rows][~ours[rows]]
    return [float(inside.mean() - others.mean()) if len(inside) and len(others) else float("nan")]


def _correct(rows: Sequence[dict[str, Any]]) -> None:
    """Holm's correction of all the rows' p values, in their place."""
    places = [(row, name) for row in rows for name in _P if row[name] is not None]
    for (row, name), corrected in zip(places, holm([row[name] for row, name in places]), strict=True):
        row[name] = round(corrected, 4)


def levels_of(films: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """Attributes that a study's manifest states: view, sex, age.

    Args:
        films: view, sex, age_years; empty cells are unknown.
    """
    age = pd.to_numeric(films["age_years"])
    bands = pd.cut(age, [-np.inf, *_AGES.values()], right=False, labels=list(_AGES)).astype(object)
    stated = {"view": films["view"], "sex": films["sex"], "age": bands}
    return {name: column.astype(object).fillna(UNKNOWN).replace("", UNKNOWN) for name, column in stated.items()}


def terciles(sums: "pd.Series[float]") -> "pd.Series[str]":
    """Which third of the scored films one is in, by its severity; "" for a film without score.

    >>> list(terciles(pd.Series([0.0, 1.0, 2.0, 9.0, 10.0, 11.0, None])))[::2]
    ['mild third', 'middle third', 'severe third', '']
    """
    cut = np.nanquantile(sums, [1 / 3, 2 / 3])
    place = np.searchsorted(cut, sums.fillna(0), side="left")
    return pd.Series(np.array(_TERCILES)[place], sums.index, dtype=object).where(sums.notna(), "")


def _measures(films: pd.DataFrame, classes: Sequence[str], threshold: float, seed: int) -> dict[str, Any]:
    positive = (films["class"] == classes[0]).to_numpy()
    score, groups = films[f"p_{classes[0]}"].to_numpy(float), groups_of(films)
    found: dict[str, Any] = {"n": [int(positive.sum()), int((~positive).sum())]}
    found["auroc"] = found["auroc_95_ci"] = None
    if min(found["n"]) >= FEWEST:
        found["auroc"] = round(auc(positive, score), 4)
        found["auroc_95_ci"] = bootstrap(lambda rows: auc(positive[rows], score[rows]), groups, seed)
    right: dict[str, tuple[Any, Floats]] = {
        "sensitivity": (positive, (score >= threshold).astype(np.float64)),
        "specificity": (~positive, (score < threshold).astype(np.float64)),
    }
    for name, (side, called) in right.items():
        enough = side.sum() >= FEWEST
        share = mean_with_interval(called[side], groups[side], seed) if enough else (None, None)
        found[name], found[f"{name}_95_ci"] = share
    return found
