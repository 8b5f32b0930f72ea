"""Probabilities made to mean what they say: by one temperature, or by a monotone curve; two classes.

Fitted where every class weighs the same and in it every source, so that they hold where half of the patients have the
first class, on films that the model was not trained on, and judged elsewhere: a
correction learned on seen hospitals need not hold on others.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from lunglens.evaluate.calibration import brier_parts, calibration
from lunglens.evaluate.predictions import EXTERNAL, Codes, Floats, codes_and_scores, cross_validated
from lunglens.film.answer import cooled
from lunglens.film.model_package.record import Calibration

Curve = Callable[[Floats], Floats]
_FEWEST = 20  # films of a class
_BOUNDS = (float(np.log(0.25)), 5.0)  # of log T: that few films were told apart is no reason for still more certainty


def temperature(scores: Floats, truth: Codes, weight: Floats) -> float:
    """T by which logits are divided so that the weighted log loss is least (Guo et al. 2017, arXiv:1706.04599).

    Args:
        scores: (N, K) probabilities. truth: (N,) number of the class. weight: (N,) of the films.
    """
    own = np.arange(len(truth)), truth

    def loss(log_temperature: float) -> float:
        return -float((weight * np.log(cooled(scores, float(np.exp(log_temperature)))[own])).sum())

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))


def calibration_of(films: pd.DataFrame, classes: Sequence[str]) -> Calibration | None:
    """What a package corrects its probabilities by, fitted on films that it was not trained on; None on too few."""
    if films.groupby("class").size().reindex(list(classes), fill_value=0).min() < _FEWEST:
        return None
    truth, scores = codes_and_scores(films, classes)
    degree = round(temperature(scores, truth, balanced(films)), 4)
    return Calibration(temperature=degree, prevalence=0.5 if len(classes) == 2 else None)


def recalibrated(films: pd.DataFrame, classes: Sequence[str], calibration: Calibration) -> pd.DataFrame:
    """Predictions with the probabilities that a package gives out."""
    scores = cooled(codes_and_scores(films, classes)[1], calibration.temperature)
    return films.assign(**{f"p_{name}": column for name, column in zip(classes, scores.T, strict=True)})


def curves_of(films: pd.DataFrame, classes: Sequence[str]) -> dict[str, Curve]:
    """Corrections of the first class's probability by name, fitted on predictions: temperature, isotonic regression."""
    from sklearn.isotonic import IsotonicRegression

    (truth, scores), weight = codes_and_scores(films, classes), balanced(films)
    degree = temperature(scores, truth, weight)
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores[:, 0], truth == 0, weight)
    return {
        f"temperature {degree:.2f}": lambda given: cooled(np.stack([given, 1 - given], axis=1), degree)[:, 0],
        "isotonic": lambda given: np.asarray(curve.predict(given), np.float64),
    }


def balanced(films: pd.DataFrame) -> Floats:
    """(N,) weights that sum to 1 and make every class weigh the same, and in it every source."""
    sources = films.groupby("class")["source"].transform("nunique")
    weight = 1 / (sources * films.groupby(["source", "class"])["class"].transform("size")).to_numpy(float)
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
