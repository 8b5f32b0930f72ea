"""Batches: one bad file never stops the rest, a killed batch goes on, names and locks hold."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from lunglens import batch
from lunglens.batch import JOURNAL, Job, Outcome, OutputError, find_films, result_names, run_batch, write_analysis
from lunglens.pipeline import Analyzer


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lunglens", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def summary(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def films(chest_png: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    (folder / "other").mkdir(parents=True)
    shutil.copy(chest_png, folder / "a.png")
    shutil.copy(chest_png, folder / "other" / "a.png")
    (folder / "broken.png").write_bytes(chest_png.read_bytes()[:5000])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image, not taken from a folder")
    return folder


def test_mixed_folder(films: Path, rg_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_cli("analyze", films, rg_folder / "RG3_UNCR.dcm", "--out", out)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = summary(out)
    with (out / "summary.csv").open() as stream:
        assert stream.readline().startswith("path,status,covid_probability,decision,reason,seconds")
    assert [row["status"] for row in rows].count("analyzed") == 2
    assert {row["status"] for row in rows} == {"analyzed", "refused", "failed"}
    assert all(row["reason"] for row in rows if row["status"] != "analyzed")
    results = [row["result"] for row in rows if row["status"] == "analyzed"]
    assert len(set(results)) == 2
    for name in results:
        content = json.loads((out / name).read_text())
        assert Path(content["path"]).name == "a.png"
        stem = name.removesuffix(".json")
        assert (out / f"{stem}.panel.png").stat().st_size > 10_000
        assert (out / f"{stem}.lungs.png").exists()
    assert not list(out.glob(".partial*"))


def test_exit_codes(chest_png: Path, tmp_path: Path) -> None:
    assert run_cli("analyze", chest_png, "--out", tmp_path / "good").returncode == 0
    assert run_cli("analyze", tmp_path / "missing.png", "--out", tmp_path / "o").returncode == 2
    assert run_cli("analyze", chest_png).returncode == 2
    assert run_cli("analyze", tmp_path / "good" / "nothing", "--out", tmp_path / "o").returncode == 2


def test_segment_writes_masks_only(chest_png: Path, tmp_path: Path) -> None:
    assert run_cli("segment", chest_png, "--out", tmp_path).returncode == 0
    assert (tmp_path / "chest.lungs.png").exists()
    assert not (tmp_path / "chest.json").exists()


def test_colliding_names_are_told_apart() -> None:
    names = result_names([Path("a/x.png"), Path("b/X.dcm"), Path("b/y.dcm")])
    assert len({name.lower() for name in names}) == 3
    assert names[2] == "y"
    assert names == result_names([Path("a/x.png"), Path("b/X.dcm"), Path("b/y.dcm")])


def test_finished_films_are_not_done_again(films: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    calls: list[Path] = []

    def counting(job: Job, out: Path, models: Analyzer) -> Outcome:
        calls.append(job.path)
        return write_analysis(job, out, models)

    found = find_films([films])
    first = run_batch(found, tmp_path / "o", analyzer, counting, lambda _: None)
    again = run_batch(found, tmp_path / "o", analyzer, counting, lambda _: None)
    assert len(calls) == len(found) == 4
    assert first == again
    (films / "broken.png").write_bytes(b"changed")
    run_batch(found, tmp_path / "o", analyzer, counting, lambda _: None)
    assert calls[4:] == [films / "broken.png"]


def test_a_result_that_was_deleted_is_made_again(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    for _ in range(3):
        (outcome,) = run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)
        assert outcome.status == "analyzed"
        (tmp_path / outcome.result).unlink()


def test_a_name_that_is_no_utf8(chest_png: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    shutil.copy(chest_png, odd)
    (tmp_path / "caf\udce9.jpg").write_bytes(b"no image")
    done = run_cli("analyze", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [row["status"] for row in summary(tmp_path / "out")] == ["failed", "analyzed"]


def test_killed_batch_goes_on(chest_png: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(40):
        shutil.copy(chest_png, folder / f"f{index:02d}.png")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "lunglens", "analyze", str(folder), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = len([line for line in (out / JOURNAL).read_text().splitlines() if '"done"' in line])
    assert 0 < finished < 40
    before = {path: path.stat().st_mtime_ns for path in sorted(out.glob("*.json"))[:finished]}
    assert run_cli("analyze", folder, "--out", out).returncode == 0
    assert len(summary(out)) == 40
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())


def test_torn_journal_line_is_passed_over(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)
    with (tmp_path / JOURNAL).open("a") as stream:
        stream.write('{"done": "abc", "outc')
    assert run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)[0].status == "analyzed"


def test_a_file_that_ends_the_program_twice_is_left_out(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    def deadly(job: Job, out: Path, models: Analyzer) -> Outcome:
        raise KeyboardInterrupt  # stands for a decoder that takes the process with it

    for _ in range(batch.MOST_STARTS):
        with pytest.raises(KeyboardInterrupt):
            run_batch([chest_png], tmp_path, analyzer, deadly, lambda _: None)
    (outcome,) = run_batch([chest_png], tmp_path, analyzer, deadly, lambda _: None)
    assert outcome.status == "failed"
    assert "2 times" in str(outcome.reason)


def test_two_batches_in_one_folder_are_refused(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lunglens.lock"), pytest.raises(OutputError, match="another batch"):
        run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)


def test_full_disk_is_said_and_leaves_no_half_file(
    chest_png: Path, analyzer: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lunglens.batch.write_json", full)
    with pytest.raises(OutputError, match="No space left"):
        run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)
    assert not (tmp_path / "summary.csv").exists()
    assert not list(tmp_path.glob(".partial*"))
    monkeypatch.undo()
    assert run_batch([chest_png], tmp_path, analyzer, write_analysis, lambda _: None)[0].status == "analyzed"


def test_dicom_without_ending_is_found(rg_folder: Path, tmp_path: Path) -> None:
    shutil.copy(rg_folder / "RG3_UNCR.dcm", tmp_path / "IM0001")
    (tmp_path / "README").write_text("text")
    assert [path.name for path in find_films([tmp_path])] == ["IM0001"]
