"""Calibration by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from lunglens.evaluate.calibration import calibration


def two(said: np.ndarray) -> np.ndarray:
    return np.stack([said, 1 - said], axis=1)


def test_who_says_the_share_of_the_first_class_is_calibrated() -> None:
    truth = np.tile([0, 1, 1, 1], 15)  # four films a bin
    found = calibration(truth, two(np.full(60, 0.25)))
    assert found.ece == 0
    assert found.brier == pytest.approx(0.25 * 0.75**2 + 0.75 * 0.25**2)


def test_bins_hold_equally_many_films() -> None:
    # 15 bins of 2 films: in one of them, the most certain, one film of two is not what is said.
    said = np.r_[np.zeros(28), 1.0, 1.0]
    truth = np.r_[np.ones(28, np.int64), 0, 1].astype(np.int64)
    assert calibration(truth, two(said)).ece == pytest.approx((2 / 30) * 0.5, abs=1e-4)


def test_brier_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    said, truth = generator.random(200), generator.integers(0, 2, 200)
    assert calibration(truth, two(said)).brier == pytest.approx(brier_score_loss(truth == 0, said), abs=1e-4)


def test_of_more_classes_the_one_called_is_judged() -> None:
    certain = np.eye(3)[[0, 1, 2, 2]]
    assert calibration(np.array([0, 1, 2, 2]), certain) == calibration(np.array([0, 1, 2, 2]), certain)
    wrong = calibration(np.array([0, 1, 2, 0]), certain)
    assert (wrong.ece, wrong.brier) == (0.25, 0.5)
    assert calibration(np.array([0, 1, 2, 2]), certain).ece == 0


def test_the_order_of_films_of_one_probability_says_nothing() -> None:
    truth = np.r_[np.zeros(30, np.int64), np.ones(30, np.int64)]  # as in a table sorted by source
    assert calibration(truth, two(np.full(60, 0.5))).ece == 0
