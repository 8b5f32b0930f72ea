"""Whether a network's expected Dice tells which of its masks went wrong."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lunglens.evaluate.expected_dice import POOR, expected_of


def films(noise: float, count: int = 200) -> pd.DataFrame:
    """True Dice is 2 x expected - 0.92, and noise: 0.9 where 0.91 is expected."""
    generator = np.random.default_rng(0)
    told = generator.uniform(0.88, 0.96, count)
    return pd.DataFrame({"expected_dice": told, "dice": 2 * told - 0.92 + generator.normal(0, noise, count)})


def test_the_threshold_is_where_a_poor_mask_is_to_be_expected() -> None:
    assert expected_of(films(0)).doubtful_below == pytest.approx(0.91, abs=1e-6)
    assert expected_of(films(0.01)).doubtful_below == pytest.approx(0.91, abs=0.005)


def test_there_is_a_threshold_where_no_film_went_wrong() -> None:
    good = films(0)
    found = expected_of(good[good["dice"] > POOR])
    assert (found.poor, found.auroc) == (0, None)
    assert found.doubtful_below == pytest.approx(0.91, abs=1e-6)


def test_it_is_measured_by_correlation_and_by_the_poor_films_it_finds() -> None:
    table = films(0.02)
    found = expected_of(table)
    assert found.pearson == pytest.approx(np.corrcoef(table["expected_dice"], table["dice"])[0, 1], abs=1e-6)
    poor = table["dice"] < POOR
    assert found.poor == poor.sum()
    assert found.auroc == pytest.approx(roc_auc_score(poor, -table["expected_dice"]), abs=1e-6)


def test_what_tells_nothing_or_the_wrong_way_gives_no_threshold() -> None:
    alike = expected_of(films(0).assign(expected_dice=0.95))
    assert (alike.pearson, alike.doubtful_below) == (None, None)
    table = films(0)
    assert expected_of(table.assign(dice=1.8 - table["dice"])).doubtful_below is None
