"""Measures of heat-maps given as arrays: how much of the heat lies in the lungs, and whether it depends on the weights.

Heat is never negative; a map without any heat has no measures (None or NaN) and is counted apart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

from lunglens.evaluate.intervals import bootstrap, bootstrap_draws, interval
from lunglens.film.heatmap import heat_share
from lunglens.film.preprocess import Floats, Mask, resize

_Values = NDArray[np.float64]
_Groups = NDArray[Any]

# Wang et al. 2004 (doi:10.1109/TIP.2003.819861): a Gaussian window of sigma 1.5 in 11 x 11 px, and the two constants.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def inside(heat: Floats, mask: Mask) -> tuple[float, float]:
    """Share (0..1) of the heat (h, w) that lies in the mask (S, S), and the mask's share of the area.

    Heat spread evenly has the same share as the area. The first is NaN where there is no heat.
    """
    share = heat_share(heat, mask)
    return (float("nan") if share is None else share), float(mask.mean())


def inside_summary(heat_shares: _Values, area_shares: _Values, groups: _Groups, seed: int = 0) -> dict[str, Any]:
    """Heat against area inside the mask over films, with 95 % bootstrap intervals by group.

    Args:
        heat_shares, area_shares: (N,) from `inside`, NaN where a film has no heat.
        groups: (N,) the group (patient) of each film.

    Returns:
        n, without_heat; mean heat_share and area_share; `ratio` of these two means (1: as if the heat were spread
        evenly); films_above_area: share of films with more heat in the mask than area. Each with `<name>_95_ci`.
    """
    known = ~np.isnan(heat_shares)
    heat, area = heat_shares[known], area_shares[known]

    def values(rows: NDArray[np.int64]) -> list[float]:
        of_heat, of_area = float(heat[rows].mean()), float(area[rows].mean())
        return [of_heat, of_area, of_heat / of_area if of_area else np.nan, float((heat[rows] > area[rows]).mean())]

    names = ("heat_share", "area_share", "ratio", "films_above_area")
    return {"n": int(known.sum()), "without_heat": int((~known).sum())} | _with_intervals(
        names, values, groups[known], seed
    )


def inside_difference(first: _Values, second: _Values, groups: _Groups, seed: int = 0) -> dict[str, Any]:
    """Paired difference of the heat shares (N,) of two classifiers on the same films, second less first.

    Films where either has no heat are left out.
    """
    known = ~(np.isnan(first) | np.isnan(second))
    difference = (second - first)[known]
    found = _with_intervals(("difference",), lambda rows: [float(difference[rows].mean())], groups[known], seed)
    return {"n": int(known.sum()), **found}


def pointing(heat: Floats, region: Mask) -> tuple[bool | None, float]:
    """Whether the hottest pixel lies in the region (S, S) (pointing game), and the chance of a random pixel to do so.

    The pointing game is that of Zhang et al. 2018 (doi:10.1007/s11263-017-1059-x) without its tolerance: a map is
    coarser than 15 px anyway. Of several hottest pixels the first counts; None where there is no heat.
    """
    fine = resize(heat, *region.shape)
    if float(fine.max()) <= 0:
        return None, float(region.mean())
    return bool(region.ravel()[int(fine.argmax())]), float(region.mean())


def pointing_summary(hits: Sequence[bool | None], chances: _Values, groups: _Groups, seed: int = 0) -> dict[str, Any]:
    """Share of films whose hottest pixel hits, against chance, with 95 % bootstrap intervals by group.

    Args:
        hits, chances: (N,) from `pointing`; films without heat are left out and counted.
        groups: (N,) the group (patient) of each film.
    """
    known = np.array([hit is not None for hit in hits], bool)
    hit = np.array([bool(hit) for hit in hits], float)[known]
    chance = chances[known]

    def values(rows: NDArray[np.int64]) -> list[float]:
        of_hits, by_chance = float(hit[rows].mean()), float(chance[rows].mean())
        return [of_hits, by_chance, of_hits - by_chance]

    names = ("hits", "chance", "above_chance")
    return {"n": len(hit), "without_heat": int((~known).sum())} | _with_intervals(names, values, groups[known], seed)


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's correlation of two maps or vectors of one shape, -1..1, ties with their middle rank.

    NaN where one of them is constant: it has no order to compare.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def ssim(first: Floats, second: Floats) -> float:
    """Mean structural similarity of two maps (h, w) of values 0..1, at most 1 (Wang et al. 2004)."""

    def smooth(values: _Values) -> _Values:
        return ndimage.gaussian_filter(values, _SSIM_SIGMA, radius=_SSIM_RADIUS)

    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = smooth(a), smooth(b)
    variance_a, variance_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    return float((alike / ((mean_a**2 + mean_b**2 + _SSIM_C1) * (variance_a + variance_b + _SSIM_C2))).mean())


def similarity(first: Floats, second: Floats) -> tuple[float, float]:
    """Rank correlation and SSIM of two maps (h, w), each divided by its maximum first; NaN where one has no heat."""
    if first.max() <= 0 or second.max() <= 0:
        return float("nan"), float("nan")
    return rank_correlation(first, second), ssim(first / first.max(), second / second.max())


def weight_dependence(
    trained: Sequence[Floats], randomised: Mapping[str, Sequence[Floats]], groups: _Groups, seed: int = 0
) -> dict[str, Any]:
    """Whether maps depend on the trained weights: the parameter test of Adebayo et al. 2018 (arXiv:1810.03292).

    A map that stays the same when the weights are random shows the film (edges, the lungs' outline), not the model.

    Args:
        trained: N maps (h, w) of the trained classifier.
        randomised: what was randomised ("head", "head and last stage", ...) -> N maps of the same films.
        groups: (N,) the group (patient) of each film.

    Returns:
        A stage each, and `other film`: the trained map against that of the next film of another group, which is how
        much alike maps are that have nothing in common but the way films are taken. Of each: n, mean
        `rank_correlation` and `ssim` with `<name>_95_ci`; None where no pair of maps has any heat.
    """
    partners = _other_films(groups)
    pairs = {name: list(zip(trained, maps, strict=True)) for name, maps in randomised.items()}
    pairs["other film"] = [
        (heat, np.zeros_like(heat) if other is None else trained[other])
        for heat, other in zip(trained, partners, strict=True)
    ]
    return {name: _mean_similarity(maps, groups, seed) for name, maps in pairs.items()}


def mean_with_interval(values: _Values, groups: _Groups, seed: int = 0) -> tuple[float | None, list[float] | None]:
    """Mean of the values (N,) that are no NaN and its 95 % bootstrap interval by group; None where there is none.

    A single group has no interval.
    """
    known = ~np.isnan(values)
    if not known.any():
        return None, None
    kept, of = values[known], groups[known]
    several = len(np.unique(of)) > 1
    return round(float(kept.mean()), 4), bootstrap(lambda rows: float(kept[rows].mean()), of, seed) if several else None


def _mean_similarity(pairs: Sequence[tuple[Floats, Floats]], groups: _Groups, seed: int) -> dict[str, Any]:
    values = np.array([similarity(first, second) for first, second in pairs], np.float64).reshape(-1, 2)
    found: dict[str, Any] = {"n": int((~np.isnan(values)).all(axis=1).sum())}
    for name, column in zip(("rank_correlation", "ssim"), values.T, strict=True):
        found[name], found[f"{name}_95_ci"] = mean_with_interval(column, groups, seed)
    return found


def _other_films(groups: _Groups) -> list[int | None]:
    """For each film the next one, round the end, of another group."""
    n = len(groups)
    steps = [[(at + step) % n for step in range(1, n)] for at in range(n)]
    return [next((other for other in others if groups[other] != groups[at]), None) for at, others in enumerate(steps)]


def _with_intervals(
    names: Sequence[str], values: Callable[[NDArray[np.int64]], Sequence[float]], groups: _Groups, seed: int
) -> dict[str, Any]:
    """Each named value of all rows, and its interval over draws of whole groups; None without any row."""
    if len(groups) == 0:
        return {key: None for name in names for key in (name, f"{name}_95_ci")}
    whole = values(np.arange(len(groups)))
    draws = bootstrap_draws(values, groups, seed) if len(np.unique(groups)) > 1 else None
    found: dict[str, Any] = {}
    for place, name in enumerate(names):
        found[name] = None if np.isnan(whole[place]) else round(float(whole[place]), 4)
        found[f"{name}_95_ci"] = None if draws is None else interval(draws[:, place])
    return found
