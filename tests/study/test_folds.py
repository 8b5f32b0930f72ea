"""Folds: stratified, whole groups, sources held out, missing patients, the check before every training."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import DataError
from lunglens.study.folder import load_study
from lunglens.study.folds import (
    EXTERNAL,
    UNUSED,
    FoldSettings,
    assert_apart,
    fold_counts,
    fold_names,
    leaks_of_image_split,
    make_folds,
    parts_of,
    read_folds,
    training_rows,
)
from tests.support.study_folder import study_folder


def study(patients: int = 60, films: int = 3) -> pd.DataFrame:
    """`films` films of each patient; two classes, each from two sources."""
    patient = np.repeat(np.arange(patients), films)
    return pd.DataFrame(
        {
            "image_id": [f"i{index:04d}" for index in range(len(patient))],
            "class": np.where(patient % 3 == 0, "covid", "not"),
            "source": np.where(patient % 2 == 0, "a", "b"),
            "group_id": [f"p{number}" for number in patient],
        }
    )


def test_folds_hold_whole_patients_and_their_share_of_each_class() -> None:
    found = make_folds(study(), FoldSettings(folds=5))
    assert fold_names(found) == ["0", "1", "2", "3", "4"]
    assert (found.groupby("group_id")["fold"].nunique() == 1).all()
    counts = fold_counts(found)
    assert (counts["covid"] == 12).all()
    assert (counts["not"] == 24).all()


def test_the_same_seed_gives_the_same_folds_whatever_the_order() -> None:
    table = study()
    first = make_folds(table, FoldSettings(folds=5, seed=3)).set_index("image_id")["fold"]
    shuffled = make_folds(table.sample(frac=1, random_state=1), FoldSettings(folds=5, seed=3)).set_index("image_id")
    other = make_folds(table, FoldSettings(folds=5, seed=4)).set_index("image_id")["fold"]
    assert first.equals(shuffled["fold"].loc[first.index])
    assert not first.equals(other)


def test_who_trains_never_shares_a_patient_with_who_tests() -> None:
    found = make_folds(study(), FoldSettings(folds=5))
    for fold in fold_names(found):
        rows = training_rows(found, fold)
        tested = found["fold"] == fold
        assert set(found.loc[rows, "group_id"]).isdisjoint(found.loc[tested, "group_id"])
        assert (rows | tested).all()


def test_source_after_source_drops_patients_who_are_in_both() -> None:
    table = study()
    table.loc[0, "source"] = "b"  # patient 0 is in both
    found = make_folds(table, FoldSettings(by="source"))
    assert fold_names(found) == ["0", "1"]
    for fold, source in (("0", "a"), ("1", "b")):
        rows = training_rows(found, fold)
        assert set(found.loc[found["fold"] == fold, "source"]) == {source}
        assert "p0" not in set(found.loc[rows, "group_id"])
        assert rows.sum() == (found["fold"] != fold).sum() - (2 if fold == "1" else 1)


def test_an_external_source_is_tested_on_only_with_its_patients() -> None:
    table = pd.concat([study(), study(4, 2).assign(source="far", image_id=[f"x{i}" for i in range(8)])])
    found = make_folds(table, FoldSettings(folds=4, external=("far",)))
    assert set(found.loc[found["source"] == "far", "fold"]) == {EXTERNAL}
    # p0 ... p3 are in the study too: neither trained on nor in a fold.
    tied = found["group_id"].isin(["p0", "p1", "p2", "p3"]) & (found["source"] != "far")
    assert set(found.loc[tied, "fold"]) == {UNUSED}
    assert not training_rows(found, "0")[found["source"] == "far"].any()


def test_missing_patients_are_refused_unless_one_says_what_they_are() -> None:
    table = study()
    table.loc[:5, "group_id"] = ""
    with pytest.raises(DataError, match=r"6 films have no patient \(a: 3, b: 3\)"):
        make_folds(table, FoldSettings(folds=5))
    left_out = make_folds(table, FoldSettings(folds=5, missing_patient="leave-out"))
    assert list(left_out.loc[left_out["group_id"] == "", "fold"]) == [UNUSED] * 6
    alone = make_folds(table, FoldSettings(folds=5, missing_patient="one film one patient"))
    assert alone.loc[:5, "group_id"].nunique() == 6
    assert (alone["fold"] != UNUSED).all()


def test_more_folds_than_patients_of_a_class_is_an_error() -> None:
    with pytest.raises(DataError, match="covid has 4"):
        make_folds(study(12), FoldSettings(folds=5))


def test_a_source_that_is_not_there_cannot_be_external() -> None:
    with pytest.raises(DataError, match="nowhere: not a source of this study; it has a, b"):
        make_folds(study(), FoldSettings(external=("nowhere",)))


def test_a_source_that_holds_all_of_a_class_cannot_be_held_out() -> None:
    table = study()
    table["source"] = table["class"]
    with pytest.raises(DataError, match="when fold 0 is held out, no film of class covid is left"):
        make_folds(table, FoldSettings(by="source"))


def test_one_source_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="two or more"):
        make_folds(study().assign(source="a"), FoldSettings(by="source"))


def test_the_check_names_a_group_on_both_sides_and_refuses_unknown_ones() -> None:
    with pytest.raises(DataError, match="group p1 and 1 more"):
        assert_apart(pd.Series(["p1", "p2", "p3"]), pd.Series(["p2", "p1"]))
    with pytest.raises(DataError, match="without group_id"):
        assert_apart(pd.Series(["p1", ""]), pd.Series(["p2"]))
    assert_apart(pd.Series(["p1"]), pd.Series(["p2"]))


def test_a_split_by_image_leaks_patients_and_none_where_each_has_one_film() -> None:
    leaks = leaks_of_image_split(study(60, 3), 5, 0)
    assert leaks.patients == 60
    assert leaks.leaking > 50
    assert leaks.tested_films_with_patient_in_training == 3 * leaks.leaking
    assert leaks_of_image_split(study(60, 1), 5, 0).leaking == 0


def test_of_two_patients_of_a_class_one_validates_and_of_one_none_does() -> None:
    groups = ["c0", "c1", "n0", "n1", "n2", "o0", "o1", "o2", "o3"]  # the first of each is tested
    table = pd.DataFrame({"image_id": groups, "group_id": groups, "source": "a"})
    table["class"] = table["group_id"].str[0]
    table["fold"] = np.where(table["group_id"].str[1] == "0", "0", "1")
    parts = parts_of(table, "0", 0)
    assert [sorted(parts[table["class"] == name]) for name in "cno"] == [
        ["test", "train"],
        ["test", "train", "validation"],
        ["test", "train", "train", "validation"],
    ]


def test_folds_of_another_study_are_refused_and_each_of_them_is_counted(tmp_path: Path) -> None:
    made = load_study(study_folder(tmp_path / "study", 6, both=True))
    said = CliRunner().invoke(app, ["folds", str(made.folder), "--folds", "2", "--json"])
    table = read_folds(made)
    counts = fold_counts(table)
    assert json.loads(said.stdout)["folds"] == counts.to_dict("index")
    assert counts[["covid", "other"]].to_numpy().sum() == len(table)
    assert counts["groups"].sum() == table["group_id"].nunique()
    assert fold_counts(table[(table["class"] == "covid") | (table["fold"] == "0")]).loc["1", "other"] == 0
    assert json.loads((made.folder / "folds.json").read_text())["format"] == 2
    path = made.folder / "folds.csv"
    for wrong in (table.rename(columns={"fold": "part"}), table.iloc[1:]):
        wrong.to_csv(path, index=False)
        with pytest.raises(DataError, match="does not fit the study"):
            read_folds(made)
