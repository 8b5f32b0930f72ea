"""Training, export and measuring end to end on phantoms, from made-up data folders to packages that answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lunglens.errors import DataError
from lunglens.film.analyzer import Analyzer
from lunglens.film.gate.look import look_at
from lunglens.film.gate.upright import guess_orientation
from lunglens.film.model_package.package import load_package, verify_package, write_description
from lunglens.film.orientation import ALL_ORIENTATIONS
from lunglens.film.preprocess import film_square
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config import load_config
from lunglens.train.networks.unet import UNet
from lunglens.train.stages import classifier_stage, covid_lungs_stage, gate_evaluation_stage, gate_stage, lungs_stage
from lunglens.train.stages_orientation import orientation_evaluation_stage, orientation_stage
from tests.phantom import chest

QUICK = load_config(Path(__file__).parents[2] / "src" / "lunglens" / "configs" / "quick.toml")


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
    assert set(package.description["parameters"]["gate"]) == {"frontal", "inverted"}


def test_predictions_of_the_run_are_those_of_the_package(
    phantom_root: Path, lungs_run: Path, classifier_run: Path
) -> None:
    """What training's torch path predicted and what the analysis answers agree to 1e-4, from file to probability."""
    analyzer = Analyzer.load(lungs_run / "package", classifier_run / "package")
    table = pd.read_csv(classifier_run / "predictions.csv")
    checked = 0
    for row in table.sample(frac=1, random_state=0).itertuples():
        if checked == 6:
            break
        film = read_radiograph(Path(row.path))
        look = look_at(film, analyzer.lungs, analyzer.orientation)
        if look.inverted or look.mirrored or not look.to_display.is_identity:
            continue
        answer = analyzer._classify(look)
        assert answer["covid_probability"] == pytest.approx(row.probability, abs=1e-4)
        checked += 1
    assert checked == 6


def test_classifier_split_is_by_group(classifier_run: Path) -> None:
    table = pd.read_csv(classifier_run / "manifest.csv")
    assert (table.groupby("group_id")["part"].nunique() == 1).all()
    assert set(table.loc[table["part"] == "external", "source"]) == {"montgomery", "shenzhen"}


def test_a_finished_run_goes_on_from_its_checkpoint(lungs_run: Path, phantom_root: Path) -> None:
    """Started again, a run that reached its last epoch trains nothing and gives the same weights."""
    first = load_package(lungs_run / "package").record.checksums
    gate = load_package(lungs_run / "package").description["parameters"]["gate"]
    lungs_stage(phantom_root, QUICK.lungs, lungs_run)
    again = load_package(lungs_run / "package")
    assert again.record.checksums == first
    description = {**again.description, "parameters": {**again.description["parameters"], "gate": gate}}
    write_description(lungs_run / "package", description)


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


@pytest.fixture(scope="module")
def orientation_run(phantom_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "orientation"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lunglens.train.gate.orientation_fit.STEPS", 25)
        orientation_stage(phantom_root, out, without="montgomery")
    return out


def test_orientation_is_measured_on_patients_and_hospitals_not_seen(orientation_run: Path) -> None:
    found = json.loads((orientation_run / "orientation.json").read_text())
    everything, elsewhere = found["out_of_fold"]["all"], found["trained without montgomery"]
    assert everything["n"] == sum(found["images"].values())
    assert elsewhere["n"] == found["images"]["montgomery"] == found["out_of_fold"]["montgomery"]["n"]
    # Phantoms are alike, and their heart is on one side: even so short a training tells them.
    assert everything["turned_found"] > 0.95
    assert everything["upright_taken_for_turned"] <= 0.02
    assert everything["upright_taken_for_mirrored"] <= 0.05
    assert len(found["data_fingerprint"]) == 64


def test_the_orientation_package_verifies_and_knows_a_phantom(orientation_run: Path) -> None:
    package = load_package(orientation_run / "package")
    assert verify_package(package) == []
    square = film_square(chest(7, 256)[0], 256)
    for way in ALL_ORIENTATIONS:
        assert guess_orientation(way.undo(square), package).quarter_turns == way.quarter_turns


def test_a_killed_orientation_run_goes_on(
    orientation_run: Path, phantom_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = sorted(orientation_run.glob("*/*.npy"))
    assert [path.stem for path in rounds] == ["fold-1", "fold-2", "fold-3", "without-montgomery"]
    before = [path.stat().st_mtime_ns for path in rounds]
    rounds[1].unlink()
    monkeypatch.setattr("lunglens.train.gate.orientation_fit.STEPS", 2)
    orientation_stage(phantom_root, orientation_run, without="montgomery")
    after = [path.stat().st_mtime_ns for path in rounds]
    assert [new == old for new, old in zip(after, before, strict=True)] == [True, False, True, True]


def test_the_whole_analysis_is_counted_in_all_eight_ways(phantom_root: Path, tmp_path: Path) -> None:
    orientation_evaluation_stage(None, [phantom_root / "shenzhen" / "CXR_png"], tmp_path, per_source=2)
    found = json.loads((tmp_path / "orientation-whole.json").read_text())["rates"]["unseen: shenzhen"]
    assert len(found) == 8
    for counts in found.values():
        assert counts["n"] == counts["right"] + counts["wrong"] + counts["refused"] == 2


def test_there_is_nothing_to_measure_without_films(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to measure"):
        orientation_evaluation_stage(None, [], tmp_path, per_source=2)
