"""Measures of a two-class classifier, by their definitions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def auc(target: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative (ties half); NaN with one class.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive = np.asarray(target) == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def rates(target: NDArray[Any], called: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, sensitivity TP/(TP+FN), specificity TN/(TN+FP), PPV TP/(TP+FP), NPV TN/(TN+FN); None: undefined."""
    positive = np.asarray(target) == 1
    tp, fn = int((called & positive).sum()), int((~called & positive).sum())
    fp, tn = int((called & ~positive).sum()), int((~called & ~positive).sum())
    return {
        "accuracy": _ratio(tp + tn, len(called)),
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
    }


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


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
