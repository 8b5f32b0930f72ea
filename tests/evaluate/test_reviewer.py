"""What reviewers ask: against scikit-learn, and where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, roc_curve

from lunglens.evaluate.reviewer import at_fixed, auroc_by_delong, decision_curve, reviewer_rows

CLASSES = ("covid", "other")


def scored(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.4
    return positive, np.clip(generator.normal(0.4 + 0.25 * positive, 0.2), 0, 1)


@pytest.mark.usefixtures("all_draws")
def test_delong_and_the_bootstrap_agree() -> None:
    positive, score = scored(400)
    names = [f"film-{index}" for index in range(400)]
    films = pd.DataFrame({"image_id": names, "group_id": names, "source": "here", "fold": "0"})
    films = films.assign(**{"class": np.where(positive, *CLASSES), "p_covid": score, "p_other": 1 - score})
    row = reviewer_rows(films, CLASSES, 0)[0]
    assert row["delong_95_ci"] == pytest.approx(row["auroc_95_ci"], abs=0.008)
    assert row["patients"] == row["n"]
    assert row["kappa"] == pytest.approx(cohen_kappa_score(positive, score >= 0.5), abs=1e-4)


def test_no_one_is_told_from_guessing() -> None:
    positive, _ = scored(200)
    found = auroc_by_delong(positive, np.random.default_rng(5).random(200), np.arange(200))
    assert found is not None and found.ci is not None and found.p is not None
    assert found.ci[0] < 0.5 < found.ci[1]
    assert found.p > 0.05


@given(st.integers(0, 500), st.floats(0.05, 1.0), st.booleans())
def test_a_fixed_point_lies_on_the_curve(seed: int, share: float, ties: bool) -> None:
    positive, score = scored(60, seed)
    score = np.round(score, 1) if ties else score
    if len(set(positive)) < 2:
        return
    false, true, _ = roc_curve(positive, score, drop_intermediate=False)
    assert at_fixed(positive, score, "sensitivity", share) == pytest.approx(max(true[1 - false >= share - 1e-9]))
    assert at_fixed(positive, score, "specificity", share) == pytest.approx(max(1 - false[true >= share - 1e-9]))


def test_the_benefit_of_a_perfect_model_is_the_prevalence() -> None:
    positive, _ = scored(100)
    found = decision_curve(positive, np.where(positive, 1.0, 0.0), prevalence=0.1)
    assert found.model == pytest.approx(np.full(99, 0.1))
    assert found.everyone[9] == pytest.approx(0)  # at a threshold of the prevalence treating all is worth nothing
