"""A classifier's measures against scikit-learn, and what metrics.json says where they are not defined."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from lunglens.errors import DataError
from lunglens.evaluate import classification as module
from lunglens.evaluate.classification import MEASURES, average_precision
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.predictions import calls, codes_and_scores, groups_of, read_predictions
from tests.support.predictions import TWO, predictions

THREE = ("covid", "pneumonia", "normal")


def measures(table: pd.DataFrame, classes: tuple[str, ...], seed: int | None = None) -> dict[str, Any]:
    """As they are written."""
    return module.measures(table, classes, seed).to_json()


def metrics_of(table: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Any]:
    """As they are written."""
    return module.metrics_of(table, classes).to_json()


SEEDS = st.integers(0, 2**32 - 1)


def coarse(seed: int, classes: tuple[str, ...]) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A small table of every class with many equal scores, its true and its called class."""
    generator = np.random.default_rng(seed)
    table = predictions(int(generator.integers(8, 60)), classes, seed=seed, sharp=1.0)
    columns = [f"p_{name}" for name in classes]
    steps = np.maximum(np.rint(table[columns].to_numpy() * 8), 1)
    table[columns] = steps / steps.sum(axis=1, keepdims=True)
    truth, scores = codes_and_scores(table, classes)
    return table, truth, calls(scores)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_two_classes_are_measured_as_scikit_learn_does(seed: int) -> None:
    table, truth, called = coarse(seed, TWO)
    found, score = measures(table, TWO), table["p_covid"]
    positive, answer = truth == 0, called == 0
    assert (answer == (score >= 0.5)).all()
    assert found["confusion"] == judge.confusion_matrix(truth, called, labels=[0, 1]).tolist()
    expected = {
        "accuracy": judge.accuracy_score(positive, answer),
        "balanced_accuracy": judge.balanced_accuracy_score(positive, answer),
        "sensitivity": judge.recall_score(positive, answer),
        "specificity": judge.recall_score(positive, answer, pos_label=False),
        "ppv": judge.precision_score(positive, answer, zero_division=np.nan),
        "npv": judge.precision_score(positive, answer, pos_label=False, zero_division=np.nan),
        "f1": judge.f1_score(positive, answer),
        "auroc": judge.roc_auc_score(positive, score),
        "auprc": judge.average_precision_score(positive, score),
    }
    for name in MEASURES:
        assert number(found[name]) == pytest.approx(expected[name], abs=1e-6, nan_ok=True), name
        assert (found[name] is None) == (name in found["undefined"])


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_three_classes_are_averaged_as_scikit_learn_does(seed: int) -> None:
    table, truth, called = coarse(seed, THREE)
    found, scores = measures(table, THREE), codes_and_scores(table, THREE)[1]
    averaged: dict[str, Any] = {"average": "macro", "labels": [0, 1, 2]}
    expected = {
        "accuracy": judge.accuracy_score(truth, called),
        "balanced_accuracy": judge.balanced_accuracy_score(truth, called),
        "sensitivity": judge.recall_score(truth, called, **averaged),
        "ppv": judge.precision_score(truth, called, average=None, labels=[0, 1, 2], zero_division=np.nan).mean(),
        "f1": judge.f1_score(truth, called, **averaged),
        "auroc": judge.roc_auc_score(truth, scores, multi_class="ovr"),
        "auprc": judge.average_precision_score(np.eye(3)[truth], scores, average="macro"),
    }
    for name, value in expected.items():
        assert number(found[name]) == pytest.approx(value, abs=1e-6, nan_ok=True), name
    for index, name in enumerate(THREE):
        one, positive = found["one_vs_rest"][name], truth == index
        assert one["auroc"] == pytest.approx(judge.roc_auc_score(positive, scores[:, index]), abs=1e-6)
        assert one["auprc"] == pytest.approx(judge.average_precision_score(positive, scores[:, index]), abs=1e-6)
        assert one["specificity"] == pytest.approx(judge.recall_score(~positive, called != index), abs=1e-6)
    specificity = [found["one_vs_rest"][name]["specificity"] for name in THREE]
    assert found["specificity"] == pytest.approx(np.mean(specificity), abs=2e-6)


def number(value: float | None) -> float:
    return float("nan") if value is None else value


def test_average_precision_needs_both_classes() -> None:
    assert np.isnan(average_precision(np.array([True, True]), np.array([0.1, 0.2])))
    assert np.isnan(average_precision(np.array([False, False]), np.array([0.1, 0.2])))


