"""Measures of lungs over a cross-validation, and the verdict on post-processing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lunglens.errors import DataError
from lunglens.evaluate import segmentation as module
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.segmentation import UNKNOWN_SPACING, read_lung_predictions
from tests.support.predictions import lung_predictions


def lung_metrics_of(table: pd.DataFrame) -> dict[str, Any]:
    """As they are written."""
    return module.lung_metrics_of(table).to_json()


def gain(table: pd.DataFrame, name: str, seed: int) -> dict[str, Any]:
    """As it is written."""
    return module.gain(table, name, seed).to_json()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return lung_metrics_of(lung_predictions())


def test_a_pooled_measure_has_its_mean_spread_and_interval_by_patient(found: dict[str, Any]) -> None:
    table = lung_predictions()
    dice = table["dice"].to_numpy()
    interval = bootstrap(lambda rows: float(dice[rows].mean()), table["group_id"].to_numpy(), digits=6)
    assert found["pooled"]["n"] == 60
    assert found["pooled"]["groups"] == 30
    assert found["pooled"]["dice"] == {
        "n": 60,
        "mean": pytest.approx(dice.mean(), abs=1e-6),
        "sd": pytest.approx(dice.std(ddof=1), abs=1e-6),
        "minimum": pytest.approx(dice.min(), abs=1e-6),
        "percentile_5": pytest.approx(np.percentile(dice, 5), abs=1e-6),
        "median": pytest.approx(np.median(dice), abs=1e-6),
        "percentile_95": pytest.approx(np.percentile(dice, 95), abs=1e-6),
        "maximum": pytest.approx(dice.max(), abs=1e-6),
        "worst_twentieth_mean": pytest.approx(np.sort(dice)[:3].mean(), abs=1e-6),
        "mean_95_ci": pytest.approx(interval),
    }


def test_millimetres_are_of_the_films_that_state_their_spacing(found: dict[str, Any]) -> None:
    assert found["pooled"]["hd95_mm"]["n"] == found["by_source"]["montgomery"]["n"] == 30
    unknown = found["by_source"]["shenzhen"]["hd95_mm"]
    assert (unknown["n"], unknown["mean"], unknown["mean_95_ci"]) == (0, None, None)
    assert unknown["undefined"] == UNKNOWN_SPACING


def test_the_mean_of_folds_is_that_of_their_means(found: dict[str, Any]) -> None:
    means = [found["folds"][name]["dice"]["mean"] for name in "012"]
    expected = pd.DataFrame(lung_predictions()).groupby("fold")["dice"].mean()
    assert means == pytest.approx(expected.tolist(), abs=1e-6)
    assert found["mean_of_folds"]["dice"]["mean"] == pytest.approx(np.mean(means), abs=2e-6)
    assert found["mean_of_folds"]["dice"]["sd"] == pytest.approx(np.std(means, ddof=1), abs=2e-6)


def test_films_of_another_site_are_measured_by_themselves() -> None:
    table = lung_predictions()
    table.loc[table["source"] == "shenzhen", "fold"] = "external"
    found = lung_metrics_of(table)
    assert list(found["external"]) == ["shenzhen"]
    assert list(found["by_source"]) == ["montgomery"]
    assert found["pooled"]["n"] == found["external"]["shenzhen"]["n"] == 30


def test_masks_of_two_rules_are_never_in_one_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "bootstrap", lambda *_, **__: None)  # takes long
    table = lung_predictions()
    table.loc[table["source"] == "shenzhen", "mask_rule"] = "region"
    found = lung_metrics_of(table)
    assert {rule: list(films) for rule, films in found["by_rule"].items()} == {
        "fields": ["all", "montgomery"],
        "region": ["all", "shenzhen"],
    }
    fields = lung_metrics_of(table[table["mask_rule"] == "fields"])
    for of_fields in ("folds", "mean_of_folds", "pooled", "post_processing"):
        assert found[of_fields] == fields[of_fields]
    region = table.loc[table["mask_rule"] == "region", "covered"]
    assert found["by_rule"]["region"]["all"]["covered"]["mean"] == pytest.approx(region.mean(), abs=1e-6)


def test_a_table_of_0_1_0_is_read_as_one_of_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "bootstrap", lambda *_, **__: None)
    old = lung_predictions().drop(columns=["mask_rule", "covered", "inside", "expected_dice"])
    old.to_csv(tmp_path / "predictions.csv", index=False)
    table = read_lung_predictions(tmp_path / "predictions.csv")
    assert set(table["mask_rule"]) == {"fields"}
    assert "covered" not in lung_metrics_of(table)["pooled"]


def test_post_processing_is_kept_only_where_the_interval_says_so(found: dict[str, Any]) -> None:
    verdicts = {name: part["verdict"] for name, part in found["post_processing"].items()}
    assert verdicts["hd95_px"] == "helps"
    assert verdicts["dice"] == verdicts["iou"] == verdicts["assd_mm"] == "undecided"
    change = found["post_processing"]["hd95_px"]
    assert change["change"] == pytest.approx(change["mean"] - change["raw_mean"], abs=2e-6)
    assert change["change_95_ci"][0] < change["change"] < change["change_95_ci"][1] < 0


def test_a_larger_dice_helps_and_a_larger_distance_hurts() -> None:
    table = lung_predictions()
    table["raw_dice"], table["raw_hd95_px"] = table["dice"] - 0.01, table["hd95_px"] - 1
    table["raw_iou"] = table["iou"] + 0.01
    assert gain(table, "dice", 0)["verdict"] == "helps"
    assert gain(table, "hd95_px", 0)["verdict"] == gain(table, "iou", 0)["verdict"] == "hurts"


def test_nothing_is_said_of_millimetres_that_nobody_knows() -> None:
    table = lung_predictions()
    told = gain(table[table["source"] == "shenzhen"], "hd95_mm", 0)
    assert (told["n"], told["change"], told["verdict"], told["undefined"]) == (0, None, "undecided", UNKNOWN_SPACING)


def test_one_patient_has_no_interval() -> None:
    found = module.lung_measures(lung_predictions().assign(group_id="p"), seed=0).to_json()
    assert found["dice"]["mean_95_ci"] is None
    assert "too few patients" in found["dice"]["undefined"]


def test_no_number_is_not_a_number(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_run_without_raw_masks_says_nothing_of_post_processing() -> None:
    table = lung_predictions()
    assert lung_metrics_of(table[[name for name in table if not name.startswith("raw_")]])["post_processing"] == {}


def test_predictions_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    table = lung_predictions()
    table.loc[0, "group_id"] = ""
    table.to_csv(tmp_path / "predictions.csv", index=False)
    pd.testing.assert_frame_equal(read_lung_predictions(tmp_path / "predictions.csv"), table, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="assd_mm"), "assd_mm is missing"),
        (lambda table: table.iloc[:0], "no row"),
        (lambda table: table.assign(dice=np.nan), "numbers are missing"),
        (lambda table: table.assign(dice="high"), "numbers are missing|could not convert"),
    ],
)
def test_a_damaged_table_is_refused_by_its_file(change: Any, message: str, tmp_path: Path) -> None:
    change(lung_predictions()).to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(DataError, match=f"predictions.csv: .*({message})"):
        read_lung_predictions(tmp_path / "predictions.csv")
    with pytest.raises(DataError, match="finish the cross-validation first"):
        read_lung_predictions(tmp_path / "none.csv")
