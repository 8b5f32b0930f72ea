"""The cardiothoracic ratio: two lines told from the borders of the lungs, and where results say it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.film.gate.traits import Projection
from lunglens.film.lungs.cardiothoracic import Cardiothoracic, cardiothoracic
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.preprocess import Mask
from lunglens.film.statements import panel_lines

SIDE = 256


def ratio_of(fields: Mask) -> Cardiothoracic | None:
    return cardiothoracic(*lung_sides(fields))


def chest(heart_right: float, heart_left: float, dome: float = 0.75) -> Mask:
    """Lung fields from 0.1 to 0.9 of the width, with a spine, a heart (shares of the width) and domes of diaphragm."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    lungs = (np.hypot((x - 0.5) / 0.4, (y - 0.55) / 0.45) < 1) & (np.abs(x - 0.5) > 0.07)
    for middle in (0.3, 0.7):
        lungs &= ~((y > dome + 2.0 * (x - middle) ** 2) & (np.sign(x - 0.5) == np.sign(middle - 0.5)))
    middle, half = (heart_right + heart_left) / 2, (heart_left - heart_right) / 2
    return np.asarray(lungs & (np.hypot((x - middle) / half, (y - (dome - 0.06)) / 0.13) >= 1))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.32, 0.42), st.floats(0.6, 0.75), st.floats(0.7, 0.8))
def test_the_heart_ends_where_the_lungs_begin(right: float, left: float, dome: float) -> None:
    found = ratio_of(chest(right, left, dome))
    assert found is not None
    (heart_from, heart_to), (chest_from, chest_to) = found.heart, found.chest
    assert heart_from[0] == pytest.approx(right, abs=0.02)
    assert heart_to[0] == pytest.approx(left, abs=0.02)
    assert (chest_from[0], chest_to[0]) == pytest.approx((0.1, 0.9), abs=0.02)
    assert chest_from[1] == chest_to[1]
    assert found.ratio == pytest.approx((left - right) / 0.8, abs=0.05)
    assert all(dome - 0.2 < y < dome + 0.15 for _, y in found.heart)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.9))
def test_whatever_the_mask_there_is_a_ratio_or_none(seed: int, share: float) -> None:
    found = ratio_of(np.random.default_rng(seed).uniform(size=(40, 50)) < share)
    assert found is None or 0 < found.ratio < 1


def test_no_lungs_and_one_lung_have_no_ratio() -> None:
    both = chest(0.4, 0.65)
    assert ratio_of(np.zeros_like(both)) is None
    one = both & (np.arange(SIDE) < SIDE // 2)
    assert ratio_of(one) is None


def test_results_say_it_where_the_lungs_are_not_doubtful(analyzer: Analyzer, rg_folder: Path) -> None:
    found = analyzer.analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(found, Analyzed)
    assert found.cardiothoracic is not None
    record = found.to_dict()["cardiothoracic"]
    assert record["ratio"] == round(found.cardiothoracic.ratio, 3)
    assert 0.3 < record["ratio"] < 0.6
    assert f"cardiothoracic ratio {record['ratio']:.2f}" in _heart(found)
    assert "magnified" in _heart(replace(found, projection=Projection("AP", stated=True, ap_score=None)))
    none = replace(found, cardiothoracic=None)
    assert "cardiothoracic" not in none.to_dict()
    assert _heart(none) == ""


def test_the_ratio_is_of_two_lengths() -> None:
    assert Cardiothoracic(((0.4, 0.7), (0.7, 0.8)), ((0.1, 0.8), (0.85, 0.8))).ratio == pytest.approx(0.4)


def _heart(found: Analyzed) -> str:
    return "".join(line.text for line in panel_lines(found) if line.label == "Heart")
