"""Aligning pairs of small views by scale and shift along each axis, many pairs at once.

The correlation is raised by Gauss-Newton steps (Evangelidis & Psarakis 2008, "ECC", for an axis-parallel warp). Such a
warp is separable, so that a whole block of pairs is resampled by two matrix products.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
BLOCK = 128  # pairs at a time: their gradients stay within tens of MB
_SMALLEST_OVERLAP = 0.4  # of the view: less cannot tell one film from another
_LARGEST_STEP, _LARGEST_SHIFT, _LARGEST_SCALE = 0.08, 0.4, 1.5


def flatten(views: Floats, sigma: float) -> Floats:
    """Views (n, side, side) in 0..255 without local brightness and contrast, so that only structure is compared."""
    blur = ndimage.gaussian_filter1d(np.eye(views.shape[-1], dtype=np.float32), sigma, axis=0)  # faster as a product
    detail = views - blur @ views @ blur.T
    spread = np.sqrt(np.maximum(blur @ (detail * detail) @ blur.T, 0))
    return np.asarray(detail / (spread + 5), np.float32)  # 5 of 255: noise of an even area stays small


def shrink(views: Floats, side: int) -> Floats:
    """Views (n, k * side, k * side) -> (n, side, side), the mean of k x k pixels."""
    factor = views.shape[-1] // side
    return np.asarray(views.reshape(-1, side, factor, side, factor).mean((2, 4), dtype=np.float32))


def identity(count: int) -> Floats:
    """Warps (count, 4) that change nothing: scale x, shift x, scale y, shift y, in coordinates from -1 to 1."""
    return np.tile(np.array([1, 0, 1, 0], np.float32), (count, 1))


def warp(views: Floats, warps: Floats, field: float = 1.0) -> Floats:
    """What lies at scale * x + shift for x in -field..field; beyond the edge, the edge is repeated."""
    side = views.shape[-1]
    x = field * _centres(side)
    across = _weights(np.clip(_places(warps[:, :2], x), 0, side - 1), side)
    down = _weights(np.clip(_places(warps[:, 2:], x), 0, side - 1), side)
    return np.asarray(down @ views @ across.transpose(0, 2, 1), np.float32)


def between(first: Floats, second: Floats) -> Floats:
    """The warp from each first film to its second, from the warps of both to a common frame."""
    scale = second[:, ::2] / first[:, ::2]
    shift = second[:, 1::2] - scale * first[:, 1::2]
    return np.stack([scale[:, 0], shift[:, 0], scale[:, 1], shift[:, 1]], 1)


def align(fixed: Floats, moving: Floats, start: Floats, steps: int) -> tuple[Floats, Floats]:
    """Warps (n, 4) under which `moving` resembles `fixed` most, and the correlations reached, -1..1.

    Args:
        fixed, moving: flattened views (n, side, side).
        start: warps (n, 4) to begin with.
        steps: Gauss-Newton steps; the best warp on the way is returned.
    """
    slopes = tuple(np.gradient(moving, axis=axis) for axis in (1, 2))
    warps, best_warps = start.copy(), start.copy()
    best = np.full(len(fixed), -1, np.float32)
    for step in range(steps + 1):
        products = _products(fixed, moving, slopes, warps)
        reached = _correlation(products, fixed.shape[-1] ** 2)
        better = reached > best
        best[better], best_warps[better] = reached[better], warps[better]
        if step < steps:
            warps = _bounded(warps + np.clip(_step(products), -_LARGEST_STEP, _LARGEST_STEP))
    return best_warps, best


def in_blocks(count: int, work: Callable[[slice], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """`work` on slices of 0..count by as many threads as there are cores; its two results, each in one array."""
    slices = [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
    if not slices:
        return identity(0), np.zeros(0, np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(work, slices))
    return np.concatenate([first for first, _ in results]), np.concatenate([second for _, second in results])


def _products(fixed: Floats, moving: Floats, slopes: tuple[Floats, ...], warps: Floats) -> Floats:
    """Inner products (n, 7, 7) over the overlap of: one, moved, fixed, and how the moved changes by each parameter."""
    side = fixed.shape[-1]
    x = _centres(side)
    columns, rows = _places(warps[:, :2], x), _places(warps[:, 2:], x)
    across, down = _weights(columns, side).transpose(0, 2, 1), _weights(rows, side)
    inside = _inside(rows, side)[:, :, None] * _inside(columns, side)[:, None, :]
    moved = down @ (moving @ across)
    by_y = down @ (slopes[0] @ across) * (side / 2) * inside
    by_x = down @ (slopes[1] @ across) * (side / 2) * inside
    parts = [inside, moved * inside, fixed * inside, by_x * x, by_x, by_y * x[:, None], by_y]
    stack = np.stack(parts, 1).reshape(len(fixed), 7, -1)
    return np.asarray(stack @ stack.transpose(0, 2, 1), np.float32)


def _moments(products: Floats) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Over the overlap: variance of the moved, of the fixed, and their covariance, each times its pixels."""
    pixels = np.maximum(products[:, 0, 0], 1)
    moved, fixed = products[:, 0, 1], products[:, 0, 2]
    return (
        products[:, 1, 1] - moved**2 / pixels,
        products[:, 2, 2] - fixed**2 / pixels,
        products[:, 1, 2] - moved * fixed / pixels,
    )


def _correlation(products: Floats, area: int) -> Floats:
    moved, fixed, both = _moments(products)
    reached = both / np.sqrt(np.maximum(moved * fixed, 1e-9))
    return np.asarray(np.where(products[:, 0, 0] < _SMALLEST_OVERLAP * area, -1, reached), np.float32)


def _step(products: Floats) -> Floats:
    """Least squares of fixed = offset + gain * (moved + change by the parameters), slightly damped."""
    moved, _, both = _moments(products)
    gain = np.clip(both / np.maximum(moved, 1e-6), 0.2, 5)
    unknowns = [0, 1, 3, 4, 5, 6]
    scale = np.ones((len(products), 6))
    scale[:, 2:] = gain[:, None]
    normal = products[:, unknowns][:, :, unknowns] * scale[:, :, None] * scale[:, None]
    normal += np.eye(6) * (1e-3 * normal + 1e-4)
    right = products[:, unknowns, 2] * scale
    return np.asarray(np.linalg.solve(normal, right[..., None])[:, 2:, 0], np.float32)


def _bounded(warps: Floats) -> Floats:
    warps[:, ::2] = np.clip(warps[:, ::2], 1 / _LARGEST_SCALE, _LARGEST_SCALE)
    warps[:, 1::2] = np.clip(warps[:, 1::2], -_LARGEST_SHIFT, _LARGEST_SHIFT)
    return warps


def _centres(side: int) -> Floats:
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1).astype(np.float32)


def _places(scale_and_shift: Floats, x: Floats) -> Floats:
    """Pixel coordinates (n, side) of scale * x + shift."""
    return np.asarray((scale_and_shift[:, :1] * x + scale_and_shift[:, 1:] + 1) * (len(x) / 2) - 0.5, np.float32)


def _weights(places: Floats, side: int) -> Floats:
    """Matrices (n, places, side) of linear interpolation."""
    distance = np.abs(places[..., None] - np.arange(side, dtype=np.float32))
    return np.asarray(np.maximum(1 - distance, 0), np.float32)


def _inside(places: Floats, side: int) -> Floats:
    return ((places >= 0) & (places <= side - 1)).astype(np.float32)
