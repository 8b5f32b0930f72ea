"""The paired test of AUROC: DeLong's where every film is a patient's only one, and no stronger for copies of films."""

import numpy as np
import pytest
from scipy.stats import norm

from lunglens.evaluate.classification import auc
from lunglens.evaluate.intervals import bootstrap_draws
from lunglens.evaluate.paired import auroc_difference

GENERATOR = np.random.default_rng(3)
POSITIVE = np.arange(90) % 3 == 0
GOOD = GENERATOR.normal(size=90) + 1.5 * POSITIVE
WORSE = np.round(0.5 * GOOD + GENERATOR.normal(size=90), 1)  # with ties
ALONE = np.arange(90)


def delong(positive: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Difference and standard error as DeLong et al. define them, film by film."""
    above = [
        (score[positive][:, None] > score[~positive]) + 0.5 * (score[positive][:, None] == score[~positive])
        for score in (first, second)
    ]
    rows, columns = (np.stack([one.mean(axis=axis) for one in above]) for axis in (1, 0))
    covariance = np.cov(rows) / rows.shape[1] + np.cov(columns) / columns.shape[1]
    return above[0].mean() - above[1].mean(), float(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


def test_with_one_film_a_patient_it_is_delong_s() -> None:
    value, error = delong(POSITIVE, GOOD, WORSE)
    found = auroc_difference(POSITIVE, GOOD, WORSE, ALONE)
    assert found is not None
    assert found.value == pytest.approx(value, abs=1e-6)
    assert found.value == pytest.approx(auc(POSITIVE, GOOD) - auc(POSITIVE, WORSE), abs=1e-6)
    assert found.ci == pytest.approx([value - 1.96 * error, value + 1.96 * error], abs=1e-4)
    assert found.p == pytest.approx(2 * norm.sf(abs(value) / error))


def test_copies_of_films_make_no_difference_more_certain() -> None:
    alone = auroc_difference(POSITIVE, GOOD, WORSE, ALONE)
    copied = auroc_difference(*(np.repeat(each, 3) for each in (POSITIVE, GOOD, WORSE)), np.repeat(ALONE, 3))
    assert copied == alone


def test_patients_with_films_on_both_sides_agree_with_the_bootstrap() -> None:
    patients = np.arange(90) // 4
    found = auroc_difference(POSITIVE, GOOD, WORSE, patients)
    draws = bootstrap_draws(
        lambda rows: [auc(POSITIVE[rows], GOOD[rows]) - auc(POSITIVE[rows], WORSE[rows])], patients, repeats=600
    )
    assert found is not None
    assert found.ci is not None
    assert (found.ci[1] - found.ci[0]) / (2 * 1.96) == pytest.approx(float(draws.std()), rel=0.15)


def test_what_does_not_vary_has_no_test() -> None:
    same = auroc_difference(POSITIVE, GOOD, GOOD, ALONE)
    assert same is not None
    assert (same.value, same.ci, same.p) == (0, None, None)
    assert auroc_difference(POSITIVE, GOOD, WORSE, np.where(POSITIVE, 0, ALONE)) is None
