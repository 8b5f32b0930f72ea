"""Training, export and measuring end to end on phantoms, from made-up data folders to packages that answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lunglens.config import load_config
from lunglens.errors import DataError
from lunglens.package import load_package, verify_package
from lunglens.pipeline import Analyzer
from lunglens.radiograph import read_radiograph
from lunglens.segment.unet import UNet
from lunglens.stages import classifier_stage, covid_lungs_stage, gate_evaluation_stage, gate_stage, lungs_stage

QUICK = load_config(Path(__file__).parents[1] / "configs" / "quick.toml")


@pytest.fixture(scope="module")
def lungs_run(phantom_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "lungs"
    lungs_stage(phantom_root, QUICK.lungs, out)
    gate_stage(phantom_root, out / "package")
    return out


@pytest.fixture(scope="module")
def classifier_run(phantom_root: Path, lungs_run: Path) -> Path:
    out = lungs_run.parent / "classifier"
    classifier_stage(phantom_root, QUICK.classifier, lungs_run / "package", out)
    return out


def test_lungs_stage_measures_held_out_patients_only(lungs_run: Path) -> None:
    table = pd.read_csv(lungs_run / "manifest.csv")
    measured = pd.read_csv(lungs_run / "test.csv")
    assert set(measured["group_id"]).isdisjoint(table.loc[table["part"] != "test", "group_id"])
    metrics = json.loads((lungs_run / "metrics.json").read_text())
    assert metrics["test"]["all dice"]["n"] == len(measured) == (table["part"] == "test").sum()
    assert metrics["test"]["all dice"]["mean"] == pytest.approx(measured["dice"].mean(), abs=1e-4)
    assert len(metrics["data_fingerprint"]) == 64


def test_packages_verify(lungs_run: Path, classifier_run: Path) -> None:
    for folder in (lungs_run / "package", classifier_run / "package"):
        assert verify_package(load_package(folder)) == []


def test_gate_rates_are_out_of_fold_and_in_the_package(lungs_run: Path) -> None:
    package = load_package(lungs_run / "package")
    rates = package.description["provenance"]["gate"]["out_of_fold"]["refused_by_frontal_check"]
    assert {"film", "lateral", "CT", "spoiled", "synthetic"} <= rates.keys()
    assert set(package.parameters["gate"]) == {"frontal", "inverted"}


def test_predictions_of_the_run_are_those_of_the_package(
    phantom_root: Path, lungs_run: Path, classifier_run: Path
) -> None:
    """What training's torch path predicted and what the analysis answers agree to 1e-4, from file to probability."""
    analyzer = Analyzer.load(lungs_run / "package", classifier_run / "package")
    table = pd.read_csv(classifier_run / "predictions.csv")
    checked = 0
    for row in table.sample(20, random_state=0).itertuples():
        film = read_radiograph(Path(row.path))
        segmentation, _, inverted = analyzer._look(film)
        if inverted:
            continue
        answer = analyzer._classify(film, segmentation, inverted=False)
        assert answer["covid_probability"] == pytest.approx(row.probability, abs=1e-4)
        checked += 1
    assert checked >= 6


def test_classifier_split_is_by_group(classifier_run: Path) -> None:
    table = pd.read_csv(classifier_run / "manifest.csv")
    assert (table.groupby("group_id")["part"].nunique() == 1).all()
    assert set(table.loc[table["part"] == "external", "source"]) == {"montgomery", "shenzhen"}


def test_a_finished_run_goes_on_from_its_checkpoint(lungs_run: Path, phantom_root: Path) -> None:
    """Started again, a run that reached its last epoch trains nothing and gives the same weights."""
    first = load_package(lungs_run / "package").description["checksums"]
    gate = load_package(lungs_run / "package").parameters["gate"]
    lungs_stage(phantom_root, QUICK.lungs, lungs_run)
    again = load_package(lungs_run / "package")
    assert again.description["checksums"] == first
    description = {**again.description, "parameters": {**again.parameters, "gate": gate}}
    (lungs_run / "package" / "package.json").write_text(json.dumps(description))


def test_measuring_stages_write_their_tables(phantom_root: Path, lungs_run: Path, tmp_path: Path) -> None:
    covid_lungs_stage(phantom_root, lungs_run / "package", tmp_path)
    found = json.loads((tmp_path / "covid-lungs.json").read_text())
    assert found["fields_dice"]["n"] == 24
    assert found["region_covered"]["mean"] >= found["fields_covered"]["mean"]
    gate_evaluation_stage(phantom_root, lungs_run / "package", tmp_path, None)
    gate = json.loads((tmp_path / "gate.json").read_text())
    table = pd.read_csv(tmp_path / "gate.csv")
    assert gate["refused"]["film"] == pytest.approx(
        table.loc[table["kind"] == "film", "reason"].notna().mean(), abs=1e-4
    )


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="montgomery"):
        lungs_stage(tmp_path, QUICK.lungs, tmp_path / "out")


def test_lung_package_computes_what_the_trained_unet_computes(lungs_run: Path) -> None:
    state = torch.load(lungs_run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    unet = UNet(QUICK.lungs.base_channels).eval()
    unet.load_state_dict({name.removeprefix("unet."): value for name, value in state.items()})
    images = np.random.default_rng(0).random((2, 1, 64, 64)).astype(np.float32)
    with torch.inference_mode():
        expected = unet(torch.from_numpy(images)).sigmoid().numpy()
    found = load_package(lungs_run / "package").run(images)["probability"]
    assert np.abs(found - expected).max() < 1e-4