def test_intervals_are_those_of_the_bootstrap_of_each_measure_by_group() -> None:
    table = predictions(120, TWO)
    found = measures(table, TWO, seed=3)
    truth, scores = codes_and_scores(table, TWO)

    def area(rows: np.ndarray) -> float:
        return float(judge.roc_auc_score(truth[rows] == 0, scores[rows, 0]))

    def right(rows: np.ndarray) -> float:
        return float((calls(scores)[rows] == truth[rows]).mean())

    groups = table["group_id"].to_numpy()
    assert found["auroc_95_ci"] == pytest.approx(bootstrap(area, groups, 3, digits=6))
    assert found["accuracy_95_ci"] == pytest.approx(bootstrap(right, groups, 3, digits=6))
    for name in MEASURES:
        low, high = found[f"{name}_95_ci"]
        assert 0 <= low <= found[name] <= high <= 1
    assert measures(table, TWO, seed=3) == found != measures(table, TWO, seed=4)


def test_films_of_unknown_patients_are_groups_of_their_own_and_counted() -> None:
    table = predictions(40, TWO)
    table.loc[:9, "group_id"] = ""
    found = measures(table, TWO, seed=0)
    assert (found["n"], found["groups"], found["without_group"]) == (40, 25, 10)
    assert len(set(groups_of(table)[:10])) == 10


def test_one_patient_has_no_interval_and_the_reason_is_said() -> None:
    found = measures(predictions(40, TWO).assign(group_id="p1"), TWO, seed=0)
    assert found["accuracy"] is not None
    assert found["accuracy_95_ci"] is None
    assert found["undefined"]["accuracy_95_ci"] == module.TOO_FEW


def test_films_of_one_class_have_no_area_and_no_predictive_values() -> None:
    table = predictions(60, TWO)
    normal = measures(table[table["class"] == "normal"], TWO, seed=0)
    assert normal["specificity"] == normal["accuracy"] > 0.5
    assert normal["specificity_95_ci"] == normal["accuracy_95_ci"]
    for name in ("balanced_accuracy", "sensitivity", "ppv", "npv", "f1", "auroc", "auprc"):
        assert (normal[name], normal[f"{name}_95_ci"]) == (None, None)
        assert normal["undefined"][name] == "all films are normal"
    assert "specificity" not in normal["undefined"]


def test_a_class_that_is_never_called_has_no_predictive_value() -> None:
    table = predictions(60, TWO).assign(p_covid=0.2, p_normal=0.8)
    found = measures(table, TWO)
    assert (found["ppv"], found["undefined"]) == (None, {"ppv": "covid is never called"})
    assert (found["sensitivity"], found["specificity"], found["f1"], found["auroc"]) == (0, 1, 0, 0.5)
    always = measures(table.assign(p_covid=0.8, p_normal=0.2), TWO)
    assert always["undefined"] == {"npv": "covid is always called"}


def test_of_three_classes_the_two_there_are_are_averaged() -> None:
    table = predictions(90, THREE)
    found = measures(table[table["class"] != "pneumonia"], THREE, seed=0)
    one = found["one_vs_rest"]
    assert found["auroc"] == pytest.approx((one["covid"]["auroc"] + one["normal"]["auroc"]) / 2, abs=1e-6)
    assert one["pneumonia"]["auroc"] is None
    assert one["pneumonia"]["undefined"]["auroc"] == "no film is pneumonia"
    assert one["pneumonia"]["specificity"] is not None
    assert found["auroc_95_ci"][0] < found["auroc"] < found["auroc_95_ci"][1]


def test_a_probability_of_one_half_is_a_call() -> None:
    assert calls(np.array([[0.5, 0.5], [0.49, 0.51]])).tolist() == [0, 1]
    assert calls(np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])).tolist() == [1, 2]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return metrics_of(predictions(200, TWO, folds=4, external=80), TWO)


def test_folds_are_measured_alone_and_their_mean_and_spread_given(found: dict[str, Any]) -> None:
    table = predictions(200, TWO, folds=4, external=80)
    assert list(found["folds"]) == ["0", "1", "2", "3"]
    assert "accuracy_95_ci" not in found["folds"]["0"]
    assert sum(fold["n"] for fold in found["folds"].values()) == found["pooled"]["n"] == 200
    areas = []
    for name, rows in table[table["fold"] != "external"].groupby("fold"):
        areas.append(judge.roc_auc_score(rows["class"] == "covid", rows["p_covid"]))
        assert found["folds"][str(name)]["auroc"] == pytest.approx(areas[-1], abs=1e-6)
    mean = found["mean_of_folds"]["auroc"]
    assert mean == {
        "mean": pytest.approx(np.mean(areas), abs=2e-6),
        "sd": pytest.approx(np.std(areas, ddof=1), abs=2e-6),
        "folds": 4,
    }


