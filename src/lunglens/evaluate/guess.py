"""How well some numbers of a film that show no disease tell its class, out of fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.evaluate.classification import auc
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.predictions import Codes, Floats

REPEATS = 500


@dataclass(frozen=True)
class Told:
    """auc: mean of each class against the rest, pooled over the folds. scores: (N, classes) probabilities."""

    auc: float
    interval: list[float] | None
    scores: Floats


def told(
    features: Floats, target: Codes, folds: NDArray[Any], groups: NDArray[Any], seed: int = 0, *, linear: bool = False
) -> Told:
    """Guess the class of every film from its numbers by what was learned on the other folds.

    Args:
        features: (N, F); NaN is unknown, but for a linear guess.
        target: (N,) number of the class.
        folds: (N,) which fold tests the film; patients are not shared between folds.
        groups: (N,) whose film it is.
        seed: of the bootstrap.
        linear: by logistic regression, for pixels and features of a network; else by boosted trees, for tables.
    """
    from threadpoolctl import threadpool_limits

    scores = np.zeros((len(target), int(target.max()) + 1))
    for fold in np.unique(folds):
        test, train = folds == fold, (folds != fold) & ~np.isin(groups, groups[folds == fold])
        # So small a job is slower on several threads, and a hundred times slower where other work holds a core.
        with threadpool_limits(1):
            model = (_linear() if linear else _trees()).fit(features[train], target[train])
        scores[np.ix_(test, model.classes_)] = model.predict_proba(features[test])
    value = one_against_rest(target, scores)
    bounds = bootstrap(lambda rows: one_against_rest(target[rows], scores[rows]), groups, seed, REPEATS)
    return Told(round(value, 4), bounds, scores)


def one_against_rest(target: Codes, scores: Floats) -> float:
    """Mean AUC of each class against the rest; with two classes both are the same number."""
    classes = range(1, 2) if scores.shape[1] == 2 else range(scores.shape[1])
    return float(np.mean([auc(target == number, scores[:, number]) for number in classes]))


def _trees() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=8, min_samples_leaf=5, class_weight="balanced", early_stopping=False
    )


def _linear() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))
