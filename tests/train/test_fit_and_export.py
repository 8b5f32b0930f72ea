"""One model of a study, packages of runs, and what they answer: the same in torch and in ONNX."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError, DataError, OutputError
from lunglens.film.model_package.package import golden_input, load_package, verify_package
from lunglens.study.config import load_config
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, parts_of, read_folds, write_folds
from lunglens.train import StudyDataset, crossval_classifier, export_run, fit_classifier, measure_package
from lunglens.train.crossval.average import average_runs
from lunglens.train.crossval.run_folder import FoldsFailedError
from tests.support.published import text
from tests.support.runs import run_here
from tests.support.study_folder import study_folder

# Pooled by the region and with opacity, which go all the way; what pools all places is exported in test_weights.py.
CHANGES = ["classifier.backbone=test_resnet", "classifier.optimization.epochs=1"]
CHANGES += ["classifier.view.pool=region", "classifier.opacity_loss=0.5"]
CONFIG = load_config("quick", CHANGES).classifier
CONSOLE = Console(quiet=True)


def probabilities(run: Path) -> "pd.Series[float]":
    table = pd.read_csv(run / "predictions.csv")
    return table.set_index("image_id")[next(name for name in table if name.startswith("p_"))].sort_index()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes in two sources, and four films of a third source that is external."""
    folder = study_folder(tmp_path_factory.mktemp("study"), both=True)
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[table.index.isin([0, 1, 22, 23]), "source"] = "far"
    table["opacity"] = table["class"].map({"covid": "1", "other": "0"}).where(table.index > 0, "")
    table.to_csv(folder / "manifest.csv", index=False)
    write_folds(load_study(folder), FoldSettings(folds=2, external=("far",)))
    return folder


@pytest.fixture(scope="module")
def fitted(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "fit"
    fit_classifier(load_study(study), CONFIG, out, run_here, CONSOLE)
    return out


@pytest.fixture(scope="module")
def crossed(study: Path, fitted: Path) -> Path:
    """Fold after fold, as two tasks of a cluster would do it; the second puts all together."""
    out = fitted.parent / "crossval"
    with pytest.raises(DataError, match="no fold 7"):
        crossval_classifier(load_study(study), CONFIG, out, run_here, CONSOLE, only="7")
    assert crossval_classifier(load_study(study), CONFIG, out, run_here, CONSOLE, only="0") is None
    assert not (out / "metrics.json").exists()
    assert crossval_classifier(load_study(study), CONFIG, out, run_here, CONSOLE, only="1") is not None
    return out


def test_fit_trains_on_all_but_external_films_and_says_how_it_does_on_both(study: Path, fitted: Path) -> None:
    folds = read_folds(load_study(study))
    parts = parts_of(folds, "validation", CONFIG.optimization.seed)
    assert set(folds.loc[parts == "test", "source"]) == {"far"}
    assert not set(folds.loc[parts == "train", "group_id"]) & set(folds.loc[parts == "validation", "group_id"])
    assert (parts == "train").sum() + (parts == "validation").sum() == 20
    table = pd.read_csv(fitted / "predictions.csv")
    assert sorted(table["image_id"]) == sorted(folds.loc[parts.isin(["validation", "test"]), "image_id"])
    metrics = json.loads((fitted / "metrics.json").read_text())
    assert metrics["pooled"]["n"] == (parts == "validation").sum()
    assert metrics["external"]["far"]["n"] == 4
    assert json.loads((fitted / "run.json").read_text())["folds"] == ["validation"]
    assert (fitted / "figures" / "curves.svg").is_file()


def test_a_study_without_folds_is_trained_on_whole(tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 4))
    assert len(StudyDataset(study, "train")) + len(StudyDataset(study, "validation")) == len(study.table)
    assert len(StudyDataset(study, "test")) == 0


