"""Whether probabilities mean what they say: expected calibration error, Brier score and its parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    rows = reliability(said, so)
    ece = sum(row.n * abs(row.said - row.so) for row in rows) / len(said)
    return Calibration(round(ece, 4), round(brier, 4))


@dataclass(frozen=True)
class Bin:
    """Films of about one probability: how many, what is said of them in the mean, and the share that is so."""

    n: int
    said: float
    so: float


def reliability(said: Floats, so: Floats | NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """Films in order of their probability (N,), in bins of equally many; so: (N,) whether it is.

    Films of one probability have no order: where a bin ends among them, each side has their mean.
    """
    levels = np.unique(said, return_inverse=True)[1]
    so = (np.bincount(levels, so) / np.bincount(levels))[levels]
    parts = [rows for rows in np.array_split(np.argsort(said, kind="stable"), bins) if len(rows)]
    return [Bin(len(rows), float(said[rows].mean()), float(so[rows].mean())) for rows in parts]


@dataclass(frozen=True)
class BrierParts:
    """Of the Brier score: reliability - resolution + uncertainty (Murphy 1973, J. Appl. Meteorology 12:595-600).

    reliability: what wrong probabilities cost, 0 where they are right. resolution: what telling films apart earns.
    uncertainty: of always saying the share. Exact where all films of a bin have one probability.
    """

    reliability: float
    resolution: float
    uncertainty: float


def brier_parts(said: Floats, so: NDArray[np.bool_], bins: int = BINS) -> BrierParts:
    """The parts of the Brier score of probabilities (N,) of one class, in bins of equally many."""
    share, rows = float(so.mean()), reliability(said, so, bins)
    wrong = sum(row.n * (row.said - row.so) ** 2 for row in rows) / len(said)
    told = sum(row.n * (row.so - share) ** 2 for row in rows) / len(said)
    return BrierParts(round(wrong, 4), round(told, 4), round(share * (1 - share), 4))
