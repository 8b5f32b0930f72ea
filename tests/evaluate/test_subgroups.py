"""By view, sex, age, severity: the same numbers as on the films of a level alone, and none on a handful of films."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunglens.evaluate.subgroups import levels_of, subgroup_measures, terciles
from tests.evaluate.test_arms import CLASSES, films


def test_each_level_is_measured_as_if_alone() -> None:
    supine = pd.concat([films("a", "covid", "0", [0.9] * 8 + [0.2] * 2), films("a", "not covid", "0", [0.1] * 10)])
    standing = pd.concat([films("b", "covid", "0", [0.6] * 10), films("b", "not covid", "0", [0.7] * 4)])
    rows = pd.concat([supine, standing, films("c", "covid", "0", [0.3] * 9)], ignore_index=True)
    view = rows["source"].map({"a": "AP", "b": "PA", "c": "few"})
    found = subgroup_measures(rows, {"view": view}, CLASSES, 0.5)["view"]
    assert [row["level"] for row in found] == ["AP", "PA"]
    first, second = found
    assert (first["n"], first["sensitivity"], first["specificity"]) == ([10, 10], 0.8, 1.0)
    assert first["auroc"] == 1.0
    assert first["sensitivity_95_ci"][0] < 0.8 < first["sensitivity_95_ci"][1]
    assert (second["n"], second["sensitivity"]) == ([10, 4], 1.0)
    assert second["specificity"] is second["auroc"] is None


@pytest.mark.usefixtures("all_draws")
def test_a_gap_is_told_from_chance_however_many_levels_are_tried() -> None:
    generator = np.random.default_rng(0)
    rows = pd.concat([films("a", "covid", "0", list(generator.uniform(0.2, 0.8, 200)))], ignore_index=True)
    lower = rows.index % 2 == 0
    rows.loc[lower, "p_covid"] -= 0.2
    chance = pd.Series(generator.integers(0, 8, 200).astype(str))
    levels = {"view": pd.Series(np.where(lower, "AP", "PA")), "chance": chance}
    found = subgroup_measures(rows, levels, CLASSES, 0.5)
    assert all(row["sensitivity_p_holm"] < 0.05 for row in found["view"])
    assert all(row["sensitivity_p_holm"] > 0.05 for row in found["chance"])
    assert all(row["specificity_p_holm"] is None for rows in found.values() for row in rows)


def test_what_is_not_stated_is_a_level_of_its_own() -> None:
    table = pd.DataFrame(
        {"view": ["AP", None, ""], "sex": ["F", "M", None], "age_years": ["17.9", "40", None]}, index=[4, 5, 6]
    )
    levels = {name: list(column) for name, column in levels_of(table).items()}
    assert levels == {
        "view": ["AP", "not stated", "not stated"],
        "sex": ["F", "M", "not stated"],
        "age": ["under 18", "40 to 59", "not stated"],
    }


@given(st.lists(st.integers(0, 18), min_size=3))
def test_a_graver_film_is_never_in_a_milder_third(scores: list[int]) -> None:
    order = ["mild third", "middle third", "severe third"]
    places = [order.index(third) for third in terciles(pd.Series(sorted(scores), dtype=float))]
    assert places == sorted(places)
