"""Batches: one bad file never stops the rest, a killed batch goes on, names and locks hold."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from lunglens.errors import DecoderDiedError, OutputError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import JOURNAL, AnalysisWriter, SummaryRow, find_films, run_batch
from lunglens.film.failure import ERRORS
from tests.support.command import run_cli, summary


@dataclass(frozen=True)
class Through:
    """An analysis through a function."""

    write: Callable[[Path, Path, Analyzer], SummaryRow]

    def key(self, _: Analyzer) -> str:
        return "through"


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
        assert stream.readline().startswith("path,status,covid_probability,decision,withheld,reason,seconds")
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


def test_finished_films_are_not_done_again(films: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    calls: list[Path] = []

    def counting(film: Path, stem: Path, models: Analyzer) -> SummaryRow:
        calls.append(film)
        return AnalysisWriter().write(film, stem, models)

    found = find_films([films])
    first = run_batch(found, tmp_path / "o", analyzer, Through(counting), lambda _: None)
    again = run_batch(found, tmp_path / "o", analyzer, Through(counting), lambda _: None)
    assert len(calls) == len(found) == 4
    assert first == again
    (films / "broken.png").write_bytes(b"changed")
    run_batch(found, tmp_path / "o", analyzer, Through(counting), lambda _: None)
    assert calls[4:] == [films / "broken.png"]


def test_a_result_that_was_deleted_is_made_again(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    for _ in range(3):
        (outcome,) = run_batch([chest_png], tmp_path, analyzer, AnalysisWriter(), lambda _: None)
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


ODD_LINES = [
    b"5",
    b"null",
    b"[]",
    b"\xff\xfe not UTF-8",
    b'{"done": "abc", "outc',
    b'{"started": "abc"}',  # of version 0.1.0
    b'{"done": "abc", "outcome": {"path": "x"}}',
    b'{"done": "abc", "outcome": {"path": "x", "status": "unheard of"}}',
    b'{"done": "abc", "outcome": {"path": "x", "status": "failed", "seconds": "long", "result": 3}}',
    b'{"done": "abc", "outcome": {"path": "\\ud800", "status": "failed"}}',
    b'{"done": "abc", "outcome": {"path": "x", "status": "failed", "of_a_newer_version": 1}, "and": 2}',
    b'{"name": 5, "film": null}',
    b"[" * 100_000,
    b"\x00" * 4096,
    b"",
]


@pytest.mark.parametrize("line", ODD_LINES, ids=lambda line: str(line[:40]))
@pytest.mark.parametrize("ending", [b"\n", b""], ids=["whole", "torn"])
def test_an_odd_journal_line_is_passed_over_and_spoils_no_other(
    line: bytes, ending: bytes, chest_png: Path, stub: Analyzer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = run_batch([chest_png], out, stub, AnalysisWriter(), lambda _: None)
    with (out / JOURNAL).open("ab") as stream:
        stream.write(line + ending)
    other = Path(shutil.copy(chest_png, tmp_path / "other.png"))
    both = run_batch([chest_png, other], out, stub, AnalysisWriter(), lambda _: None)
    assert both[0] == first[0]  # not done again
    assert run_batch([chest_png, other], out, stub, AnalysisWriter(), lambda _: None) == both


def test_interrupted_films_are_done_again_without_blame(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    def interrupted(film: Path, stem: Path, models: Analyzer) -> SummaryRow:
        raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run_batch([chest_png], tmp_path, stub, Through(interrupted), lambda _: None)
    assert run_batch([chest_png], tmp_path, stub, AnalysisWriter(), lambda _: None)[0].status == "analyzed"


ERRORS_OF_A_FILM = [
    ValueError("Miller^Anne"),
    KeyError("x"),
    RecursionError(),
    MemoryError(),
    AssertionError(),
    SystemError("of a library in C"),
    PermissionError(13, "Permission denied"),
    OSError(36, "File name too long"),
    OSError(5, "Input/output error"),
    FileNotFoundError(2, "vanished"),
    DecoderDiedError("x.png: its pixels ended the process that decodes them"),
]


@pytest.mark.parametrize("error", ERRORS_OF_A_FILM, ids=repr)
def test_whatever_a_film_raises_is_its_own_failure(
    error: Exception, chest_png: Path, stub: Analyzer, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    shutil.copy(chest_png, bad)

    def raising(film: Path, stem: Path, models: Analyzer) -> SummaryRow:
        if film == bad:
            raise error
        return AnalysisWriter().write(film, stem, models)

    out = tmp_path / "out"
    outcomes = run_batch([bad, chest_png], out, stub, Through(raising), lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["failed", "analyzed"]
    assert outcomes[0].reason
    assert "Miller" not in (out / "summary.csv").read_text()
    if (out / ERRORS).exists():  # not of those that are foreseen
        log = (out / ERRORS).read_text()
        assert type(error).__name__ in log
        assert "in raising" in log
        assert "Miller" not in log
        (reference,) = [word for word in outcomes[0].reason.split() if f"reference {word}\n" in log]
        assert len(reference) == 8
    assert (out / ERRORS).exists() == (not isinstance(error, MemoryError | DecoderDiedError))


def test_an_endless_recursion_fills_no_log(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    def endless(film: Path, stem: Path, models: Analyzer) -> SummaryRow:
        return endless(film, stem, models)

    run_batch([chest_png], tmp_path, stub, Through(endless), lambda _: None)
    assert (tmp_path / ERRORS).stat().st_size < 10_000


def test_failed_films_are_done_again_when_told(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    calls: list[str] = []

    def died(film: Path, stem: Path, models: Analyzer) -> SummaryRow:
        calls.append(stem.name)
        if stem.name == "bad" and len(calls) <= 2:
            raise DecoderDiedError("bad.png: its pixels ended the process that decodes them")
        return AnalysisWriter().write(film, stem, models)

    bad = tmp_path / "bad.png"
    shutil.copy(chest_png, bad)
    films, out = [bad, chest_png], tmp_path / "out"
    first = run_batch(films, out, stub, Through(died), lambda _: None)
    assert run_batch(films, out, stub, Through(died), lambda _: None) == first
    assert calls == ["bad", "chest"]
    again = run_batch(films, out, stub, Through(died), lambda _: None, retry_failed=True)
    assert calls == ["bad", "chest", "bad"]
    assert [outcome.status for outcome in again] == ["analyzed", "analyzed"]
    assert run_batch(films, out, stub, Through(died), lambda _: None, retry_failed=True) == again


def test_two_batches_in_one_folder_are_refused(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lunglens.lock"), pytest.raises(OutputError, match="another batch"):
        run_batch([chest_png], tmp_path, analyzer, AnalysisWriter(), lambda _: None)


def test_full_disk_is_said_and_leaves_no_half_file(
    chest_png: Path, analyzer: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lunglens.film.finding_record.write_json", full)
    with pytest.raises(OutputError, match="No space left"):
        run_batch([chest_png], tmp_path, analyzer, AnalysisWriter(), lambda _: None)
    assert not (tmp_path / "summary.csv").exists()
    assert not list(tmp_path.glob(".partial*"))
    monkeypatch.undo()
    assert run_batch([chest_png], tmp_path, analyzer, AnalysisWriter(), lambda _: None)[0].status == "analyzed"


def test_leftovers_of_killed_runs_go_and_nothing_else(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    ours = [".partial-abcd_123.png", ".partial-zzzzzzzz.json", ".partial-00000000"]
    others = [".partial-x.png", "partial-abcd_123.png", ".partial-abcd_123.png.bak", "notes.txt"]
    for name in ours + others:
        (tmp_path / name).write_text("half")
    (tmp_path / ".partial-abcdefgh.dcm").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ours[0]).write_text("of another run")
    run_batch([chest_png], tmp_path, stub, AnalysisWriter(), lambda _: None)
    assert not any((tmp_path / name).exists() for name in ours)
    assert all((tmp_path / name).read_text() == "half" for name in others)
    assert (tmp_path / "sub" / ours[0]).exists()
    assert (tmp_path / ".partial-abcdefgh.dcm").is_dir()


def test_results_that_cannot_be_written_end_the_batch(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        run_batch([chest_png], tmp_path / "file", stub, AnalysisWriter(), lambda _: None)
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        run_batch([chest_png], tmp_path, stub, AnalysisWriter(), lambda _: None)
