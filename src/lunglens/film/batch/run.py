"""A batch: film after film, each outcome noted as soon as its results are on disk."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lunglens.errors import OutputError
from lunglens.files import LEFTOVER, only_one, readable, write_bytes, writing
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.journal import JOURNAL, Journal
from lunglens.film.batch.names import SUFFIXES, identity, key_of, result_names
from lunglens.film.batch.summary import SUMMARY, SummaryRow, summary_csv
from lunglens.film.batch.write import Writer
from lunglens.film.failure import failure_of, note_error

_LOCK = ".lunglens.lock"
_IN_THE_WAY = "{} is where its results belong, and not of LungLens; move it away, or choose another --out"
_SUMMARY_BEGINNING = b"path,status,"  # of every version


def run_batch(
    films: list[Path],
    out: Path,
    analyzer: Analyzer,
    writer: Writer,
    on_done: Callable[[SummaryRow], None],
    retry_failed: bool = False,
) -> list[SummaryRow]:
    """Do every film that an earlier, killed run in `out` has not done, then write `summary.csv` for all of them.

    Args:
        films: from `find_films`.
        out: folder of the results; locked while the batch runs. No file that is there and not ours is written over.
        analyzer: the models.
        writer: what to do with one film: `AnalysisWriter` or `LungsWriter`.
        on_done: called after each film (also for those found done).
        retry_failed: do those again that have failed before.

    Raises:
        OutputError: the folder is in use by another batch, or cannot be written.
    """
    classes = [entry.name for entry in analyzer.classifier.parameters.answer.classes]
    with only_one(out / _LOCK, out, "batch"):
        outcomes = list(_work_off(films, out, analyzer, writer, on_done, retry_failed))
        with writing(out):
            write_bytes(out / SUMMARY, summary_csv(outcomes, classes).encode())
        return outcomes


def _work_off(
    films: list[Path],
    out: Path,
    analyzer: Analyzer,
    writer: Writer,
    on_done: Callable[[SummaryRow], None],
    retry_failed: bool,
) -> Iterator[SummaryRow]:
    with writing(out):
        journal = Journal(out / JOURNAL)
        names = _names(films, out, journal)
    for film, name in zip(films, names, strict=True):
        key = key_of(film, f"{name} {analyzer.fingerprints} {writer.key(analyzer)}")
        outcome = journal.outcomes.get(key)
        if outcome is None or _is_to_redo(outcome, out, retry_failed):
            foreign = None if name in journal.unmarked else _foreign_file(out, name)
            if foreign is not None:  # it came after the name was given; once it is away, the film is done
                outcome = SummaryRow(readable(film), "failed", reason=_IN_THE_WAY.format(readable(foreign)))
            else:
                outcome = _do(film, out / name, analyzer, writer)
                with writing(out):
                    journal.done(key, outcome)
        on_done(outcome)
        yield outcome


def _names(films: list[Path], out: Path, journal: Journal) -> list[str]:
    """The name of each film's results, noted as ours before anything is written; what a killed run left is deleted."""
    there = os.listdir(out)  # noqa: PTH208 - names are wanted
    for name in there:
        if LEFTOVER.fullmatch(name) and (out / name).is_file():
            (out / name).unlink()
    _assert_summary_is_ours(out)
    names = result_names(films, journal.names, there, _most_name_bytes(out))
    journal.claim({name: identity(film) for film, name in zip(films, names, strict=True)})
    return names


def _assert_summary_is_ours(out: Path) -> None:
    try:
        with (out / SUMMARY).open("rb") as stream:
            beginning = stream.read(len(_SUMMARY_BEGINNING))
    except FileNotFoundError:
        return
    if beginning != _SUMMARY_BEGINNING:
        raise OutputError(f"{out / SUMMARY}: was not written by LungLens; move it away, or choose another --out")


def _most_name_bytes(out: Path) -> int:
    try:
        return min(255, os.pathconf(out, "PC_NAME_MAX"))  # 143 on an encrypted home folder
    except (AttributeError, OSError, ValueError):  # Windows: 255 characters, which are no fewer bytes
        return 255


def _foreign_file(out: Path, name: str) -> str | None:
    """A file that bears the name of a result and is none: ours, of whatever kind, say LungLens in their bytes."""
    for suffix in SUFFIXES:
        path = out / f"{name}{suffix}"
        try:
            if b"lunglens" not in path.read_bytes().lower():
                return path.name
        except FileNotFoundError:
            continue
        except OSError:
            return path.name
    return None


def _is_to_redo(outcome: SummaryRow, out: Path, retry_failed: bool) -> bool:
    was_deleted = not os.path.exists(out / outcome.result)  # noqa: PTH110 - never raises
    return was_deleted or (retry_failed and outcome.status == "failed")


def _do(film: Path, stem: Path, analyzer: Analyzer, writer: Writer) -> SummaryRow:
    """One film; whatever goes wrong is its own failure, but for results that cannot be written."""
    start = time.perf_counter()
    try:
        outcome = writer.write(film, stem, analyzer)
    except OutputError:
        raise
    except Exception as error:
        with writing(stem.parent):
            status, reason = failure_of(error) or ("failed", note_error(error, stem.parent))
        outcome = SummaryRow(readable(film), status, reason=reason)
    return replace(outcome, seconds=round(time.perf_counter() - start, 3))
