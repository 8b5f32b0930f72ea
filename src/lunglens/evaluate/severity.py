"""Brixia scores against Brixia scores: a reader against a reader, a model against either, and against their mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.evaluate.heat import rank_correlation
from lunglens.evaluate.intervals import bootstrap_draws, interval
from lunglens.film.severity import MOST, ZONES

Scores = NDArray[np.float64]
GRADES = int(MOST) + 1
_SUMS = int(MOST) * len(ZONES) + 1


def weighted_kappa(first: NDArray[np.int64], second: NDArray[np.int64], grades: int, power: int) -> float:
    """Cohen's weighted kappa of two raters' grades 0 ... grades - 1 (Cohen 1968, doi:10.1037/h0026256).

    kappa = 1 - sum(w O) / sum(w E): O counts pairs, E is what the raters' own totals give by chance, and w is
    |i - j| / (grades - 1) to the `power` (1: linear, 2: quadratic). NaN where both always give one and the same grade.
    """
    observed = np.zeros((grades, grades))
    np.add.at(observed, (first.ravel(), second.ravel()), 1)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    steps = np.abs(np.subtract.outer(np.arange(grades), np.arange(grades))) / (grades - 1)
    by_chance = (steps**power * expected).sum()
    return float(1 - (steps**power * observed).sum() / by_chance) if by_chance else float("nan")


def measures(first: Scores, second: Scores) -> dict[str, float]:
    """How well two sets of scores (N, 6), 0..3, agree; a kappa rounds zones and sums of both.

    Returns:
        `zone_kappa_linear`, `zone_kappa_quadratic` (grades 0..3), `sum_kappa_linear`, `sum_kappa_quadratic` (0..18),
        `zone_mae`, `sum_mae` (mean absolute difference), `sum_bias` (first less second), `pearson` and `spearman` of
        the sums, `zone_pearson`; NaN where one is not defined.
    """
    sums, difference = (first.sum(axis=1), second.sum(axis=1)), first - second
    kappas = {
        f"{what}_kappa_{name}": weighted_kappa(_rounded(a), _rounded(b), grades, power)
        for what, a, b, grades in (("zone", first, second, GRADES), ("sum", *sums, _SUMS))
        for name, power in (("linear", 1), ("quadratic", 2))
    }
    return kappas | {
        "zone_mae": float(np.abs(difference).mean()),
        "sum_mae": float(np.abs(difference.sum(axis=1)).mean()),
        "sum_bias": float(difference.sum(axis=1).mean()),
        "pearson": _pearson(*sums),
        "spearman": rank_correlation(*sums),
        "zone_pearson": _pearson(first.ravel(), second.ravel()),
    }


def agreement(first: Scores, second: Scores, groups: NDArray[Any], seed: int = 0) -> dict[str, Any]:
    """`measures` of two sets of scores (N, 6), each with its 95 % interval by group, as `<name>_95_ci`.

    Args:
        first, second: (N, 6) zone scores, 0..3.
        groups: (N,) the group (patient) of each film.
        seed: of the bootstrap.

    Returns:
        n, groups, the measures, and `zone_mae_by_zone`.
    """
    draws = bootstrap_draws(lambda rows: list(measures(first[rows], second[rows]).values()), groups, seed)
    found: dict[str, Any] = {"n": len(first), "groups": len(np.unique(groups))}
    for place, (name, value) in enumerate(measures(first, second).items()):
        found[name] = None if np.isnan(value) else round(value, 4)
        found[f"{name}_95_ci"] = interval(draws[:, place])
    by_zone = np.abs(first - second).mean(axis=0)
    return found | {"zone_mae_by_zone": {z: round(float(v), 4) for z, v in zip(ZONES, by_zone, strict=True)}}


def readers_agreement(senior: Scores, junior: Scores, groups: NDArray[Any], seed: int = 0) -> dict[str, Any]:
    """`agreement` of two radiologists, and the films' mean and spread of their mean sum."""
    sums = ((senior + junior) / 2).sum(axis=1)
    spread = {"consensus_sum_mean": round(float(sums.mean()), 3), "consensus_sum_sd": round(float(sums.std(ddof=1)), 3)}
    return agreement(senior, junior, groups, seed) | spread


def confusion(called: Scores, true: Scores) -> NDArray[np.int64]:
    """(4, 4): how often a zone of true grade (row) was called each grade (column), all zones together, rounded."""
    counts = np.zeros((GRADES, GRADES), np.int64)
    np.add.at(counts, (_rounded(true).ravel(), _rounded(called).ravel()), 1)
    return counts


def half_width(called: Scores, true: Scores, level: float = 0.95) -> float:
    """By how much at most the sums (N, 6 zones) missed, for a share `level` of the films (split-conformal quantile)."""
    missed = np.sort(np.abs((called - true).sum(axis=1)))
    rank = int(np.ceil(level * (len(missed) + 1))) - 1
    return float(missed[min(rank, len(missed) - 1)])


def _rounded(scores: Scores) -> NDArray[np.int64]:
    return np.floor(scores + 0.5).astype(np.int64)  # halves upwards, as people do


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
