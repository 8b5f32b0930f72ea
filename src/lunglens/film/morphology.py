"""Regions, growth and smoothing of small pictures: the little that a film needs of scipy, a third of the install."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lunglens.film.preprocess import Floats, Mask


def label(mask: Mask) -> tuple[NDArray[np.intp], int]:
    """Number the regions of a mask (H, W), pixels that touch by a side: (labels (H, W), 0 outside, and how many).

    >>> label(np.array([[True, False, True], [True, False, False]]))
    (array([[1, 0, 2],
           [1, 0, 0]]), 2)
    """
    # Runs of pixels, in order, by where they begin and end in the flat picture, whose rows are apart by a column. Those
    # of the row above that a run touches lie beside each other.
    width = mask.shape[1] + 1
    flat = np.pad(mask, ((0, 0), (1, 0))).ravel()
    change = np.flatnonzero(flat[1:] != flat[:-1])
    start, end = change[::2], change[1::2] if len(change) % 2 == 0 else np.append(change[1::2], flat.size - 1)
    first = np.searchsorted(end, start - width, "right")
    touched = np.searchsorted(start, end - width, "left") - first
    run = np.repeat(np.arange(len(start)), touched)
    neighbour = np.arange(len(run)) + np.repeat(first - (np.cumsum(touched) - touched), touched)
    roots, region_of = np.unique(_roots(len(start), run, neighbour), return_inverse=True)
    labels = np.zeros(mask.shape, np.intp)
    labels[mask] = np.repeat(region_of + 1, end - start)
    return labels, len(roots)


def _roots(count: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each of `count` things the lowest of those that it hangs together with, by pairs."""
    root = np.arange(count)
    while True:
        lowest = np.minimum(root[one], root[other])
        lower = root.copy()
        np.minimum.at(lower, root[one], lowest)
        np.minimum.at(lower, root[other], lowest)
        while (lower != (deeper := lower[lower])).any():
            lower = deeper
        if (lower == root).all():
            return root
        root = lower


def grow(mask: Mask, iterations: int) -> Mask:
    """Dilation of (H, W) by a 3x3 kernel, `iterations` times: whether any pixel of a square round each is in."""
    width = 2 * iterations + 1
    for _ in range(2):  # across; turned, down
        counts = np.cumsum(np.pad(mask, ((0, 0), (iterations + 1, iterations))), axis=1, dtype=np.int32)
        mask = np.ascontiguousarray((counts[:, width:] != counts[:, :-width]).T)
    return mask


def close(mask: Mask, iterations: int) -> Mask:
    """Dilation by a 3x3 kernel, `iterations` times, then erosion as often; the picture's edge erodes nothing."""
    padded = np.pad(mask, iterations)
    inside = slice(iterations, -iterations or None)
    return np.asarray(~grow(~grow(padded, iterations), iterations))[inside, inside]


def open_profile(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Grey opening of (N,): peaks narrower than `width`, an odd number, are cut off."""
    for extreme in (np.min, np.max):
        padded = np.pad(values, width // 2, mode="edge")
        values = extreme(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
    return values


def smooth(pictures: Floats, sigma: float, beyond: Literal["edge", "symmetric"] = "symmetric") -> Floats:
    """A Gaussian over the last two axes of (..., H, W), cut off at four standard deviations.

    beyond: how the picture goes on outside: as its last pixel, or as its mirror image.
    """
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for _ in range(2):  # across; turned, down
        padded = np.pad(pictures, [*[(0, 0)] * (pictures.ndim - 1), (reach, reach)], mode=beyond)
        size = pictures.shape[-1]
        across = sum(weight * padded[..., at : at + size] for at, weight in enumerate(weights))
        pictures = np.ascontiguousarray(np.swapaxes(across, -1, -2))
    return pictures
