"""Whether two classifiers differ in AUROC on the same films, some of which are of the same patient."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from lunglens.evaluate.predictions import Floats

_LEAST_GROUPS = 2
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class AurocDifference:
    """AUROC of the first less that of the second: 95 % interval and two-sided p; both None where nothing varies."""

    value: float
    ci: list[float] | None
    p: float | None


def auroc_difference(
    positive: NDArray[np.bool_], first: Floats, second: Floats, groups: NDArray[Any]
) -> AurocDifference | None:
    """Test by patient: DeLong's, with the films of a group taken together.

    The normal approximation with the variance of Obuchowski 1997 (Biometrics 53:567-578), which is that of DeLong,
    DeLong and Clarke-Pearson 1988 (Biometrics 44:837-845) where every group is one film. A bootstrap of 1,000 draws
    could not tell p-values that are left after a correction for many rows.

    Args:
        positive: (N,) true for films of the positive class.
        first, second: (N,) scores of the two classifiers.
        groups: (N,) whose film it is.

    Returns:
        None with fewer than two groups of a class.
    """
    _, codes = np.unique(groups, return_inverse=True)
    of_positive, of_negative = set(codes[positive]), set(codes[~positive])
    if min(len(of_positive), len(of_negative)) < _LEAST_GROUPS:
        return None
    ahead = _placements(positive, first) - _placements(positive, second)
    value = float(ahead[positive].mean())
    a, b = (
        np.bincount(codes[side], (ahead[side] - value) / side.sum(), codes.max() + 1).astype(np.float64)
        for side in (positive, ~positive)
    )
    variance = _unbiased(a * a, len(of_positive)) + _unbiased(b * b, len(of_negative))
    variance += 2 * _unbiased(a * b, len(of_positive | of_negative))
    if variance <= 0:
        return AurocDifference(round(value, 6), None, None)
    error = math.sqrt(variance)
    ends = [round(value + side * _NORMAL_95 * error, 6) for side in (-1, 1)]
    return AurocDifference(round(value, 6), ends, float(2 * norm.sf(abs(value) / error)))


def _placements(positive: NDArray[np.bool_], score: Floats) -> Floats:
    """Of a positive film the share of negatives that score lower, of a negative one of positives that score higher."""
    ranks = rankdata(score)
    found = np.empty(len(score))
    for side, others in ((positive, ~positive), (~positive, positive)):
        found[side] = (ranks[side] - rankdata(score[side])) / others.sum()
    found[~positive] = 1 - found[~positive]
    return found


def _unbiased(products: Floats, groups: int) -> float:
    return groups / (groups - 1) * float(products.sum())
