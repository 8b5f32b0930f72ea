"""The table of images and its split by patient."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.errors import DataError
from lunglens.study.config.training import Split
from lunglens.study.manifest import manifest, split_by_group
from lunglens.study.rows import FIELDS, Row, find_images


def rows(groups: int, per_group: int = 2, source: str = "a", label: str | None = "normal") -> list[Row]:
    return [
        Row(f"{source}/{label}/{g:04d}-{i}.png", source, str(g), f"{source}-{label}-{g}", label=label)
        for g in range(groups)
        for i in range(per_group)
    ]


def test_the_table_has_the_columns_of_a_row_sorted_by_path() -> None:
    table = manifest([Row("b.png", "s", None, "g"), Row("a.png", "s", "1", "h", age_years=40)])
    assert list(table["path"]) == ["a.png", "b.png"]
    assert list(table.index) == [0, 1]
    assert list(table.columns) == list(FIELDS)
    assert table["patient_id"].isna().tolist() == [False, True]


def test_an_empty_table_keeps_its_columns() -> None:
    assert list(manifest([]).columns) == list(FIELDS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 25), st.sampled_from("ab"), st.sampled_from(["x", "y", None])), min_size=1))
def test_no_group_is_on_two_sides_even_if_it_spans_sources_and_labels(drawn: list[tuple[int, str, str | None]]) -> None:
    table = manifest(Row(f"{i}.png", s, str(g), f"g{g}", label=label) for i, (g, s, label) in enumerate(drawn))
    parts = split_by_group(table, Split(validation=0.3, test=0.3))
    assert set(parts) <= {"train", "validation", "test"}
    assert (parts.groupby(table["group_id"]).nunique() == 1).all()


def test_every_source_and_label_has_its_share_in_every_part() -> None:
    table = manifest([*rows(100), *rows(50, 3, label="covid"), *rows(40, 1, "b", None)])
    parts = split_by_group(table, Split(validation=0.1, test=0.2))
    shares = pd.crosstab([table["source"], table["label"].fillna("")], parts, normalize="index")
    assert len(shares) == 3
    assert shares[["test", "train", "validation"]].to_numpy() == pytest.approx(np.tile([0.2, 0.7, 0.1], (3, 1)))


def test_without_a_test_share_nothing_is_held_out_for_testing() -> None:
    parts = split_by_group(manifest(rows(30)), Split(validation=0.1, test=0))
    assert parts.value_counts().to_dict() == {"train": 54, "validation": 6}


def test_the_split_goes_by_the_seed_and_not_by_the_order_of_the_rows() -> None:
    table = manifest(rows(60))
    first = split_by_group(table, Split(seed=1))
    pd.testing.assert_series_equal(first, split_by_group(table, Split(seed=1)))
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(first, split_by_group(shuffled, Split(seed=1)).sort_index())
    assert (first != split_by_group(table, Split(seed=2))).any()


@pytest.mark.parametrize("missing", [None, ""])
def test_an_image_without_a_group_is_refused_by_name(missing: str | None) -> None:
    table = manifest([*rows(20), Row("lost.png", "a", None, missing)])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"lost\.png: no group_id"):
        split_by_group(table, Split())


def test_images_are_found_below_a_folder_by_stem_whatever_their_ending(tmp_path: Path) -> None:
    for name in ("a/Film_1.PNG", "b/c/film_2.jpeg", "film_3.dcm", "notes.txt", "film_4.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images(tmp_path)
    assert {stem: path.name for stem, path in found.items()} == {
        "film_1": "Film_1.PNG",
        "film_2": "film_2.jpeg",
        "film_3": "film_3.dcm",
    }


def test_a_folder_that_is_missing_or_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="no images here") as caught:
            find_images(folder)
        assert str(folder) in str(caught.value)


def test_columns_of_one_s_own_come_last_and_never_in_place_of_ours() -> None:
    rows = [Row("a.png", "s", None, "", extra={"scanner": "Acme", "sex": "x"}), Row("b.png", "s", None, "", sex="F")]
    table = manifest(rows)
    assert list(table.columns) == [*FIELDS, "scanner", "own_sex"]
    assert table["sex"].fillna("").tolist() == ["", "F"]
    assert (table["scanner"][0], table["own_sex"][0]) == ("Acme", "x")
