"""The audit's tests with networks: a ladder of planted markers, and the verb from a run to its page and exit code."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.evaluate.audit.retrained import FILM, RIM, hidden_test
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study
from lunglens.train.audit import retrain as retraining
from lunglens.train.audit.models import read_audited
from lunglens.train.audit.retrain import retrain
from lunglens.train.crossval import classifier as crossval
from tests.support.planted import planted_study
from tests.support.runs import run_here

QUIET = Console(quiet=True)
CHANGES = (
    "view.film_size=64",
    "view.input_size=64",
    "view.cut=false",
    "backbone=test_byobnet",
    "optimization.epochs=20",
)
CHANGES += ("optimization.optimizer=adamw", "optimization.learning_rate=0.001", "optimization.batch_size=12")


@pytest.fixture(scope="module", autouse=True)
def small() -> object:
    """Smaller still than the audit's own trainings: phantoms need no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "_SIDE", 64)
        patch.setattr(retraining, "_FILM_SIDE", 64)
        patch.setattr(retraining, "_STEPS", 80)
        patch.setattr(crossval, "write_figures", lambda _: None)  # drawn in the tests of one run
        torch.set_num_threads(1)
        yield


def config() -> ClassifierConfig:
    return load_config("quick", [f"classifier.{change}" for change in CHANGES]).classifier


def test_a_border_is_found_where_there_are_no_lungs(tmp_path: Path) -> None:
    verdicts = []
    for share in (0.0, 1.0):  # the steps between are those of the audit's tests without a network
        study = load_study(planted_study(tmp_path / f"study-{share}", "border", share, count=45, folds=2))
        found = retrain(study, config(), (FILM, RIM), tmp_path / f"{share}", run_here, QUIET)
        verdicts.append(hidden_test("T5", "", found, (RIM,)).verdict)
    assert verdicts[0] in {"clear", "not done"}
    assert verdicts[1] == "shortcut"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a marker on every film of covid, a run on it, and its audit."""
    folder = tmp_path_factory.mktemp("audited")
    study = load_study(planted_study(folder / "study", "marker", 1.0, count=45, folds=2))
    crossval.crossval_classifier(study, config(), folder / "run", run_here, QUIET)
    return folder


def audit(folder: Path, *more: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "_STEPS", 30)  # that all is done, not that anything is learned
        patch.setattr("lunglens.cli.evaluate.runner", lambda *_: run_here)
        command = ["audit", str(folder / "study"), "--run", str(folder / "run"), "--out", str(folder / "audit"), *more]
        return CliRunner().invoke(app, command)


def test_twelve_tests_with_a_verdict_a_page_and_an_exit_code(audited: Path) -> None:
    said = audit(audited, "--fail-on", "shortcut")
    assert said.exit_code == 1, said.output
    found = {test["name"]: test for test in json.loads((audited / "audit" / "audit.json").read_text())["tests"]}
    assert {test["test"] for test in found.values()} == {f"T{number}" for number in range(1, 13)}
    assert found["Thumbnail"]["verdict"] == "shortcut"
    assert all(test["sentence"] for test in found.values())
    page = (audited / "audit" / "audit.html").read_text()
    assert all(test["sentence"].split()[0] in page for test in found.values())
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    before = {path: path.stat().st_mtime_ns for path in audited.rglob("result.json")}
    assert audit(audited).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in audited.rglob("result.json")} == before


def test_of_a_run_of_one_fold_its_own_films_are_read(audited: Path, tmp_path: Path) -> None:
    for file in ("films.csv", "run.json", "metrics.json"):
        shutil.copy(audited / "run" / file, tmp_path)
    about = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(about | {"folds": ["0"]}))
    found = read_audited(tmp_path, load_study(audited / "study")).table
    films = pd.read_csv(tmp_path / "films.csv", dtype=str)
    assert list(found["image_id"]) == list(films.loc[films["fold"] == "0", "image_id"]) != list(films["image_id"])
    assert list(films.loc[found["row"], "image_id"]) == list(found["image_id"])


def test_a_run_on_another_study_is_refused(audited: Path, tmp_path: Path) -> None:
    planted_study(tmp_path / "study", "marker", 0.0, count=9)
    about = json.loads((tmp_path / "study" / "study.json").read_text())
    (tmp_path / "study" / "study.json").write_text(json.dumps(about | {"fingerprint": "ab" * 32}))
    (tmp_path / "run").symlink_to(audited / "run")
    said = audit(tmp_path)
    assert said.exit_code != 0
    assert "is a run on another study" in str(said.exception)
