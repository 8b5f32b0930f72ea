"""Whether probabilities mean what they say: expected calibration error and Brier score."""

from dataclasses import dataclass

import numpy as np

from lunglens.evaluate.predictions import Codes, Floats, calls

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """ece: mean distance of what is said from what is so, 0..1. brier: mean squared error, 0..1, or 0..2."""

    ece: float
    brier: float


def calibration(truth: Codes, scores: Floats) -> Calibration:
    """Calibration of probabilities.

    Of two classes the first one's probability is judged, of more that of the class called. ECE: films in order of that
    probability, in 15 bins of equally many; sum over the bins of their share of the films x |mean probability - share
    of them that are so| (Nixon et al. 2019, arXiv:1904.01685). Brier: mean of (p - y)^2 of the first of two classes, or
    of its sum over the classes.

    Args:
        truth: (N,) number of the true class.
        scores: (N, classes) probabilities.
    """
    size = scores.shape[1]
    if size == 2:
        said, so = scores[:, 0], truth == 0
        brier = float(np.mean((said - so) ** 2))
    else:
        said, so = scores.max(axis=1), calls(scores) == truth
        brier = float(np.mean(((scores - np.eye(size)[truth]) ** 2).sum(axis=1)))
    bins = [rows for rows in np.array_split(np.argsort(said, kind="stable"), BINS) if len(rows)]
    ece = sum(len(rows) * abs(float(said[rows].mean() - so[rows].mean())) for rows in bins) / len(said)
    return Calibration(round(ece, 4), round(brier, 4))
