"""Zone scores from zone features: one ridge regression for all zones, mirrored films beside the films."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from lunglens.evaluate.severity import Scores
from lunglens.film.severity import MOST
from lunglens.train.severity.features import Features

PENALTIES = tuple(10.0**power for power in range(7))
INNER_FOLDS = 4


@dataclass(frozen=True, eq=False)
class ZoneRidge:
    """Linear scores: of a zone's own features (C,), of the mean of the film's zones (C,), and an offset a zone (6,)."""

    own: NDArray[np.float64]
    shared: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def scores(self, features: Features) -> Scores:
        """(N, 6, C) -> (N, 6), 0..3."""
        shared = features.mean(axis=1) @ self.shared
        return np.asarray(np.clip(features @ self.own + shared[:, None] + self.offsets, 0, MOST), np.float64)


def fit_ridges(
    features: Features,
    scores: Scores,
    penalties: Sequence[float],
    *,
    context: bool = True,
    sums: tuple[Features, NDArray[np.float64]] | None = None,
) -> list[ZoneRidge]:
    """A ridge a penalty, on standardised features; what a zone has without the film is its own mean score.

    Args:
        features: (2, N, 6, C), of the films and of the mirrored films.
        scores: (N, 6), 0..3.
        context: whether the mean of the film's zones counts too.
        sums: more films, whose sum alone is known: their features, and sums 0..18.
    """
    wide = _with_mean(features) if context else features
    base = scores.mean(axis=0)
    rows = wide.reshape(-1, wide.shape[-1]).astype(np.float64)
    targets = np.tile((scores - base).ravel(), len(features))
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    rows = (rows - mean) / scale
    if sums is not None:  # a sum of six errors has six times the variance: such a row counts a sixth
        more = ((_with_mean(sums[0]) if context else sums[0]) - mean) / scale
        rows = np.concatenate([rows, more.sum(axis=2).reshape(-1, rows.shape[1]) / np.sqrt(6)])
        targets = np.concatenate([targets, np.tile(sums[1] - base.sum(), len(features)) / np.sqrt(6)])
    values, vectors = np.linalg.eigh(rows.T @ rows)
    projected = vectors.T @ (rows.T @ targets)
    return [_ridge(vectors @ (projected / (values + penalty)) / scale, mean, base, context) for penalty in penalties]


def inner_errors(
    features: Features, scores: Scores, groups: NDArray[np.str_], seed: int, *, context: bool
) -> NDArray[np.float64]:
    """(penalties,) squared error of zones plus a sixth of that of the sums, over folds by group of these films."""
    found = np.zeros(len(PENALTIES))
    folds = GroupKFold(INNER_FOLDS, shuffle=True, random_state=seed).split(scores, groups=groups)
    for train, test in folds:
        for at, ridge in enumerate(fit_ridges(features[:, train], scores[train], PENALTIES, context=context)):
            missed = ridge.scores(features[0, test]) - scores[test]
            found[at] += float((missed**2).sum() + (missed.sum(axis=1) ** 2).sum() / 6)
    return found


def _with_mean(features: Features) -> Features:
    """(2, N, 6, C) -> (2, N, 6, 2 C): beside each zone the mean of the film's zones."""
    mean = np.broadcast_to(features.mean(axis=2, keepdims=True), features.shape)
    return np.concatenate([features, mean], axis=-1)


def _ridge(
    weights: NDArray[np.float64], mean: NDArray[np.float64], base: NDArray[np.float64], context: bool
) -> ZoneRidge:
    own, shared = np.split(weights, 2) if context else (weights, np.zeros_like(weights))
    return ZoneRidge(own, shared, base - mean @ weights)
