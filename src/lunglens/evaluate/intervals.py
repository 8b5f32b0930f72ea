"""Bootstrap intervals that respect patients."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS = 1000


def bootstrap(
    measure: Callable[[NDArray[np.int64]], float], groups: NDArray[Any], seed: int = 0, repeats: int = REPEATS
) -> list[float] | None:
    """95 % percentile interval of `measure` over whole groups drawn with replacement.

    Args:
        measure: row numbers -> value; NaN where it is not defined for a draw (such draws are left out).
        groups: (N,) the group of each row.

    Returns:
        [low, high], or None if the measure was defined for fewer than half of the draws.
    """
    generator = np.random.default_rng(seed)
    _, codes = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    values = []
    for _ in range(repeats):
        drawn = generator.integers(0, len(members), len(members))
        values.append(measure(np.concatenate([members[index] for index in drawn])))
    defined = np.array(values)[~np.isnan(values)]
    if len(defined) < repeats / 2:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]
