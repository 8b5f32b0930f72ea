"""Temperature and isotonic regression: what they find where the truth is known, and never on the films they judge."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from lunglens.evaluate.calibration import brier_parts, reliability
from lunglens.evaluate.recalibration import balanced, calibration_rows, cooled, curves_of, temperature

CLASSES = ("covid", "other")


def over_confident(n: int, degree: float, seed: int = 0) -> pd.DataFrame:
    """Films whose true probability is known, answered with logits `degree` times too large."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(0.02, 0.98, n)
    so = generator.random(n) < true
    said = cooled(true, 1 / degree)
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
    so = (films["class"] == "covid").to_numpy(float)
    assert temperature(films["p_covid"].to_numpy(), so, balanced(films)) == pytest.approx(3.0, rel=0.05)


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


def test_every_source_and_class_weighs_the_same() -> None:
    films = pd.DataFrame({"source": ["a"] * 9 + ["b"], "class": ["x"] * 8 + ["y", "y"]})
    weight = pd.Series(balanced(films)).groupby([films["source"], films["class"]]).sum()
    assert list(weight) == pytest.approx([1 / 3] * 3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_no_correction_changes_the_order_of_films(said: list[float]) -> None:
    ordered = np.sort(said)
    for curve in curves_of(over_confident(200, 2.0), CLASSES).values():
        after = curve(ordered)
        assert (np.diff(after) >= -1e-9).all()
        assert ((after >= 0) & (after <= 1)).all()


def test_films_of_one_class_give_no_row() -> None:
    assert calibration_rows(over_confident(50, 2.0).assign(**{"class": "covid"}), CLASSES) == []
