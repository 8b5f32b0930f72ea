"""Probabilities made to mean what they say: by one temperature, or by a monotone curve; two classes.

Fitted where every source x class weighs the same, on films that the model was not trained on, and judged elsewhere: a
correction learned on seen hospitals need not hold on others.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from lunglens.evaluate.calibration import brier_parts, calibration
from lunglens.evaluate.predictions import EXTERNAL, Floats, cross_validated

Curve = Callable[[Floats], Floats]
_EDGE = 1e-6  # probabilities of 0 and 1 have no logit


def temperature(said: Floats, so: Floats, weight: Floats) -> float:
    """T by which logits are divided so that the weighted log loss is least (Guo et al. 2017, arXiv:1706.04599).

    Args:
        said: (N,) probability of the first class. so: (N,) 1 where it is. weight: (N,) of the films.
    """

    def loss(log_temperature: float) -> float:
        right = np.clip(cooled(said, float(np.exp(log_temperature))), _EDGE, 1 - _EDGE)
        return -float((weight * (so * np.log(right) + (1 - so) * np.log1p(-right))).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 5), method="bounded").x))


def cooled(said: Floats, temperature: float) -> Floats:
    """Probabilities whose logits are divided by a temperature.

    >>> cooled(np.array([0.5, 0.9]), 2.0)
    array([0.5 , 0.75])
    """
    kept = np.clip(said, _EDGE, 1 - _EDGE)
    return np.asarray(1 / (1 + (1 / kept - 1) ** (1 / temperature)), np.float64)


def curves_of(films: pd.DataFrame, classes: Sequence[str]) -> dict[str, Curve]:
    """Corrections by name, fitted on rows of predictions: temperature, isotonic regression."""
    from sklearn.isotonic import IsotonicRegression

    said, so = _said(films, classes), np.asarray(films["class"] == classes[0], np.float64)
    weight = balanced(films)
    degree = temperature(said, so, weight)
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, so, weight)
    return {
        f"temperature {degree:.2f}": lambda given: cooled(given, degree),
        "isotonic": lambda given: np.asarray(curve.predict(given), np.float64),
    }


def balanced(films: pd.DataFrame) -> Floats:
    """(N,) weights that sum to 1 and make every source x class weigh the same."""
    weight = 1 / films.groupby(["source", "class"])["class"].transform("size").to_numpy(float)
    return np.asarray(weight / weight.sum(), np.float64)


def calibration_rows(predictions: pd.DataFrame, classes: Sequence[str]) -> list[dict[str, Any]]:
    """What probabilities are worth as they are and corrected: over the folds, and on films never trained on.

    A fold is corrected by what was fitted on the other folds, films never trained on by what was fitted on all.

    Returns:
        a row a set of films and correction: films, n, how, ece, brier, and the parts of the Brier score.
    """
    inside = cross_validated(predictions)
    if set(inside["class"]) != set(classes):
        return []
    rows = _rows("cross-validated", inside, _said(inside, classes), _of_other_folds(inside, classes), classes)
    curves = curves_of(inside, classes)
    external = predictions[predictions["fold"] == EXTERNAL]
    if set(external["class"]) == set(classes):
        said = _said(external, classes)
        after = {name: curve(said) for name, curve in curves.items()}
        rows += _rows("never trained on", external, said, after, classes)
    return rows


def _of_other_folds(inside: pd.DataFrame, classes: Sequence[str]) -> dict[str, Floats]:
    after = {"temperature": np.full(len(inside), np.nan), "isotonic": np.full(len(inside), np.nan)}
    for fold in set(inside["fold"]):
        tested = (inside["fold"] == fold).to_numpy()
        learned = inside[~tested]
        if set(learned["class"]) != set(classes):
            return {}
        said = _said(inside[tested], classes)
        for name, curve in curves_of(learned, classes).items():
            after[name.split()[0]][tested] = curve(said)
    return after


def _rows(
    films: str, table: pd.DataFrame, said: Floats, after: dict[str, Floats], classes: Sequence[str]
) -> list[dict[str, Any]]:
    so = (table["class"] == classes[0]).to_numpy()
    found = []
    for how, answered in {"as answered": said, **after}.items():
        measured = calibration(np.where(so, 0, 1), np.stack([answered, 1 - answered], axis=1))
        row = {"films": films, "n": len(table), "how": how, "ece": measured.ece, "brier": measured.brier}
        found.append(row | vars(brier_parts(answered, so)))
    return found


def _said(films: pd.DataFrame, classes: Sequence[str]) -> Floats:
    return films[f"p_{classes[0]}"].to_numpy(np.float64)
