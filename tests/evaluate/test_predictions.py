"""Measures against their definitions and against scikit-learn."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from lunglens.errors import DataError
from lunglens.evaluate.classification import auc
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.operating_point import chosen_threshold, false_alarms, operating_points, youden_threshold
from lunglens.evaluate.segmentation import MEASURES, lung_measures
from lunglens.evaluate.surface_distance import dice, share_inside

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, values: int = 12) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Both classes, and scores with many ties that go with the class."""
    generator = np.random.default_rng(seed)
    target = np.concatenate([[0, 1], generator.integers(0, 2, int(generator.integers(4, 60)))])
    score = np.clip(generator.integers(0, values, len(target)) + 2 * target, 0, values) / values
    return target, score, generator


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_auc_is_scikit_learn_s_with_ties(seed: int) -> None:
    target, score, _ = drawn(seed)
    assert auc(target, score) == pytest.approx(metrics.roc_auc_score(target, score))


def test_auc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(auc(np.ones(3), np.arange(3)))
    assert math.isnan(auc(np.zeros(3), np.arange(3)))


def youden(target: np.ndarray, called: np.ndarray, weight: np.ndarray) -> float:
    positive = target == 1
    sensitivity = weight[called & positive].sum() / weight[positive].sum()
    return float(sensitivity + weight[~called & ~positive].sum() / weight[~positive].sum())


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.sampled_from([2, 5, 1000]))
def test_no_threshold_beats_youden_s(seed: int, values: int) -> None:
    target, score, generator = drawn(seed, values)
    weight = generator.random(len(target)) + 0.1
    found = youden(target, score >= youden_threshold(target, score, weight), weight)
    assert found == pytest.approx(max(youden(target, score >= cut, weight) for cut in np.unique(score)))


def test_youden_s_threshold_lies_midway_between_scores_that_it_parts() -> None:
    target, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.7, 0.9])
    assert youden_threshold(target, score, np.ones(4)) == pytest.approx(0.5)


def test_weights_move_youden_s_threshold() -> None:
    # The low positive is worth its three false alarms only if it weighs much.
    target, score = np.array([1, 0, 0, 0, 1, 0]), np.array([0.2, 0.3, 0.35, 0.4, 0.9, 0.1])
    light, heavy = np.ones(6), np.array([9.0, 1, 1, 1, 1, 1])
    assert youden_threshold(target, score, light) == pytest.approx(0.65)
    assert youden_threshold(target, score, heavy) == pytest.approx(0.15)


def test_an_interval_over_groups_of_duplicates_is_wider_than_over_rows() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=30), 25)

    def width(groups: np.ndarray) -> float:
        interval = bootstrap(lambda rows: float(values[rows].mean()), groups, repeats=400)
        assert interval is not None
        assert interval == [round(end, 4) for end in interval]
        return interval[1] - interval[0]

    by_group, by_row = width(np.repeat(np.arange(30), 25)), width(np.arange(750))
    assert by_group == pytest.approx(5 * by_row, rel=0.3)  # sqrt(25)


def test_whole_groups_are_drawn_in_the_number_of_groups() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    seen = []

    def measure(rows: np.ndarray) -> float:
        seen.append(rows)
        counts = np.bincount(rows, minlength=6)
        assert all(len(set(counts[groups == group])) == 1 for group in "abc")
        assert sum(counts[[0, 1, 3]]) == 3
        return 0.0

    assert bootstrap(measure, groups, repeats=50) == [0.0, 0.0]
    assert len(seen) == 50


def test_an_interval_goes_by_its_seed_and_covers_the_mean() -> None:
    values, groups = np.random.default_rng(1).random(100), np.arange(100)

    def interval(seed: int) -> list[float] | None:
        return bootstrap(lambda rows: float(values[rows].mean()), groups, seed=seed)

    assert interval(3) == interval(3) != interval(4)
    low, high = interval(3) or (0, 0)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.15)


def test_a_measure_that_is_rarely_defined_has_no_interval() -> None:
    draws = iter(range(1000))
    assert bootstrap(lambda _: 1.0 if next(draws) % 3 == 0 else math.nan, np.arange(5)) is None
    again = iter(range(1000))
    assert bootstrap(lambda _: math.nan if next(again) % 3 == 0 else 1.0, np.arange(5)) == [1.0, 1.0]


