"""Copies of a film among others: candidates by fingerprint, each confirmed by correlation after alignment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunglens.study.duplicates.align import Floats, align, between, flatten, identity, in_blocks, shrink
from lunglens.study.duplicates.fingerprint import FINE, Fingerprints, fingerprints
from lunglens.study.duplicates.search import similar_pairs

SAME_FILM = (
    0.8  # correlation of flattened views: of other patients' films next to none reaches it, of copies nearly all
)
_COARSE_SIGMA, _SIGMA = 1.0, 2.0  # px at FINE and of the view: ribs and vessels count, the shape of the chest does not
_LEAST_COARSE = 0.52  # at FINE; two of three candidates end here
_LEAST_BEGUN = 0.5  # after the first steps at full size; other films stay at 0.3 to 0.5


@dataclass(frozen=True, eq=False)
class _NearPairs:
    """pairs (m, 2): row numbers, first < second; distance (m,): 1 - similarity of their fingerprints, 0 = alike;
    correlation (m,): of the flattened views after alignment, SAME_FILM..1."""

    pairs: NDArray[np.int64]
    distance: Floats
    correlation: Floats


@dataclass(frozen=True, eq=False)
class Candidates:
    """pairs (m, 2): row numbers, first < second; similarity (m,) of their fingerprints; start (m, 4): a first warp."""

    pairs: NDArray[np.int64]
    similarity: Floats
    start: Floats


def near_pairs(views: NDArray[np.uint8]) -> _NearPairs:
    """Pairs of views (n, side, side) that show the same film; time grows with n for all but the search (n squared)."""
    if len(views) < 2:
        return _NearPairs(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32))
    prints = fingerprints(views)
    return confirmed(views, prints.sign, candidates(prints))


def candidates(prints: Fingerprints) -> Candidates:
    """Pairs that either kind of fingerprint finds, with the greater similarity and the warp that goes with it."""
    plain, plain_similarity = similar_pairs(prints.plain)
    aligned, aligned_similarity = similar_pairs(prints.aligned)
    starts = [identity(len(plain)), between(prints.warps[aligned[:, 0]], prints.warps[aligned[:, 1]])]
    pairs, similarity = np.concatenate([plain, aligned]), np.concatenate([plain_similarity, aligned_similarity])
    order = np.lexsort((-similarity, pairs[:, 1], pairs[:, 0]))
    pairs, similarity, start = pairs[order], similarity[order], np.concatenate(starts)[order]
    first = np.concatenate([[True], (np.diff(pairs, axis=0) != 0).any(1)])[: len(pairs)]
    return Candidates(pairs[first], similarity[first], start[first])


def confirmed(views: NDArray[np.uint8], sign: Floats, found: Candidates) -> _NearPairs:
    """The candidates whose films correlate once they are aligned; each step is dearer and has fewer pairs left."""
    pairs, similarity, start = found.pairs, found.similarity, found.start
    reached = np.ones(len(pairs), np.float32)
    side = views.shape[-1]
    for size, steps, least in ((FINE, 4, _LEAST_COARSE), (side, 2, _LEAST_BEGUN), (side, 12, SAME_FILM)):
        start, reached = _aligned(_Signed(views, sign), pairs, start, size, steps)
        kept = reached >= least
        pairs, similarity, start, reached = pairs[kept], similarity[kept], start[kept], reached[kept]
    return _NearPairs(pairs, 1 - similarity, reached)


@dataclass(frozen=True, eq=False)
class _Signed:
    """Views, and the sign that gives each the common polarity."""

    views: NDArray[np.uint8]
    sign: Floats

    def flattened(self, rows: NDArray[np.int64], side: int) -> Floats:
        full = side == self.views.shape[-1]
        films = self.views[rows].astype(np.float32) * self.sign[rows, None, None]
        return flatten(films if full else shrink(films, side), _SIGMA if full else _COARSE_SIGMA)


def _aligned(films: _Signed, pairs: NDArray[np.int64], start: Floats, side: int, steps: int) -> tuple[Floats, Floats]:
    def work(part: slice) -> tuple[Floats, Floats]:
        fixed, moving = (films.flattened(pairs[part, column], side) for column in (0, 1))
        return align(fixed, moving, start[part], steps)

    return in_blocks(len(pairs), work)
