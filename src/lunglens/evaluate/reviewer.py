"""What reviewers ask of a classifier of two classes beside AUROC and accuracy, with intervals by patient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.evaluate.classification import auc, external_tables
from lunglens.evaluate.intervals import bootstrap_draws, interval
from lunglens.evaluate.paired import AurocDifference, auroc_difference
from lunglens.evaluate.predictions import EXTERNAL, THRESHOLD, Floats, cross_validated, groups_of
from lunglens.evaluate.severity import weighted_kappa

FIXED = (("sensitivity", 0.90), ("sensitivity", 0.95), ("specificity", 0.95))
_DIGITS = 4


def auroc_by_delong(positive: NDArray[np.bool_], score: Floats, groups: NDArray[Any]) -> AurocDifference | None:
    """AUROC with DeLong's interval, the films of a group taken together, and p against guessing.

    That of the difference to a score that is the same for all films, whose AUROC is 0.5 without error.

    Args:
        positive: (N,) true for films of the positive class.
        score: (N,).
        groups: (N,) whose film it is.

    Returns:
        None with fewer than two groups of a class.
    """
    above = auroc_difference(positive, score, np.zeros(len(score)), groups)
    if above is None:
        return None
    bounds = None if above.ci is None else [round(min(max(end + 0.5, 0), 1), 6) for end in above.ci]
    return AurocDifference(round(above.value + 0.5, 6), bounds, above.p)


def at_fixed(positive: NDArray[np.bool_], score: Floats, what: str, share: float) -> float:
    """What is left of the one where a threshold keeps the other at a share: of `what` "sensitivity" the sensitivity.

    With "sensitivity" the threshold is the lowest whose specificity is at least `share`; with "specificity" the highest
    whose sensitivity is. NaN where a class is missing.

    >>> at_fixed(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.5, 0.1]), "sensitivity", 0.95)
    0.5
    """
    ours, others = (positive, ~positive) if what == "sensitivity" else (~positive, positive)
    if not ours.any() or not others.any():
        return float("nan")
    sign = 1.0 if what == "sensitivity" else -1.0
    mine, theirs = sign * score[ours], np.sort(sign * score[others])
    kept = int(np.ceil(share * len(theirs) - 1e-9))  # so many of the others stay on their side
    return float((mine > theirs[kept - 1]).mean())


def net_benefit(sensitivity: Floats, specificity: Floats, thresholds: Floats, prevalence: float) -> Floats:
    """True positives less false ones, weighed by the odds of the threshold, a patient (Vickers and Elkin 2006).

    Args:
        sensitivity, specificity: (T,) at each threshold.
        thresholds: (T,) probabilities at which one would act, below 1: what a false alarm is worth.
        prevalence: of the positive class among patients.
    """
    odds = thresholds / (1 - thresholds)
    return np.asarray(sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * odds, np.float64)


@dataclass(frozen=True)
class DecisionCurve:
    """thresholds (T,), and the net benefit at each of the model, of calling all positive, and of calling none (0)."""

    thresholds: Floats
    model: Floats
    everyone: Floats


def decision_curve(positive: NDArray[np.bool_], score: Floats, prevalence: float) -> DecisionCurve:
    """Net benefit of acting on a probability of at least the threshold, for thresholds 0.01 ... 0.99."""
    at = np.arange(1, 100) / 100
    called = score[:, None] >= at
    model = net_benefit(called[positive].mean(axis=0), 1 - called[~positive].mean(axis=0), at, prevalence)
    return DecisionCurve(at, model, net_benefit(np.ones(99), np.zeros(99), at, prevalence))


def reviewer_rows(predictions: pd.DataFrame, classes: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """A row a set of films of both classes: films and patients of each, AUROC two ways, fixed points, kappa.

    Args:
        predictions: as `read_predictions` gives them.
        classes: the two; the first is positive.
        seed: of the bootstrap.
    """
    return [_row(words, films, classes, seed) for words, films in _sets(predictions, classes)]


def _sets(predictions: pd.DataFrame, classes: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    inside, external = cross_validated(predictions), predictions[predictions["fold"] == EXTERNAL]
    found = {"cross-validated": inside}
    found |= {f"cross-validated, {source}": films for source, films in inside.groupby("source", sort=True)}
    found |= {f"never trained on: {words}": films for words, films in external_tables(external, classes).items()}
    yield from ((words, films) for words, films in found.items() if films["class"].nunique() == 2)


def _row(words: str, films: pd.DataFrame, classes: Sequence[str], seed: int) -> dict[str, Any]:
    positive = (films["class"] == classes[0]).to_numpy()
    score, groups = films[f"p_{classes[0]}"].to_numpy(float), groups_of(films)
    called = score >= THRESHOLD

    def values(rows: NDArray[np.int64]) -> list[float]:
        kappa = weighted_kappa(positive[rows].astype(np.int64), called[rows].astype(np.int64), 2, 1)
        fixed = [at_fixed(positive[rows], score[rows], what, share) for what, share in FIXED]
        return [auc(positive[rows], score[rows]), *fixed, kappa]

    found: dict[str, Any] = {"films": words, "n": [int(positive.sum()), int((~positive).sum())]}
    found["patients"] = [len(set(groups[side])) for side in (positive, ~positive)]
    names = ["auroc", *(f"{what}_at_{share:.2f}" for what, share in FIXED), "kappa"]
    draws = bootstrap_draws(values, groups, seed)
    for name, value, drawn in zip(names, values(np.arange(len(films))), draws.T, strict=True):
        found[name], found[f"{name}_95_ci"] = round(value, _DIGITS), interval(drawn)
    delong = auroc_by_delong(positive, score, groups)
    found["delong_95_ci"] = None if delong is None or delong.ci is None else [round(end, _DIGITS) for end in delong.ci]
    return found
