"""Which pairs of fingerprints are alike: all against all, in blocks of matrix products (time grows with n squared)."""

import numpy as np
from numpy.typing import NDArray

from lunglens.study.duplicates.align import Floats

LEAST = 0.5  # similarity (cosine); crops of a third of the film fall to 0.6
MOST = 5  # pairs a film, the best: all frontal films are alike, so that a limit on similarity alone lets millions in
_ROWS, _COLUMNS = 512, 8192  # a block of 16 MB stays near the processor
_GROUPS = 64


def similar_pairs(vectors: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Pairs (m, 2) of row numbers, first < second, whose similarity is at least LEAST, and the similarities (m,).

    A pair is given where it is among the MOST best of either film: an original has closer neighbours than its crop,
    a crop has none closer than its original.
    """
    found = [_of_rows(vectors, start) for start in range(0, len(vectors), _ROWS)]
    pairs = np.sort(np.concatenate([np.zeros((0, 2), np.int64), *(pairs for pairs, _ in found)]), axis=1)
    values = np.concatenate([np.zeros(0, np.float32), *(similarity for _, similarity in found)])
    _, once = np.unique(pairs[:, 0] * len(vectors) + pairs[:, 1], return_index=True)
    return pairs[once], values[once]


def _of_rows(vectors: Floats, start: int) -> tuple[NDArray[np.int64], Floats]:
    rows = vectors[start : start + _ROWS]
    places: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    least = np.full(len(rows), LEAST, np.float32)
    for column in range(0, len(vectors), _COLUMNS):
        product = rows @ vectors[column : column + _COLUMNS].T
        own = np.arange(max(start, column), min(start + len(rows), column + product.shape[1]))
        product[own - start, own - column] = -1  # a film with itself
        least = np.maximum(least, _reached_by_most(product))
        first, second = np.divmod(np.flatnonzero(product >= least[:, None]), product.shape[1])
        places.append(np.stack([first + start, second + column], 1))
        values.append(product[first, second])
    return _best(np.concatenate(places), np.concatenate(values))


def _reached_by_most(product: Floats) -> Floats:
    """For each row a similarity that at least MOST of its columns reach, so that nearly all others are passed over."""
    width = product.shape[1] // _GROUPS
    if width == 0:
        return np.full(len(product), -1, np.float32)
    maxima = product[:, : width * _GROUPS].reshape(len(product), _GROUPS, width).max(2)
    return np.partition(maxima, _GROUPS - MOST, axis=1)[:, _GROUPS - MOST]


def _best(pairs: NDArray[np.int64], values: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The MOST most similar pairs of each first film."""
    order = np.lexsort((pairs[:, 1], -values, pairs[:, 0]))
    pairs, values = pairs[order], values[order]
    place_in_row = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
    return pairs[place_in_row < MOST], values[place_in_row < MOST]
