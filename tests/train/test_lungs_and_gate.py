"""Lungs, gate and orientation end to end on phantoms: trained, exported, measured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from lunglens.errors import DataError, ModelPackageError
from lunglens.film.gate.upright import guess_orientation
from lunglens.film.model_package.package import load_package, shipped_models, verify_package, write_description
from lunglens.film.orientation import ALL_ORIENTATIONS
from lunglens.film.preprocess import film_square
from lunglens.study.config import load_config
from lunglens.study.config.study import OwnSource
from lunglens.study.config.training import Damage
from lunglens.train.gate.orientation import learn_orientation
from lunglens.train.gate.orientation_whole import measure_orientation
from lunglens.train.gate.run import learn_gate, measure_gate
from lunglens.train.lungs.held_out import fit_lungs
from lunglens.train.lungs.measure import measure_lungs
from lunglens.train.lungs.training import masked_films
from lunglens.train.networks.unet import UNet
from tests.support.phantom import chest

QUICK = load_config("quick")
TWO = QUICK.lungs.model_copy(
    update={
        "masks": ("fields", "region"),
        "sources": ("montgomery", "shenzhen", "covid-chestxray-dataset"),
        "damage": Damage(opacity_probability=1, border_probability=1, line_probability=1, marker_probability=1),
    }
)
CONSOLE = Console(quiet=True)


@pytest.fixture(scope="module")
def lungs_run(phantom_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "lungs"
    fit_lungs(phantom_root, TWO, out, CONSOLE)
    learn_gate(phantom_root, out / "package", CONSOLE)
    return out


def test_lungs_stage_measures_held_out_patients_only(lungs_run: Path) -> None:
    table = pd.read_csv(lungs_run / "manifest.csv")
    measured = pd.read_csv(lungs_run / "test.csv")
    assert set(measured["group_id"]).isdisjoint(table.loc[table["part"] != "test", "group_id"])
    metrics = json.loads((lungs_run / "metrics.json").read_text())
    assert metrics["test"].keys() == {"fields", "region"}
    for rule, found in metrics["test"].items():
        films = measured[measured["mask_rule"] == rule]
        assert (
            found["all"]["dice"]["n"] == len(films) == (table.loc[table["part"] == "test", "mask_rule"] == rule).sum()
        )
        assert found["all"]["dice"]["mean"] == pytest.approx(films["dice"].mean(), abs=1e-4)
    assert len(metrics["data_fingerprint"]) == 64


def test_a_network_of_fields_alone_refuses_masks_of_the_whole_lung(phantom_root: Path) -> None:
    sources = ("montgomery", "covid-chestxray-dataset")
    with pytest.raises(DataError, match=r"covid0\.png: .*rule region"):
        masked_films(phantom_root, QUICK.lungs.model_copy(update={"sources": sources}))


def test_films_and_masks_of_one_s_own_are_trained_on(phantom_root: Path, tmp_path: Path) -> None:
    table = "image;mask;patient\nf/MCUCXR_0000_0.png;m/MCUCXR_0000_0.png;7\nf/MCUCXR_0001_1.png;;8\n"
    for folder, source in (("f", "CXR_png"), ("m", "mask")):
        shutil.copytree(phantom_root / "montgomery" / source, tmp_path / "clinic" / folder)
    (tmp_path / "clinic" / "t.csv").write_text(table)
    own = OwnSource(name="clinic", kind="table", table="t.csv")
    films = masked_films(tmp_path, QUICK.lungs.model_copy(update={"sources": ("clinic",), "own": (own,)}))
    assert list(films["group_id"]) == ["clinic-7"]
    with pytest.raises(DataError, match="no film of clinic has a lung mask"):
        (tmp_path / "clinic" / "t.csv").write_text("image\nf/MCUCXR_0000_0.png\n")
        masked_films(tmp_path, QUICK.lungs.model_copy(update={"sources": ("clinic",), "own": (own,)}))


def test_the_package_verifies_and_says_which_masks_it_gives(lungs_run: Path) -> None:
    package = load_package(lungs_run / "package")
    assert verify_package(package) == []
    assert package.parameters.masks == ["fields", "region"]
    assert package.parameters.postprocess.region == "network"
    assert package.parameters.doubtful_below is not None
    metrics = json.loads((lungs_run / "metrics.json").read_text())["test"]
    expected = [metrics[rule]["all"]["expected"]["doubtful_below"] or 0.0 for rule in package.parameters.masks]
    assert package.parameters.doubtful_below == expected
    assert package.name.startswith("lungs-unet4-64-two ")


def test_gate_rates_are_out_of_fold_and_in_the_package(lungs_run: Path) -> None:
    package = load_package(lungs_run / "package")
    rates = package.description["provenance"]["gate"]["out_of_fold"]["refused_by_frontal_check"]
    assert {"film", "lateral", "CT", "spoiled", "synthetic"} <= rates.keys()
    assert set(package.description["parameters"]["gate"]) == {"frontal", "inverted", "traits"}


def test_what_films_look_like_is_learned_where_there_are_such_films(lungs_run: Path) -> None:
    package = load_package(lungs_run / "package")
    assert package.parameters.gate is not None
    rates = package.description["provenance"]["gate"]["out_of_fold"]
    traits = package.parameters.gate.traits
    assert {"over-exposed", "under-exposed", "moved"} <= set(traits)
    for name, check in traits.items():
        report = rates[f"taken_for_{name}"]
        assert check.threshold == pytest.approx(report["threshold"], abs=1e-4)
        assert ("PA" if name == "ap" else "film") in report


def test_a_finished_run_goes_on_from_its_checkpoint(lungs_run: Path, phantom_root: Path) -> None:
    """Started again, a run that reached its last epoch trains nothing and gives the same weights."""
    first = load_package(lungs_run / "package").record.checksums
    gate = load_package(lungs_run / "package").description["parameters"]["gate"]
    fit_lungs(phantom_root, TWO, lungs_run, CONSOLE)
    again = load_package(lungs_run / "package")
    assert again.record.checksums == first
    description = {**again.description, "parameters": {**again.description["parameters"], "gate": gate}}
    write_description(lungs_run / "package", description)


def test_measuring_stages_write_their_tables(phantom_root: Path, lungs_run: Path, tmp_path: Path) -> None:
    package = load_package(lungs_run / "package")
    found = measure_lungs(phantom_root, package, ("montgomery", "covid-chestxray-dataset"), tmp_path, CONSOLE)
    written = json.loads((tmp_path / "lungs.json").read_text())
    assert written["measured"] == found
    assert written["trained_on"] == ["covid-chestxray-dataset", "montgomery"]
    table = pd.read_csv(tmp_path / "lungs.csv").set_index("mask_rule")
    for rule, n in (("fields", 12), ("region", 24)):
        assert found[rule]["all"]["covered"]["n"] == len(table.loc[rule]) == n
        assert found[rule]["all"]["inside"]["mean"] == pytest.approx(table.loc[rule, "inside"].mean(), abs=1e-4)
    with pytest.raises(ModelPackageError, match="for classification; give one for lungs"):
        measure_lungs(phantom_root, load_package(shipped_models() / "classifier"), (), tmp_path, CONSOLE)
    measure_gate(phantom_root, lungs_run / "package", tmp_path, None, CONSOLE)
    gate = json.loads((tmp_path / "gate.json").read_text())
    table = pd.read_csv(tmp_path / "gate.csv")
    assert gate["refused"]["film"] == pytest.approx(
        table.loc[table["kind"] == "film", "reason"].notna().mean(), abs=1e-4
    )


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="montgomery"):
        fit_lungs(tmp_path, QUICK.lungs, tmp_path / "out", CONSOLE)


def test_lung_package_computes_what_the_trained_unet_computes(lungs_run: Path) -> None:
    state = torch.load(lungs_run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    unet = UNet(QUICK.lungs.base_channels, masks=2).eval()
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
        patch.setattr("lunglens.train.gate.orientation.STEPS", 25)
        patch.setattr("lunglens.train.gate.orientation.FOLDS", 2)
        learn_orientation(phantom_root, out, without="montgomery", console=CONSOLE)
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
    assert [path.stem for path in rounds] == ["fold-1", "fold-2", "without-montgomery"]
    before = [path.stat().st_mtime_ns for path in rounds]
    rounds[1].unlink()
    monkeypatch.setattr("lunglens.train.gate.orientation.STEPS", 2)
    monkeypatch.setattr("lunglens.train.gate.orientation.FOLDS", 2)
    learn_orientation(phantom_root, orientation_run, without="montgomery", console=CONSOLE)
    after = [path.stat().st_mtime_ns for path in rounds]
    assert [new == old for new, old in zip(after, before, strict=True)] == [True, False, True]


def test_the_whole_analysis_is_counted_in_all_eight_ways(phantom_root: Path, tmp_path: Path) -> None:
    measure_orientation(None, [phantom_root / "shenzhen" / "CXR_png"], tmp_path, 2, CONSOLE)
    found = json.loads((tmp_path / "orientation-whole.json").read_text())["rates"]["unseen: shenzhen"]
    assert len(found) == 8
    for counts in found.values():
        assert counts["n"] == counts["right"] + counts["wrong"] + counts["refused"] == 2


def test_there_is_nothing_to_measure_without_films(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to measure"):
        measure_orientation(None, [], tmp_path, 2, CONSOLE)
