"""Bootstrap intervals that respect patients."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS = 1000


def bootstrap(
    measure: Callable[[NDArray[np.int64]], float],
    groups: NDArray[Any],
    seed: int = 0,
    repeats: int | None = None,
    digits: int = 4,
) -> list[float] | None:
    """95 % percentile interval of `measure` over whole groups drawn with replacement.

    Args:
        measure: row numbers -> value; NaN where it is not defined for a draw (such draws are left out).
        groups: (N,) the group of each row.
        seed: of the draws.
        repeats: draws; 1,000 if not given.
        digits: decimals of the interval.

    Returns:
        [low, high], or None if the measure was defined for fewer than half of the draws.

    >>> is_right, patients = np.array([1, 1, 0, 1, 1, 0, 1, 1]), np.array(list("aabbcdef"))
    >>> bootstrap(lambda rows: is_right[rows].mean(), patients, repeats=1000)
    [0.4286, 1.0]
    """
    return interval(bootstrap_draws(lambda rows: [measure(rows)], groups, seed, repeats)[:, 0], digits)


def bootstrap_draws(
    measures: Callable[[NDArray[np.int64]], Sequence[float] | NDArray[np.float64]],
    groups: NDArray[Any],
    seed: int = 0,
    repeats: int | None = None,
) -> NDArray[np.float64]:
    """Several measures of the same draws of whole groups: (repeats, measures); the draws are those of `bootstrap`."""
    generator = np.random.default_rng(seed)
    _, codes = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    drawn = (generator.integers(0, len(members), len(members)) for _ in range(repeats or REPEATS))
    return np.array([measures(np.concatenate([members[index] for index in draw])) for draw in drawn], np.float64)


def interval(values: NDArray[np.float64], digits: int = 4) -> list[float] | None:
    """[2.5th, 97.5th percentile] of the values of a measure over draws; None if more than half of them are NaN."""
    defined = values[~np.isnan(values)]
    if len(defined) < len(values) / 2:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return [round(float(low), digits), round(float(high), digits)]
