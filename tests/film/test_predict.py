"""`lunglens predict`: a table of numbers in the films' order, whatever the films are, however often it is killed."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from lunglens.errors import ConfigurationError, ModelPackageError, OutputError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import SummaryRow
from lunglens.film.batch.models import Models, begin
from lunglens.film.batch.predict import predict, predict_film
from lunglens.film.batch.processes import KILLER, work_off
from lunglens.film.model_package.package import shipped_models
from lunglens.film.radiograph import read_radiograph
from tests.film.test_batch_kills import many
from tests.support.command import run_cli
from tests.support.packages import THREE, TUBERCULOSIS, classifier_package

COLUMNS = ["path", "status", "p_tuberculosis", "p_normal", "decision", "withheld", "reason", "gate_score", "distance"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier_package(tmp_path_factory.mktemp("packages") / "tuberculosis", TUBERCULOSIS, [0.3])


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_mixed_films_by_two_processes(package: Path, chest_png: Path, rg_folder: Path, tmp_path: Path) -> None:
    films = many(chest_png, tmp_path / "films", 3)
    (films / "f01b.png").write_bytes(chest_png.read_bytes()[:5000])
    shutil.copy(rg_folder / "RG3_UNCR.dcm", films / "f01c.dcm")
    out = tmp_path / "tables" / "p.csv"
    done = run_cli("predict", package, films, "--out", out, "--jobs", 2)
    assert (done.returncode, done.stdout) == (1, f"3 analyzed, 1 refused, 1 failed; see {out}\n"), done.stderr
    assert "Traceback" not in done.stderr
    rows = rows_of(out)
    assert list(rows[0]) == COLUMNS
    assert [Path(row["path"]).name for row in rows] == ["f00.png", "f01.png", "f01b.png", "f01c.dcm", "f02.png"]
    assert [row["status"] for row in rows] == ["analyzed", "analyzed", "failed", "refused", "analyzed"]
    assert "EXTREMITY" in rows[3]["reason"] and not rows[3]["decision"] and not rows[3]["p_normal"]
    finding = Analyzer.load(classifier=package).analyze(read_radiograph(films / "f02.png"))
    assert float(rows[4]["p_tuberculosis"]) == pytest.approx(finding.probabilities["tuberculosis"], abs=1e-6)
    assert float(rows[4]["p_tuberculosis"]) + float(rows[4]["p_normal"]) == pytest.approx(1, abs=2e-6)
    assert rows[4]["decision"] == finding.decision
    assert sorted(path.name for path in out.parent.iterdir()) == [".p.csv.journal.jsonl", ".p.csv.lock", "p.csv"]


def test_parquet_has_the_same_columns_with_numbers(chest_png: Path, tmp_path: Path) -> None:
    import pandas as pd

    package = classifier_package(tmp_path / "three", THREE, [0.1, 0.9, -1])
    out = tmp_path / "p.parquet"
    assert run_cli("predict", package, chest_png, "--out", out).returncode == 0
    table = pd.read_parquet(out)
    numbers = ["p_pneumonia", "p_effusion", "p_normal"]
    assert list(table) == ["path", "status", *numbers, "decision", "withheld", "reason", "gate_score", "distance"]
    assert {str(kind) for kind in table[[*numbers, "gate_score", "distance"]].dtypes} == {"float64"}
    assert table[numbers].sum(axis=1)[0] == pytest.approx(1, abs=1e-5)
    assert table["decision"][0] == "effusion"


def test_the_shipped_classifier_answers_as_analyze_does(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    assert run_cli("predict", shipped_models() / "classifier", chest_png, "--out", out).returncode == 0
    finding = analyzer.analyze(read_radiograph(chest_png))
    (row,) = rows_of(out)
    assert float(row["p_covid"]) == round(finding.covid_probability or 0, 6)
    assert row["decision"] == finding.decision


def test_wrong_use_is_said_before_a_film_is_read(package: Path, chest_png: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("my own notes")
    with FileLock(tmp_path / ".locked.csv.lock"):
        for classifier, name, kind, reason in (
            (package, "p.xlsx", ConfigurationError, "FILE.csv or FILE.parquet"),
            (shipped_models() / "lungs", "p.csv", ModelPackageError, "is a package for lungs"),
            (package, "mine.csv", OutputError, "was not written by lunglens predict"),
            (package, "locked.csv", OutputError, "another prediction is at work here"),
        ):
            with pytest.raises(kind, match=reason):
                predict([chest_png], tmp_path / name, Models(None, classifier).load(), 1, lambda _: None)
    for arguments, code, reason in (
        ((package, tmp_path / "nowhere", "--out", tmp_path / "p.csv"), 2, "not found"),
        ((package, chest_png, "--out", tmp_path / "mine.csv"), 1, "was not written by lunglens predict"),
    ):
        done = run_cli("predict", *arguments)
        assert (done.returncode, reason in done.stderr, "Traceback" in done.stderr) == (code, True, False), done
    assert (tmp_path / "mine.csv").read_text() == "my own notes"


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on(package: Path, chest_png: Path, tmp_path: Path) -> None:
    films, whole, out = many(chest_png, tmp_path / "films", 12), tmp_path / "whole.csv", tmp_path / "p.csv"
    predict(sorted(films.iterdir()), whole, Models(None, package).load(), 2, lambda _: None)
    journal, generator = out.with_name(".p.csv.journal.jsonl"), random.Random(int.from_bytes(os.urandom(4)))  # noqa: S311
    command = [sys.executable, "-m", "lunglens", "predict", package, films, "--out", out, "--jobs", "2"]
    for _ in range(2):
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = lines_of(journal)
        while process.poll() is None and lines_of(journal) <= before + 1:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists()
        time.sleep(0.4)  # its processes end with it
        stopped = lines_of(journal)
        time.sleep(0.4)
        assert lines_of(journal) == stopped
    with journal.open("ab") as stream:
        stream.write(b'{"done": "torn')
    assert run_cli(*command[3:]).returncode == 0
    assert out.read_bytes() == whole.read_bytes()
    keys = [line.partition(b'"done": "')[2][:24] for line in journal.read_bytes().splitlines() if b'"path"' in line]
    assert len(keys) == len(set(keys)) == 12


def lines_of(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_a_film_that_ends_its_process_fails_alone(
    package: Path, chest_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes are new ones: what they do differently is told them by a module that they find first."""
    films = many(chest_png, tmp_path / "films", 4)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv):\n"
        "    import lunglens.film.batch.predict as predict\n"
        "    usual = predict.read_radiograph\n"
        "    predict.read_radiograph = lambda path: os._exit(9) if path.name == 'f01.png' else usual(path)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    rows: list[SummaryRow] = []
    table = predict(sorted(films.iterdir()), tmp_path / "p.csv", Models(None, package).load(), 2, rows.append)
    assert [row.status for row in table] == ["analyzed", "failed", "analyzed", "analyzed"]
    assert table[1].reason == KILLER
    assert len(rows) == 4


def test_a_model_that_does_not_load_is_no_film_s_fault(package: Path, chest_png: Path, tmp_path: Path) -> None:
    gone = partial(begin, partial(predict_film, folder=tmp_path), Models(None, tmp_path / "gone"))
    left = {str(number): chest_png for number in range(3)}
    with pytest.raises(ModelPackageError, match="gone"):
        list(work_off(left, gone, 2))
    assert len(left) == 3
