"""Short vectors whose inner products say which films may be copies of each other.

A crop moves everything in a film, and vectors that tell films apart do not bear that. So each film is first aligned to
the average film of the set: a copy and its original then lie alike, whatever was cut off.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lunglens.study.duplicates.align import Floats, align, flatten, identity, in_blocks, shrink, warp

COARSE, FINE = 16, 32  # px at which films are aligned to the average
COARSE_SIGMA = 4.0  # px at FINE: wider structures count as brightness
_STARTS = (1.0, 0.85, 1.2)  # scales to begin with: alignment alone reaches about 15 %
_FREQUENCIES = 16  # cosine half-waves along a side; finer ones would not bear what is left of misalignment
_FIELD = 0.85  # of the average film: what most crops still hold
_LEARN_FROM = 2000  # films make the average


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Of n films: warps (n, 4) to the average film, sign (n,) -1 where its polarity is inverted, and two kinds of unit
    vectors (n, d): of the film as it is (`plain`), and of the film aligned (`aligned`)."""

    warps: Floats
    sign: Floats
    plain: Floats
    aligned: Floats


def fingerprints(views: NDArray[np.uint8]) -> Fingerprints:
    """Fingerprints of views (n, side, side); the average film is that of these views."""
    average = _average_film(views[:: -(-len(views) // _LEARN_FROM)])
    sign = np.empty(len(views), np.float32)
    plain, aligned = (np.empty((len(views), len(_weights()[0])), np.float32) for _ in range(2))

    def work(part: slice) -> tuple[Floats, Floats]:
        block = views[part].astype(np.float32)
        coarse, sign[part] = _upright(block, average)
        warps, reached = _to_average(coarse, average)
        block *= sign[part, None, None]
        plain[part] = vectors(block)
        aligned[part] = vectors(warp(block, warps, _FIELD))
        return warps, reached

    warps, _ = in_blocks(len(views), work)
    return Fingerprints(warps, sign, plain, aligned)


def _average_film(views: NDArray[np.uint8]) -> Floats:
    """The mean of flattened views (FINE, FINE), sharpened by aligning them to it twice."""
    films = flatten(shrink(views.astype(np.float32), FINE), COARSE_SIGMA)
    average = np.asarray(films.mean(0), np.float32)
    for _ in range(2):

        def work(part: slice, average: Floats = average) -> tuple[Floats, Floats]:
            warps, _ = _to_average(films[part], average)
            return warps, warp(films[part], warps)

        average = np.asarray(in_blocks(len(films), work)[1].mean(0), np.float32)
    return average


def _to_average(films: Floats, average: Floats) -> tuple[Floats, Floats]:
    """Warps of flattened films (n, FINE, FINE) to the average, and correlations: coarsely from several scales."""
    coarse, coarse_average = shrink(films, COARSE), _repeated(shrink(average[None], COARSE)[0], len(films))
    tries = [align(coarse_average, coarse, identity(len(films)) * _scaled(scale), 10) for scale in _STARTS]
    best = np.argmax([reached for _, reached in tries], axis=0)
    start = np.stack([warps for warps, _ in tries])[best, np.arange(len(films))]
    return align(_repeated(average, len(films)), films, start, 8)


def vectors(views: Floats) -> Floats:
    """Unit vectors (n, d) of views: low cosine frequencies, the higher ones raised because they are weaker in films."""
    rows, columns = np.nonzero(_weights()[1])
    waves = fft.dct(np.eye(views.shape[-1]), axis=0, norm="ortho")[:_FREQUENCIES].astype(np.float32)
    spectrum = (waves @ views @ waves.T)[:, rows, columns] * _weights()[0]
    return np.asarray(spectrum / np.maximum(np.linalg.norm(spectrum, axis=1, keepdims=True), 1e-9), np.float32)


def _weights() -> tuple[Floats, NDArray[np.bool_]]:
    radius = np.hypot(*np.mgrid[:_FREQUENCIES, :_FREQUENCIES])
    used = (radius > 0) & (radius < _FREQUENCIES)
    return np.sqrt(radius[used]).astype(np.float32), used


def _upright(views: Floats, average: Floats) -> tuple[Floats, Floats]:
    """Views flattened at FINE with the average's polarity, and the sign (n,) that gave it to them."""
    films = flatten(shrink(views, FINE), COARSE_SIGMA)
    sign = np.where((films * average).sum((1, 2)) < 0, -1, 1).astype(np.float32)
    return films * sign[:, None, None], sign


def _scaled(scale: float) -> Floats:
    return np.array([scale, 1, scale, 1], np.float32)


def _repeated(film: Floats, count: int) -> Floats:
    return np.broadcast_to(film, (count, *film.shape))
