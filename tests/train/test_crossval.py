"""Cross-validation on phantoms: every film once, no patient on both sides, killed and gone on to the last digit."""

import json
import multiprocessing
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from lunglens.errors import DataError, OutputError
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, make_folds, parts_of, read_folds, write_folds
from lunglens.train.crossval import classifier as crossval
from lunglens.train.crossval.lungs import crossval_lungs
from lunglens.train.crossval.run_folder import describe
from tests.support.runs import run_here
from tests.support.study_folder import study_folder

CHANGES = ["classifier.backbone=test_resnet", "classifier.optimization.epochs=6"]
QUICK = load_config("quick", CHANGES)
CONSOLE = Console(quiet=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = study_folder(tmp_path_factory.mktemp("study"), both=True)
    write_folds(load_study(folder), FoldSettings(folds=3, external=()))
    return folder


@pytest.fixture(scope="module")
def run(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "classifier"
    crossval.crossval_classifier(load_study(study), QUICK.classifier, out, run_here, CONSOLE)
    return out


def test_every_film_is_predicted_once_by_a_model_that_has_not_seen_its_patient(study: Path, run: Path) -> None:
    predictions = pd.read_csv(run / "predictions.csv", dtype={"fold": str})
    films = load_study(study).table
    assert sorted(predictions["image_id"]) == sorted(films["image_id"])
    assert np.allclose(predictions["p_covid"] + predictions["p_other"], 1)
    folds = read_folds(load_study(study))
    for fold in ("0", "1", "2"):
        parts = parts_of(folds, fold, QUICK.classifier.optimization.seed)
        groups = [set(folds.loc[parts == part, "group_id"]) for part in ("train", "validation", "test")]
        assert all(groups)
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_the_run_says_what_it_is_and_measures_what_it_predicted(study: Path, run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    assert about["study"]["fingerprint"] == json.loads((study / "study.json").read_text())["fingerprint"]
    assert about["folds"] == ["0", "1", "2"]
    assert about["parameters"] > 300_000
    assert about["gflops"] > 0
    metrics = json.loads((run / "metrics.json").read_text())
    predictions = pd.read_csv(run / "predictions.csv")
    right = ((predictions["p_covid"] >= 0.5) == (predictions["class"] == "covid")).mean()
    assert metrics["pooled"]["accuracy"] == pytest.approx(right, abs=1e-4)
    assert set(metrics["folds"]) == {"0", "1", "2"}
    assert {path.name for path in (run / "figures").iterdir()} >= {"curves.svg", "confusion.svg", "roc.svg"}
    assert (run / "table6.md").read_text().count("\n") > 4


def test_finished_folds_are_not_run_again_and_another_run_is_refused(study: Path, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("folds/*/result.json")}
    crossval.crossval_classifier(load_study(study), QUICK.classifier, run, run_here, CONSOLE)
    assert {path: path.stat().st_mtime_ns for path in run.glob("folds/*/result.json")} == before
    other = QUICK.classifier.model_copy(update={"dropout": 0.25})
    with pytest.raises(OutputError, match="another config"):
        crossval.crossval_classifier(load_study(study), other, run, run_here, CONSOLE)


def test_a_run_of_an_earlier_version_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    """It lacks the keys that have come since: they have their usual values, and no others."""
    now = QUICK.classifier.model_dump(mode="json")
    earlier = json.loads(json.dumps(now))
    del earlier["view"]["pool"], earlier["source_head"]
    describe("classifier", {"config": earlier}, tmp_path)
    again = describe("classifier", {"config": now}, tmp_path, ClassifierConfig.of_run)
    assert again["config"] == earlier
    for other in (now | {"source_head": 1.0}, now | {"dropout": 0.25}):
        with pytest.raises(OutputError, match="another config"):
            describe("classifier", {"config": other}, tmp_path, ClassifierConfig.of_run)


def test_killed_in_a_fold_and_started_again_ends_with_the_same_digits(study: Path, run: Path) -> None:
    before = {name: (run / name).read_bytes() for name in ("predictions.csv", "metrics.json")}
    for name in before:
        (run / name).unlink()
    shutil.rmtree(run / "folds" / "2")  # the other two are done
    again = partial(crossval.crossval_classifier, load_study(study), QUICK.classifier, run, run_here, CONSOLE)
    process = multiprocessing.get_context("fork").Process(target=again)
    process.start()
    checkpoint = run / "folds" / "2" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not checkpoint.exists():  # one of the third fold's six epochs is done
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not (run / "folds" / "2" / "result.json").exists()
    again()
    assert {name: (run / name).read_bytes() for name in before} == before


def test_the_views_are_the_study_s_films_under_their_masks(study: Path, run: Path) -> None:
    table = load_study(study).table.set_index("image_id")
    folds = read_folds(load_study(study))
    size = QUICK.classifier.view.input_size
    film = np.asarray(Image.open(study / table.loc[folds["image_id"].iloc[3], "film"]).resize((size, size)))
    shown = np.load(run / "images.npy")[3]
    assert np.corrcoef(film.ravel(), shown.ravel())[0, 1] > 0.95


def test_three_classes_uncut_with_an_external_source(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", both=True)
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[table.index % 3 == 0, "class"] = "third"
    table.loc[table.index >= 20, "source"] = "far"
    table.to_csv(folder / "manifest.csv", index=False)
    about = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(about | {"classes": ["covid", "other", "third"]}))
    study = load_study(folder)
    write_folds(study, FoldSettings(folds=2, external=("far",)))
    config = ClassifierConfig.model_validate(
        QUICK.classifier.model_dump()
        | {"optimization": QUICK.classifier.optimization.model_dump() | {"epochs": 1}}
        | {"view": QUICK.classifier.view.model_dump() | {"cut": False}}
    )
    metrics = crossval.crossval_classifier(study, config, tmp_path / "run", run_here, CONSOLE)
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert (predictions["fold"] == "external").sum() == 4
    assert np.allclose(predictions[["p_covid", "p_other", "p_third"]].sum(axis=1), 1, atol=1e-5)
    assert metrics.external
    assert json.loads((tmp_path / "run" / "run.json").read_text())["cut"] is False


def test_a_study_without_folds_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lunglens folds"):
        read_folds(load_study(study_folder(tmp_path / "study", 3)))


def test_lungs_are_segmented_out_of_fold(phantom_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "lungs"
    metrics = crossval_lungs(phantom_root, QUICK.lungs, FoldSettings(by="source"), out, run_here, CONSOLE)
    predictions = pd.read_csv(out / "predictions.csv", dtype={"fold": str})
    assert len(predictions) == len(list((out / "masks").iterdir())) == 24
    # Source after source: what is tested in fold 0 was not trained on there.
    assert predictions.groupby("fold")["source"].nunique().tolist() == [1, 1]
    assert metrics.pooled.dice.n == 24
    assert metrics.pooled.dice.mean == pytest.approx(predictions["dice"].mean(), abs=1e-4)
    assert metrics.post_processing["dice"].verdict in {"helps", "hurts", "undecided"}
    assert metrics.pooled.hd95_mm.undefined  # no spacing in a PNG
    assert (out / "worst" / "worst-20.png").is_file()
    assert not predictions[["path", "mask_path"]].stack().str.contains(str(phantom_root), regex=False).any()


def test_folds_do_not_depend_on_the_labels_order() -> None:
    table = pd.DataFrame({"image_id": list("abcdefgh"), "class": list("xyxyxyxy"), "source": "s"})
    table["group_id"] = table["image_id"]
    assert make_folds(table, FoldSettings(folds=2))["fold"].value_counts().tolist() == [4, 4]