def test_a_fold_that_does_not_define_a_measure_is_left_out_of_its_mean() -> None:
    table = predictions(80, TWO, folds=4)
    table.loc[table["fold"] == "1", ["class", "source"]] = ["normal", "b"]
    found = metrics_of(table, TWO)
    assert found["folds"]["1"]["auroc"] is None
    areas = [found["folds"][name]["auroc"] for name in "023"]
    assert found["mean_of_folds"]["auroc"]["mean"] == pytest.approx(np.mean(areas), abs=2e-6)
    assert found["mean_of_folds"]["auroc"]["folds"] == 3
    assert found["mean_of_folds"]["accuracy"]["folds"] == 4


def test_ten_folds_are_in_the_order_of_their_numbers() -> None:
    assert list(metrics_of(predictions(240, TWO, folds=12), TWO)["folds"]) == [str(n) for n in range(12)]


def test_every_source_is_measured_and_one_of_a_single_class_says_so(found: dict[str, Any]) -> None:
    assert set(found["by_source"]) == {"a", "b", "both"}
    assert found["by_source"]["both"]["auroc_95_ci"][0] > 0.5
    assert found["by_source"]["a"]["undefined"]["auroc"] == "all films are covid"
    assert sum(part["n"] for part in found["by_source"].values()) == 200


def test_external_positives_of_one_place_are_set_against_negatives_of_another(found: dict[str, Any]) -> None:
    table = predictions(200, TWO, folds=4, external=80)
    assert set(found["external"]) == {
        *("all", "hospital 1", "hospital 2", "hospital 3"),
        *("covid of hospital 1, normal of hospital 2", "covid of hospital 1, normal of hospital 3"),
    }
    rows = table[table["source"].isin(["hospital 1", "hospital 2"])]
    pair = found["external"]["covid of hospital 1, normal of hospital 2"]
    assert pair["n"] == len(rows)
    assert pair["auroc"] == pytest.approx(judge.roc_auc_score(rows["class"] == "covid", rows["p_covid"]), abs=1e-6)
    assert found["external"]["all"]["n"] == 80


def test_no_number_is_not_a_number(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    three = predictions(60, THREE, folds=3, external=20)
    three.loc[three["fold"] == "2", "class"] = "covid"
    json.dumps(metrics_of(three, THREE), allow_nan=False)


def test_folds_of_a_run_without_films_of_its_own_are_none() -> None:
    external = predictions(40, TWO).assign(fold="external", source="elsewhere")
    found = metrics_of(external, TWO)
    assert (found["folds"], found["pooled"], found["by_source"]) == ({}, None, {})
    assert found["mean_of_folds"]["auroc"] == {"mean": None, "sd": None, "folds": 0}
    assert found["external"]["elsewhere"]["auroc"] > 0.5


def test_predictions_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    table = predictions(30, TWO, folds=3)
    table.loc[0, ["image_id", "group_id"]] = ["007", ""]
    table.loc[1, "source"] = "NA"
    table.to_csv(tmp_path / "predictions.csv", index=False)
    back = read_predictions(tmp_path / "predictions.csv", TWO)
    pd.testing.assert_frame_equal(back, table, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="p_normal"), "p_normal is missing"),
        (lambda table: table.iloc[:0], "no row"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "film-0 has two rows"),
        (lambda table: table.assign(**{"class": "measles"}), "measles is none of covid, normal"),
        (lambda table: table.assign(p_covid=0.9, p_normal=0.9), "film-0: its probabilities do not sum to 1"),
        (lambda table: table.assign(p_covid=np.nan), "film-0: its probabilities do not sum to 1"),
        (lambda table: table.assign(p_covid=-0.5, p_normal=1.5), "film-0: its probabilities do not sum to 1"),
    ],
)
def test_a_damaged_table_is_refused_by_its_file(change: Any, message: str, tmp_path: Path) -> None:
    change(predictions(12, TWO)).to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(DataError, match=f"predictions.csv: .*{message}"):
        read_predictions(tmp_path / "predictions.csv", TWO)


def test_predictions_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="finish the cross-validation first"):
        read_predictions(tmp_path / "predictions.csv", TWO)
