"""A linear check on the lung network's features: fitted, and judged on patients and places that it has not seen."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from lunglens.evaluate.classification import auc
from lunglens.film.gate.judge import LinearCheck

FOLDS = 5
_FEWEST = 10  # films of a kind, to judge a check on a source


@dataclass(frozen=True, eq=False)
class Samples:
    """Features (N, C) of images, with kind, source and group (patient) of each."""

    features: NDArray[np.float64]
    kind: NDArray[np.str_]
    source: NDArray[np.str_]
    group: NDArray[np.str_]

    def of(self, *kinds: str) -> "Samples":
        """Those of some kinds."""
        return self.rows(np.isin(self.kind, kinds))

    def rows(self, chosen: NDArray[Any]) -> "Samples":
        """Some of them."""
        return Samples(self.features[chosen], self.kind[chosen], self.source[chosen], self.group[chosen])


class Limit(NamedTuple):
    """A threshold that flags this share of a kind of images, out of fold: those of lower, or of higher scores."""

    share: float
    kind: str = "film"
    below: bool = False

    def of(self, scores: NDArray[np.float64], kind: NDArray[np.str_]) -> float:
        """The threshold."""
        return float(np.quantile(scores[kind == self.kind], self.share if self.below else 1 - self.share))


def fit_check(samples: Samples, positive: str, limit: Limit | None, seed: int) -> tuple[LinearCheck, dict[str, Any]]:
    """A check that tells the kind `positive` from the others, and what it flags out of fold.

    Args:
        samples: of two kinds or more; each weighs the same: there are 60 lateral films and thousands of frontal ones.
        positive: the kind of high scores.
        limit: how the threshold is set; None: at 0.5.
        seed: of the folds.

    Returns:
        The check, fitted to all; and a report, out of fold: kind -> n, share flagged; `auroc`: source -> n, value;
        `threshold`, `folds`, `seed`.
    """
    scores = np.zeros(len(samples.kind))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(samples.features, samples.kind, samples.group):
        scores[test] = _scores(_logistic(samples.rows(train), positive), samples.rows(test))
    threshold = 0.5 if limit is None else limit.of(scores, samples.kind)
    flagged = scores < threshold if limit is not None and limit.below else scores >= threshold
    report: dict[str, Any] = {
        str(name): {"n": int(chosen.sum()), "share": round(float(flagged[chosen].mean()), 4)}
        for name in np.unique(samples.kind)
        for chosen in [samples.kind == name]
    }
    report |= {"auroc": _within(samples, positive, scores)}
    report |= {"threshold": round(threshold, 4), "folds": FOLDS, "seed": seed}
    final = _logistic(samples, positive)
    return LinearCheck(final.mean, final.scale, final.weights, final.bias, threshold), report


def elsewhere(samples: Samples, positive: str) -> dict[str, Any]:
    """AUROC on each source that has both kinds, of a check that was fitted without this source."""
    scores = np.full(len(samples.kind), np.nan)
    for source in np.unique(samples.source):
        here, rest = samples.source == source, samples.rows(samples.source != source)
        if len(set(rest.kind)) == len(set(samples.kind)):
            scores[here] = _scores(_logistic(rest, positive), samples.rows(here))
    known = ~np.isnan(scores)
    return _within(samples.rows(known), positive, scores[known])


def _within(samples: Samples, positive: str, scores: NDArray[np.float64]) -> dict[str, Any]:
    """AUROC within each source that has enough of both kinds."""
    found: dict[str, Any] = {}
    for source in np.unique(samples.source):
        here = samples.source == source
        target = samples.kind[here] == positive
        n = [int(target.sum()), int((~target).sum())]
        if min(n) >= _FEWEST:
            found[str(source)] = {"n": n, "value": round(auc(target, scores[here]), 4)}
    return found


def _scores(check: LinearCheck, samples: Samples) -> NDArray[np.float64]:
    return np.array([check.score(row) for row in samples.features])


def _logistic(samples: Samples, positive: str) -> LinearCheck:
    mean, scale = samples.features.mean(0), samples.features.std(0) + 1e-3
    standard = np.clip((samples.features - mean) / scale, -8, 8)
    names, counts = np.unique(samples.kind, return_counts=True)
    weight_of = {name: len(samples.kind) / (len(names) * count) for name, count in zip(names, counts, strict=True)}
    model = LogisticRegression(C=0.02, max_iter=2000)
    model.fit(standard, samples.kind == positive, sample_weight=[weight_of[name] for name in samples.kind])
    return LinearCheck(mean, scale, model.coef_[0], float(model.intercept_[0]), 0.5)
