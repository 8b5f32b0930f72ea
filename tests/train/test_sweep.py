"""A sweep of two systems on phantoms: one queue, shared views, a failure that stops nothing, runs like any other."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError
from lunglens.evaluate.systems.record import read_swept
from lunglens.jobs import Job, JobResult
from lunglens.study.config.sweep import Sweep
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.train.crossval import classifier as crossval
from lunglens.train.crossval.run_folder import FoldsFailedError
from lunglens.train.sweep.run import commands, run_sweep
from tests.support.runs import run_here
from tests.support.study_folder import edit_manifest, study_folder

CONSOLE = Console(quiet=True)
OTHER = "cd" * 32


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """One network twice on six films a class, two of three folds, and four unseen films; a third system is wrong."""
    folder = tmp_path_factory.mktemp("studies")
    study = study_folder(folder / "study", 6, both=True)
    write_folds(load_study(study), FoldSettings(folds=3, external=()))
    about = json.loads((study_folder(folder / "unseen", 2) / "study.json").read_text())
    edit_manifest(folder / "unseen", lambda index, _: {"image_id": f"far-{index}", "group_id": f"far-{index}"})
    apart = about | {"fingerprint": OTHER, "apart_from": [about["fingerprint"]]}
    (folder / "unseen" / "study.json").write_text(json.dumps(apart))
    return Sweep.model_validate(
        {
            "systems": [
                "quick",
                {"config": "quick", "name": "twin"},
                {"config": "quick", "name": "bad", "set": ["classifier.backbone=nothing"]},
            ],
            "studies": {"phantom": {"folder": study, "test": folder / "unseen", "folds": ["0", "1"]}},
            "inputs": ["lungs"],
            "set": ["classifier.optimization.epochs=1", "classifier.backbone=resnet10t"],
        }
    )


@pytest.fixture(scope="module")
def queued() -> list[str]:
    return []


@pytest.fixture(scope="module")
def out(sweep: Sweep, queued: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")

    def runner(jobs: Sequence[Job], console: Console) -> list[JobResult]:
        queued.extend(job.name for job in jobs)
        return run_here(jobs, console)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(FoldsFailedError, match=r"1 jobs failed: .*/bad-lungs: "):
        patch.setattr(crossval, "write_figures", lambda _: None)  # drawn in the tests of one run
        run_sweep(sweep, folder, runner, CONSOLE)
    return folder


def test_all_folds_tests_and_sums_are_one_queue(out: Path, queued: list[str]) -> None:
    jobs = ["fold 0", "fold 1", "test 0", "test 1", "finish"]
    assert queued == [f"phantom/{system}-lungs {job}" for system in ("quick", "twin") for job in jobs]


def test_each_combination_is_an_ordinary_run(out: Path) -> None:
    for system in ("quick", "twin"):
        run = out / "phantom" / f"{system}-lungs"
        about = json.loads((run / "run.json").read_text())
        assert (about["unseen"]["fingerprint"], about["cut"]) == (OTHER, True)
        assert about["gflops"] > 0
        assert about["draws"] == 4  # of 8 films in other folds one of each class validates: a batch of 4, one epoch
        assert about["train_seconds"] > 0
        predictions = pd.read_csv(run / "predictions.csv", dtype=str)
        assert predictions["fold"].value_counts().to_dict() == {"0": 4, "1": 4, "external": 4}
    first, second = ((out / "phantom" / f"{name}-lungs" / "predictions.csv").read_bytes() for name in ("quick", "twin"))
    assert first == second


def test_equal_views_are_one_file_on_the_disk(out: Path) -> None:
    for part in ("", "unseen"):
        first, second = (out / "phantom" / f"{name}-lungs" / part / "images.npy" for name in ("quick", "twin"))
        assert first.samefile(second)
        assert first.stat().st_nlink == 3 + (part == "")  # the store's; the wrong system has links to the study's too


def test_a_second_call_does_only_what_is_missing(out: Path, sweep: Sweep) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}
    with pytest.raises(FoldsFailedError, match="bad-lungs"):
        run_sweep(sweep, out, run_here, CONSOLE)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("result.json")} == before


def test_a_part_of_it_hides_no_other_run(out: Path, sweep: Sweep) -> None:
    before = read_swept(out)
    run_sweep(sweep.model_copy(update={"systems": sweep.systems[1:2]}), out, run_here, CONSOLE)
    assert read_swept(out) == before


def test_the_table_of_all_runs_is_a_page_of_its_own(out: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["compare", "--systems", str(out), "--against", "twin", "--out", str(tmp_path)])
    assert said.stdout.startswith("2 of 3 runs are finished; see ")
    for page in (out / "systems.html", tmp_path / "systems.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="data:image/svg+xml' in text
        assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "held against twin" in text


def test_a_line_for_a_shell_a_fold(out: Path, sweep: Sweep) -> None:
    some = sweep.model_copy(update={"systems": sweep.systems[:2]})
    with pytest.raises(ConfigurationError, match="folds of study phantom"):
        list(commands(some, out))
    whole = {"phantom": sweep.studies["phantom"].model_copy(update={"folds": ()})}
    lines = list(commands(some.model_copy(update={"studies": whole}), out))
    assert len(lines) == 6
    assert lines[5].endswith(f"--fold 2 --out {out}/phantom/twin-lungs")


def test_a_fold_that_is_not_there_is_said(out: Path, sweep: Sweep, tmp_path: Path) -> None:
    wrong = {"phantom": sweep.studies["phantom"].model_copy(update={"folds": ("7",)})}
    with pytest.raises(FoldsFailedError, match="has no fold 7; it has 0, 1, 2"):
        run_sweep(sweep.model_copy(update={"studies": wrong}), tmp_path, run_here, CONSOLE)
