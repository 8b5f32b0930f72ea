"""Heat-maps against the Brixia score: six zones of the lungs, scored by two radiologists.

The score (Borghesi and Maroldi 2020, doi:10.1007/s11547-020-01200-3; public annotations of Signoroni et al. 2021,
doi:10.1016/j.media.2021.102046); `lunglens.film.severity` says what it is.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.evaluate.heat import mean_with_interval, rank_correlation
from lunglens.film.preprocess import Floats, Mask, resize
from lunglens.film.severity import ZONES

READERS = ("S", "J")  # columns S-A ... S-F of the senior and J-A ... J-F of the junior radiologist


def read_brixia(path: Path) -> pd.DataFrame:
    """The mean of both radiologists' scores, 0..3: a row a film, indexed by file name, a column a zone.

    Raises:
        DataError: the file is missing, or is not in its published layout.
    """
    table = read_readers(path)
    return pd.DataFrame({zone: table[[f"{reader}-{zone}" for reader in READERS]].mean(axis=1) for zone in ZONES})


def read_readers(path: Path) -> pd.DataFrame:
    """Each radiologist's scores, 0, 1, 2 or 3: a row a film, indexed by file name, columns S-A ... S-F, J-A ... J-F.

    Raises:
        DataError: the file is missing, or is not in its published layout.
    """
    columns = [f"{reader}-{zone}" for reader in READERS for zone in ZONES]
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", index_col="filename")[columns].astype(float)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: not found; it is public-annotations.csv of the Brixia-score-COVID-19 project"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not in the layout of the public Brixia annotations ({error})") from error
    wrong = table.index[~table.isin([0, 1, 2, 3]).all(axis=1) | table.index.duplicated()]
    if len(wrong):
        raise DataError(f"{path}: {wrong[0]}: two rows, or a score that is not 0, 1, 2 or 3")
    return table


def zone_heat(heat: Floats, zones: list[Mask]) -> NDArray[np.float64]:
    """Mean heat a pixel in each zone, (6,), of a heat-map (h, w) of the whole film: no zone is hot for its size."""
    fine = resize(heat, *zones[0].shape)
    return np.array([fine[zone].mean() for zone in zones], np.float64)


def zone_agreement(
    heat: NDArray[np.float64], scores: NDArray[np.float64], groups: NDArray[Any], seed: int = 0
) -> dict[str, Any]:
    """Does the heat lie where the radiologists scored high? All means are over films, with 95 % intervals by group.

    Films whose six scores, or whose six heats, are all the same have no order and are left out.

    Args:
        heat: (N, 6) from `zone_heat`.
        scores: (N, 6) the zones' scores.
        groups: (N,) the group (patient) of each film.

    Returns:
        n, without_order;
        correlation: mean over films of Spearman's correlation of heat and score over the six zones;
        fixed_pattern: the same with the mean heat of all films of other groups in place of the film's own;
        above_fixed_pattern: the paired difference: whether a map follows its own film;
        usual_zones: the same with the mean score of all films of other groups in place of the heat: what pointing at
        the zones where disease usually lies reaches without looking at the film;
        above_usual_zones: the paired difference: whether the map points better than that;
        hottest: share of films whose hottest zone has the highest score (ties of scores count as hits);
        chance: the same for a zone drawn at random; above_chance: the paired difference. Each with `<name>_95_ci`.
    """
    known = (np.ptp(heat, axis=1) > 0) & (np.ptp(scores, axis=1) > 0)
    found: dict[str, Any] = {"n": int(known.sum()), "without_order": int((~known).sum())}
    heat, scores, groups = heat[known], scores[known], groups[known]
    highest = scores == scores.max(axis=1, keepdims=True)
    hottest = np.take_along_axis(highest, heat.argmax(axis=1)[:, None], axis=1)[:, 0].astype(float)
    own = np.array([rank_correlation(*pair) for pair in zip(heat, scores, strict=True)], np.float64)
    # Shares of heat, so that no strong film outweighs others.
    fixed = _of_others(heat / heat.sum(axis=1, keepdims=True), scores, groups)
    usual = _of_others(scores, scores, groups)
    chance = highest.mean(axis=1)
    per_film = {
        "correlation": own,
        "fixed_pattern": fixed,
        "above_fixed_pattern": own - fixed,
        "usual_zones": usual,
        "above_usual_zones": own - usual,
        "hottest": hottest,
        "chance": chance,
        "above_chance": hottest - chance,
    }
    for name, values in per_film.items():
        found[name], found[f"{name}_95_ci"] = mean_with_interval(values, groups, seed)
    return found


def _of_others(pattern: NDArray[np.float64], scores: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) correlation of each film's scores with the mean pattern (N, 6) of the films of other groups, or NaN."""
    found = np.full(len(scores), np.nan)
    for at, score in enumerate(scores):
        others = pattern[groups != groups[at]]
        if len(others):
            found[at] = rank_correlation(others.mean(axis=0), score)
    return found