def test_films_without_patients_are_sent_to_the_folds_first(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study")
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table.assign(group_id="").to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(DataError, match=r"films have no patient; say first what they are: lunglens folds .*study"):
        fit_classifier(load_study(folder), CONFIG, tmp_path / "run", run_here, CONSOLE)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "resnet"}, "none of timm's networks"),
        ({"class_weights": (1.0, 2.0, 3.0)}, "3 numbers for 2 classes"),
        ({"freeze": ("nosuch",)}, "no parameter begins with nosuch"),
        ({"pretrained": "/nowhere"}, "is no file of weights"),
    ],
)
def test_what_no_fold_could_begin_with_is_said_before_there_is_a_run(
    study: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        fit_classifier(load_study(study), CONFIG.model_copy(update=change), tmp_path / "run", run_here, CONSOLE)
    assert not (tmp_path / "run").exists()


def test_a_study_is_a_torch_dataset(study: Path) -> None:
    films = StudyDataset(load_study(study), "test", CONFIG.view, fold="0")
    image, number = films[0]
    assert image.shape == (2, 64, 64)
    assert not image[0][image[1] == 0].any()
    assert (image.min() >= 0, image.max() <= 1, image.dtype) == (True, True, torch.float32)
    assert load_study(study).classes[number] == films.table["class"][0]
    assert "far" in set(films.table["source"])
    assert len(StudyDataset(load_study(study))) == 24


@pytest.fixture(scope="module")
def package(fitted: Path) -> Path:
    export_run(fitted, fitted.parent / "package")
    return fitted.parent / "package"


def test_the_package_says_what_it_answers_where_from_and_how_well(study: Path, fitted: Path, package: Path) -> None:
    found = load_package(package, "classification")
    assert verify_package(found) == []
    answer = found.parameters.answer
    assert ([entry.name for entry in answer.classes], answer.activation) == (["covid", "other"], "sigmoid")
    table = pd.read_csv(fitted / "predictions.csv").query("fold == 'validation'")
    called = table["p_covid"] >= answer.threshold
    everything = [table["p_covid"] >= cut for cut in [0, *table["p_covid"]]]
    positive = table["class"] == "covid"
    youden = [calls[positive].mean() - calls[~positive].mean() for calls in [called, *everything]]
    assert youden[0] == pytest.approx(max(youden))
    assert found.record.origin.data["fingerprint"] == load_study(study).fingerprint
    assert (found.record.origin.pretrained, found.record.origin.members) == ("none", 1)
    assert golden_input(64, found.parameters.channels).shape == (1, 2, 64, 64)
    metrics = found.record.provenance["metrics"]
    assert metrics["never trained on: far"]["n"] == 4
    assert {row.films for row in found.record.measured.rows} >= {"never trained on: far"}
    assert "flatter" in str(found.record.measured.on)


def test_the_second_answer_is_measured_where_the_truth_is_known(fitted: Path, package: Path) -> None:
    found = load_package(package, "classification")
    opacity = found.record.provenance["opacity"]
    assert found.parameters.opacity.threshold == opacity["threshold"]
    films = pd.read_csv(fitted / "films.csv", dtype=str, keep_default_na=False)
    known = films[(films["opacity"] != "") & (films["source"] == "far")]
    assert opacity["measured"]["never trained on: far"]["n"] == len(known) == 3
    answers = pd.read_csv(fitted / "predictions.csv")["opacity_probability"]
    assert answers.between(0, 1).all()
    assert answers.nunique() > 1
    assert "any opacity" in (package / "README.md").read_text()


def test_the_card_is_written_with_it(package: Path) -> None:
    card = (package / "README.md").read_text()
    for heading in ("Intended use", "Training data", "Licence", "Measured", "Limits"):
        assert f"## {heading}" in card
    for words in ("Not a medical device", "COVID-19 or other", "| far | covid | tested on only | 2 | 2 |", "CC0; Doe"):
        assert words in card
    assert "abababababababab" in card
    assert "never trained on: far" in card


def test_a_run_of_version_0_1_0_makes_a_package_too(fitted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    about = json.loads((run / "run.json").read_text())
    for key in ("pretrained", "freeze", "trunk_rate", "class_weights"):
        del about["config"][key]
    (run / "run.json").write_text(json.dumps(about))
    export_run(run, tmp_path / "package")
    assert "test_resnet" in (tmp_path / "package" / "README.md").read_text()


def test_measuring_the_package_gives_what_the_run_predicted(
    study: Path, fitted: Path, package: Path, tmp_path: Path
) -> None:
    lines = ("000.png,0,0,1024,1024", "001.png,0,0,1,1", "far.png,0,0,9,9")
    table = text(tmp_path / "boxes.csv", "Image Index,x,y,width,height", *lines)
    out = tmp_path / "measured"
    arguments = ["measure", str(package), str(study), "--out", str(out), "--boxes", str(table)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    again, before = probabilities(out), probabilities(fitted)
    assert np.allclose(again[before.index], before, atol=1e-4)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["external"]["all"]["n"] == 24
    at, boxes = metrics["at_threshold"], metrics["boxes"]
    assert at["rows"][0]["films"] == "all"
    healthy = pd.read_csv(out / "predictions.csv").query("`class` == 'other'")["p_covid"]
    assert at["false_alarms"]["all"]["called"] == (healthy >= at["threshold"]).sum()
    assert boxes["all"]["n"] + boxes["all"]["without_heat"] == 2
    assert boxes["all"]["area_share"] == (
        0.5 if boxes["all"]["n"] == 2 else None
    )  # one film's lungs, none of another's
    called = (again[["here-000", "there-001"]] >= at["threshold"]).sum()
    assert boxes["called"]["n"] + boxes["called"]["without_heat"] == called


def test_boxes_on_no_film_of_the_study_are_refused_before_any_is_predicted(
    study: Path, package: Path, tmp_path: Path
) -> None:
    table = text(tmp_path / "boxes.csv", "Image Index,x,y,width,height", "far.png,0,0,9,9")
    with pytest.raises(DataError, match=f"none of its films is in the study {study}"):
        measure_package(load_package(package, "classification"), load_study(study), tmp_path, CONSOLE, table)
    assert list(tmp_path.iterdir()) == [table]


def test_a_package_of_other_classes_is_not_measured_on_a_study(package: Path, study: Path, tmp_path: Path) -> None:
    found = load_study(study)
    other = replace(found, record=found.record.model_copy(update={"classes": ("tuberculosis", "other")}))
    with pytest.raises(DataError, match="tuberculosis"):
        measure_package(load_package(package, "classification"), other, tmp_path, CONSOLE)


def test_of_several_folds_one_or_all_must_be_chosen(crossed: Path, fitted: Path, tmp_path: Path) -> None:
    for how in ({}, {"fold": "0", "ensemble": True}):
        with pytest.raises(DataError, match="2 models"):
            export_run(crossed, tmp_path / "package", **how)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no fold 7"):
        export_run(crossed, tmp_path / "package", fold="7")


def test_an_ensemble_answers_with_the_mean_of_its_members(study: Path, crossed: Path, tmp_path: Path) -> None:
    """The external films of a run are predicted by all its folds: their mean is what the ensemble must answer."""
    answers = {}
    for fold in ("0", None):
        export_run(crossed, tmp_path / str(fold), fold=fold, ensemble=fold is None)
        package = load_package(tmp_path / str(fold), "classification")
        measure_package(package, load_study(study), tmp_path / "measured", CONSOLE)
        answers[fold] = probabilities(tmp_path / "measured")
    for fold, run in (("0", crossed / "folds" / "0"), (None, crossed)):
        external = pd.read_csv(run / "predictions.csv").query("fold == 'external'").set_index("image_id")["p_covid"]
        assert len(external) == 4
        assert np.allclose(answers[fold][external.index], external, atol=1e-4)
    ensemble = load_package(tmp_path / "None", "classification").record
    assert ensemble.origin.members == 2
    assert ensemble.provenance["metrics"]["out of fold"]["n"] == 20
    assert load_package(tmp_path / "0", "classification").record.provenance["metrics"]["out of fold"]["n"] == 10
    assert not (tmp_path / "None" / "weights.safetensors").exists()
    # The films of the folds choose the opacity's threshold, never the external ones.
    assert "out of fold" in ensemble.provenance["opacity"]["measured"]


def test_runs_are_averaged_fold_by_fold(study: Path, crossed: Path, tmp_path: Path) -> None:
    from lunglens.train.classifier import load_trained

    other = CONFIG.model_copy(update={"hard_negatives": 4.0, "opacity_loss": 1.0})
    runs = [crossed, tmp_path / "other"]
    crossval_classifier(load_study(study), other, runs[1], run_here, CONSOLE)
    out = tmp_path / "mean"
    metrics = average_runs(runs, out, run_here, CONSOLE)
    assert average_runs(runs, out, run_here, CONSOLE) == metrics
    for fold in ("0", "1"):
        one, two, mean = (
            dict(load_trained(CONFIG, run / "folds" / fold).classifier.named_parameters()) for run in (*runs, out)
        )
        assert all(torch.allclose(mean[name], (one[name] + two[name]) / 2, atol=1e-6) for name in mean)
        assert any(not torch.equal(one[name], two[name]) for name in mean)
    assert set(probabilities(out).index) == set(probabilities(crossed).index)

    export_run(out, tmp_path / "package", ensemble=True)
    record = load_package(tmp_path / "package", "classification").record
    assert (record.origin.members, record.origin.averaged) == (2, 2)
    assert [config["hard_negatives"] for config in record.provenance["averaged"]] == [1.0, 4.0]
    assert "the mean of 2 trainings'" in (tmp_path / "package" / "README.md").read_text()
    with pytest.raises(OutputError, match="another model"):
        crossval_classifier(load_study(study), CONFIG, out, run_here, CONSOLE)
    with pytest.raises(OutputError, match="another config, averaged"):
        average_runs(runs[::-1], out, run_here, CONSOLE)


def test_runs_that_do_not_go_together_are_not_averaged(
    study: Path, crossed: Path, fitted: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="is one run"):
        average_runs([crossed], tmp_path / "mean", run_here, CONSOLE)
    with pytest.raises(DataError, match="another folds"):
        average_runs([crossed, fitted], tmp_path / "mean", run_here, CONSOLE)
    other = shutil.copytree(crossed, tmp_path / "other")
    films = pd.read_csv(other / "films.csv", dtype=str)
    films.assign(fold=films["fold"].replace({"0": "1", "1": "0"})).to_csv(other / "films.csv", index=False)
    with pytest.raises(DataError, match="folded otherwise"):
        average_runs([crossed, other], tmp_path / "mean", run_here, CONSOLE)
    (other / "images.npy").unlink()
    with pytest.raises(DataError, match="views of its films are gone"):
        average_runs([other, crossed], tmp_path / "mean", run_here, CONSOLE)
    assert not (tmp_path / "mean").exists()
    simpler = CONFIG.model_copy(update={"opacity_loss": 0.0})
    crossval_classifier(load_study(study), simpler, tmp_path / "simpler", run_here, CONSOLE)
    with pytest.raises(FoldsFailedError, match="not of one shape"):
        average_runs([crossed, tmp_path / "simpler"], tmp_path / "mean", run_here, CONSOLE)


def test_a_training_begins_with_the_weights_of_a_package_and_is_taught_by_another_run(
    study: Path, package: Path, crossed: Path, tmp_path: Path
) -> None:
    from lunglens.train.classifier import load_trained

    changes = {"pretrained": str(package), "freeze": 99, "teacher": (str(crossed),), "group_dro": 0.1}
    config = CONFIG.model_copy(update=changes | {"balance_power": 0.5, "hard_negatives": 2.0, "decorrelate": 0.1})
    fit_classifier(load_study(study), config, tmp_path / "run", run_here, CONSOLE)
    trunk = load_trained(config, tmp_path / "run" / "folds" / "validation").classifier.streams.state_dict()
    from safetensors.torch import load_file

    films = pd.read_csv(tmp_path / "run" / "films.csv").set_index("image_id")["taught"].sort_index()
    assert np.allclose(films, probabilities(crossed)[films.index], atol=1e-6)
    begun = load_file(package / "weights.safetensors")
    assert all(torch.equal(value, begun[f"streams.{name}"]) for name, value in trunk.items())
