"""Reporting sheets: every item of each checklist stands there, and no sheet says what no file shows."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.audit.record import AUDIT, Audit, AuditTest, not_done
from lunglens.files import write_json
from lunglens.study.config import load_config
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.study.report import write_study_report
from lunglens.study.report.results import Inputs, write_results_report
from lunglens.study.report.sheets.facts import KEYS
from lunglens.study.report.sheets.page import NOT_DONE, checklists, write_sheets
from lunglens.train import crossval_classifier
from tests.support.command import run_cli
from tests.support.runs import run_here
from tests.support.study_folder import study_folder


@pytest.mark.parametrize("checklist", checklists(), ids=lambda checklist: checklist.title)
def test_items_are_numbered_once_and_ask_for_facts_that_there_are(checklist: object) -> None:
    numbers = [item.number for item in checklist.items]  # type: ignore[attr-defined]
    assert len(set(numbers)) == len(numbers) > 8
    for item in checklist.items:  # type: ignore[attr-defined]
        assert set(item.facts) <= KEYS
        assert 10 < len(item.asks) <= 120


def test_the_field_s_checklists_are_there() -> None:
    titles = " ".join(checklist.title for checklist in checklists())
    for name in ("CLAIM", "TRIPOD+AI", "STARD-AI", "PROBAST+AI", "FUTURE-AI", "Datasheet", "Model card"):
        assert name.casefold() in titles.casefold()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study with a report of a run, and the run."""
    root = tmp_path_factory.mktemp("sheets")
    study = study_folder(root / "study", 30, both=True)
    write_folds(load_study(study), FoldSettings(folds=2))
    films = pd.read_csv(study / "manifest.csv", dtype=str)
    numbers = np.random.default_rng(0).normal(0, 1, (len(films), 3)) + (films["class"] == "covid").to_numpy()[:, None]
    np.savez(root / "emb.npz", film=films["image_id"].to_numpy(str), embedding=numbers)
    changes = ["classifier.network=embedding", f"classifier.options.file={root / 'emb.npz'}"]
    config = load_config("quick", changes).classifier
    crossval_classifier(load_study(study), config, root / "run", run_here, Console(quiet=True))
    write_results_report(study, Inputs(runs=(root / "run",)))
    return study, root / "run"


def audit_in(folder: Path) -> Path:
    tests = (
        AuditTest(test="T12", name="Subgroups", verdict="doubt", sentence="Sensitivity differs by <b>sex</b>."),
        not_done("T11", "Where the heat lies", "no maps"),
    )
    about = {"study": "s", "fingerprint": "ab", "run": "r", "model": "m", "shown": "", "date": "2026-11-26", "seed": 0}
    write_json(folder / AUDIT, Audit(**about, auroc=None, auroc_95_ci=None, tests=tests).model_dump(mode="json"))
    return folder


def test_every_answer_names_a_file_that_is_there(reported: tuple[Path, Path], tmp_path: Path) -> None:
    study, _ = reported
    page = write_sheets(study, audit_in(tmp_path))
    sheets = json.loads(page.with_suffix(".json").read_text())["sheets"]
    assert [sheet["of"] for sheet in sheets] == [len(checklist.items) for checklist in checklists()]
    rows = [row for sheet in sheets for row in sheet["rows"]]
    for row in rows:
        assert bool(row["evidence"]) == (row["answers"] != [NOT_DONE])
        for name in row["evidence"]:
            assert (tmp_path / name if name == AUDIT else study / name).is_file(), name
    text = " ".join(answer for row in rows for answer in row["answers"])
    metrics = json.loads((reported[1] / "metrics.json").read_text())
    assert f"{100 * metrics['pooled']['auroc']:.1f} (" in text
    assert "60 frontal chest radiographs" in text
    assert "Sensitivity differs by" in text
    assert "no maps" not in text  # what was not done answers nothing
    shown = page.read_text()
    assert "<b>sex</b>" not in shown
    assert not re.findall(r'(?:src|href)="(?!#)', shown)


def test_without_an_audit_nothing_is_said_of_it(reported: tuple[Path, Path]) -> None:
    text = write_sheets(reported[0]).with_suffix(".json").read_text()
    assert "Sensitivity differs by" not in text
    assert f'"{AUDIT}"' not in text


def test_a_report_without_a_run_cannot_fill_them(tmp_path: Path) -> None:
    study = study_folder(tmp_path / "study", 6)
    write_folds(load_study(study), FoldSettings(folds=2))
    write_study_report(study)
    with pytest.raises(DataError, match=r"results\.json"):
        write_sheets(study)


def test_the_command_says_where_they_are(reported: tuple[Path, Path]) -> None:
    study, run = reported
    done = run_cli("report", study, "--run", run, "--sheets")
    assert done.returncode == 0, done.stderr
    assert "sheets.html" in done.stdout
