"""Temperature and isotonic regression: what they find where the truth is known, and never on the films they judge."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from lunglens.evaluate.calibration import brier_parts, reliability
from lunglens.evaluate.predictions import codes_and_scores
from lunglens.evaluate.recalibration import (
    balanced,
    calibration_of,
    calibration_rows,
    curves_of,
    recalibrated,
    temperature,
)
from lunglens.film.answer import cooled

CLASSES = ("covid", "other")


def over_confident(n: int, degree: float, seed: int = 0) -> pd.DataFrame:
    """Films whose true probability is known, answered with logits `degree` times too large."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(0.02, 0.98, n)
    so = generator.random(n) < true
    said = cooled(np.stack([true, 1 - true], axis=1), 1 / degree)[:, 0]
    names = [f"film-{index}" for index in range(n)]
    return pd.DataFrame(
        {
            "image_id": names,
            "class": np.where(so, *CLASSES),
            "source": "here",
            "group_id": names,
            "fold": [str(index % 5) for index in range(n)],
            "p_covid": said,
            "p_other": 1 - said,
        }
    )


def test_the_temperature_of_answers_that_are_too_sure_is_found() -> None:
    films = over_confident(20_000, 3.0)
    truth, scores = codes_and_scores(films, CLASSES)
    assert temperature(scores, truth, balanced(films)) == pytest.approx(3.0, rel=0.05)


def test_what_a_package_corrects_by_makes_its_own_films_right() -> None:
    films = over_confident(4000, 3.0)
    found = calibration_of(films, CLASSES)
    assert found is not None
    assert found.prevalence == 0.5
    after = recalibrated(films, CLASSES, found)
    truth, scores = codes_and_scores(after, CLASSES)
    assert after[["p_covid", "p_other"]].sum(axis=1).to_numpy() == pytest.approx(np.ones(4000))
    assert temperature(scores, truth, balanced(after)) == pytest.approx(1, rel=0.02)


def test_too_few_films_are_left_as_they_are() -> None:
    assert calibration_of(over_confident(30, 3.0), CLASSES) is None
    assert calibration_of(over_confident(100, 3.0).assign(**{"class": "covid"}), CLASSES) is None


def test_bins_are_those_of_scikit_learn() -> None:
    films = over_confident(1500, 2.0)
    so, said = (films["class"] == "covid").to_numpy(), films["p_covid"].to_numpy()
    shares, means = calibration_curve(so, said, n_bins=15, strategy="quantile")
    found = reliability(said, so)
    assert [row.said for row in found] == pytest.approx(means, abs=0.002)
    assert [row.so for row in found] == pytest.approx(shares, abs=0.011)  # a film more or less at an edge


@given(st.integers(2, 40), st.integers(0, 1000))
def test_the_parts_add_up_to_the_brier_score(levels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    said = np.repeat(np.sort(generator.random(levels)), 10)
    so = generator.random(len(said)) < said
    parts = brier_parts(said, so, bins=levels)
    brier = float(np.mean((said - so) ** 2))
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier, abs=3e-4)


def test_corrections_help_on_films_like_those_they_were_fitted_on() -> None:
    inside = over_confident(3000, 3.0)
    outside = over_confident(1000, 3.0, seed=1).assign(fold="external", source="far")
    outside["image_id"] = outside["image_id"] + "-far"
    rows = {
        (row["films"], row["how"].split()[0]): row for row in calibration_rows(pd.concat([inside, outside]), CLASSES)
    }
    for films in ("cross-validated", "never trained on"):
        for how in ("temperature", "isotonic"):
            assert rows[films, how]["ece"] < 0.4 * rows[films, "as"]["ece"]
            assert rows[films, how]["brier"] < rows[films, "as"]["brier"]


def test_every_class_weighs_the_same_and_in_it_every_source() -> None:
    films = pd.DataFrame({"source": ["a"] * 9 + ["b"], "class": ["x"] * 8 + ["y", "y"]})
    weight = pd.Series(balanced(films)).groupby([films["source"], films["class"]]).sum()
    assert list(weight) == pytest.approx([1 / 2, 1 / 4, 1 / 4])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_no_correction_changes_the_order_of_films(said: list[float]) -> None:
    ordered = np.sort(said)
    for curve in curves_of(over_confident(200, 2.0), CLASSES).values():
        after = curve(ordered)
        assert (np.diff(after) >= -1e-9).all()
        assert ((after >= 0) & (after <= 1)).all()


def test_films_of_one_class_give_no_row() -> None:
    assert calibration_rows(over_confident(50, 2.0).assign(**{"class": "covid"}), CLASSES) == []
