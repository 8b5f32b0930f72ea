"""How well predicted lungs agree with masks drawn by people."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.evaluate.intervals import bootstrap
from lunglens.film.preprocess import Mask


def dice(predicted: Mask, truth: Mask) -> float:
    """2 |A and B| / (|A| + |B|), 0..1; two empty masks agree perfectly.

    >>> dice(np.array([True, False]), np.array([True, True]))
    0.6666666666666666
    """
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else 1.0


def share_inside(inner: Mask, outer: Mask) -> float:
    """Share of `inner` that lies in `outer`, 0..1; an empty `inner` lies nowhere (0)."""
    area = int(inner.sum())
    return int((inner & outer).sum()) / area if area else 0.0


def summarize(values: NDArray[np.float64], groups: NDArray[Any], seed: int = 0) -> dict[str, Any]:
    """Mean with its 95 % interval by patient, median, 5th percentile, and the mean of the worst twentieth."""
    ordered = np.sort(values)
    worst = ordered[: max(1, round(len(values) / 20))]
    return {
        "n": len(values),
        "mean": round(float(values.mean()), 4),
        "mean_95_ci": bootstrap(lambda rows: float(values[rows].mean()), groups, seed=seed),
        "median": round(float(np.median(values)), 4),
        "percentile_5": round(float(np.percentile(values, 5)), 4),
        "worst_twentieth_mean": round(float(worst.mean()), 4),
        "minimum": round(float(ordered[0]), 4),
    }