def answers(score: np.ndarray, target: np.ndarray) -> pd.DataFrame:
    """Two films a patient, of class a where the target is 1, else b."""
    table = pd.DataFrame({"p_a": score, "p_b": 1 - score, "class": np.where(target == 1, "a", "b"), "source": "s"})
    numbers = range(len(table))
    return table.assign(image_id=[f"f{n}" for n in numbers], group_id=[f"p{n // 2}" for n in numbers])


def test_an_operating_point_counts_and_brackets_its_shares() -> None:
    generator = np.random.default_rng(0)
    target = np.repeat([0, 1], [60, 40])
    table = answers(np.clip(generator.normal(0.35 + 0.3 * target, 0.2), 0, 1), target)
    (row,) = operating_points({"all": table, "one class only": table[table["class"] == "a"]}, ["a", "b"], 0.5)
    assert (row["films"], row["n_positive"], row["n_negative"]) == ("all", 40, 60)
    assert row["sensitivity"] == pytest.approx((table["p_a"][60:] >= 0.5).mean(), abs=6e-5)
    assert row["specificity"] == pytest.approx((table["p_a"][:60] < 0.5).mean(), abs=6e-5)
    for name in ("sensitivity", "specificity"):
        low, high = row[f"{name}_95_ci"]
        assert 0 <= low < row[name] < high <= 1


def test_false_alarms_are_shares_of_the_second_class_films_by_patient() -> None:
    table = answers(np.array([0.9, 0.6, 0.4, 0.1, 0.9, 0.9]), np.array([0, 0, 0, 0, 1, 1]))
    tables = {"all": table, "one patient": table[:2], "sick": table[4:]}
    found = false_alarms(tables, ["a", "b"], 0.6)
    assert found["all"] == {"n": 4, "called": 2, "share": 0.5, "share_95_ci": [0.0, 1.0]}
    assert found["one patient"] == {"n": 2, "called": 2, "share": 1.0, "share_95_ci": None}
    assert "sick" not in found


def test_a_threshold_is_chosen_with_every_source_weighing_the_same() -> None:
    # One small source parts at 0.8, a large one at 0.3; alone each decides for itself.
    small = answers(np.array([0.75, 0.85]), np.array([0, 1])).assign(source="small")
    large = answers(np.repeat([0.25, 0.35], 20), np.repeat([0, 1], 20)).assign(source="large")
    assert chosen_threshold(small, ["a", "b"]) == pytest.approx(0.8)
    assert chosen_threshold(large, ["a", "b"]) == pytest.approx(0.3)
    assert chosen_threshold(pd.concat([small, large]), ["a", "b"]) in (0.3, 0.8)
    with pytest.raises(DataError, match="class b"):
        chosen_threshold(small[small["class"] == "a"], ["a", "b"])


def test_dice_by_hand() -> None:
    a, b = np.array([[1, 1, 0, 0]], bool), np.array([[0, 1, 1, 1]], bool)
    empty = np.zeros((1, 4), bool)
    assert dice(a, b) == pytest.approx(2 * 1 / 5)
    assert dice(b, a) == dice(a, b)
    assert (dice(a, a), dice(a, empty), dice(empty, empty)) == (1, 0, 1)


def test_share_inside_by_hand() -> None:
    a, b = np.array([[1, 1, 0, 0]], bool), np.array([[0, 1, 1, 1]], bool)
    assert share_inside(a, b) == 0.5
    assert share_inside(b, a) == pytest.approx(1 / 3)
    assert share_inside(a & ~a, b) == 0


def of_films(dice: list[float]) -> dict[str, Any]:
    names = [str(number) for number in range(len(dice))]
    table = pd.DataFrame({"path": names, "group_id": names, "source": "x"}).assign(**dict.fromkeys(MEASURES, dice))
    return lung_measures(table, seed=0).summary("dice").model_dump()


def test_a_summary_by_hand() -> None:
    values = np.arange(1, 41) / 40
    found = of_films(values[::-1].tolist())
    assert found["n"] == 40
    assert found["mean"] == found["median"] == pytest.approx(0.5125)
    assert found["percentile_5"] == pytest.approx(np.percentile(values, 5), abs=6e-5)
    assert found["worst_twentieth_mean"] == pytest.approx((1 / 40 + 2 / 40) / 2, abs=6e-5)
    assert found["minimum"] == pytest.approx(0.025)
    low, high = found["mean_95_ci"]
    assert low < 0.5125 < high


def test_a_summary_of_one_film_is_that_film() -> None:
    found = of_films([0.9])
    assert found["worst_twentieth_mean"] == found["minimum"] == found["mean"] == 0.9
    assert found["mean_95_ci"] is None
