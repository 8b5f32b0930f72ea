"""A batch: film after film, each outcome noted as soon as its results are on disk."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from lunglens.errors import OutputError
from lunglens.files import LEFTOVER, only_one, write_bytes, writing
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.journal import JOURNAL, Journal
from lunglens.film.batch.models import Work, worker
from lunglens.film.batch.names import SUFFIXES, identity, key_of, result_names
from lunglens.film.batch.processes import KILLER
from lunglens.film.batch.summary import SUMMARY, SummaryRow, summary_csv
from lunglens.film.batch.write import Writer
from lunglens.film.failure import failure_of, note_error
from lunglens.text import readable

_LOCK = ".lunglens.lock"
_SHARDS = "[0-9a-f][0-9a-f]"
_IN_THE_WAY = "is where its results belong, and not of LungLens; move it away, or choose another --out"
_SUMMARY_BEGINNING = b"path,status,"  # of every version

Layout = Literal["flat", "sharded"]


class _Task(NamedTuple):
    """One film to do; stem: its results' paths are it and an ending. claimed: a file of that name may be the user's."""

    film: Path
    stem: Path
    claimed: bool


def run_batch(  # noqa: PLR0913 - a batch has as many sides
    films: list[Path],
    out: Path,
    analyzer: Analyzer,
    writer: Writer,
    on_done: Callable[[SummaryRow], None],
    retry_failed: bool = False,
    *,
    jobs: int = 1,
    layout: Layout = "flat",
) -> list[SummaryRow]:
    """Do every film that an earlier, killed run in `out` has not done, then write `summary.csv` for all of them.

    Args:
        films: from `find_films`.
        out: folder of the results; locked while the batch runs. No file that is there and not ours is written over.
        analyzer: the models.
        writer: what to do with one film: `AnalysisWriter` or `LungsWriter`.
        on_done: called after each film (also for those found done), as they end.
        retry_failed: do those again that have failed before.
        jobs: processes at a time; 1: this one, else new ones, which load the same packages.
        layout: flat: all in `out`; sharded: in up to 256 folders below it, for more files than a folder should hold.
            A folder keeps the one that it was begun with.

    Returns:
        the rows of the table, in the films' order.

    Raises:
        OutputError: the folder is in use by another batch, has the other layout, or cannot be written.
    """
    classes = [entry.name for entry in analyzer.classifier.parameters.answer.classes]
    with only_one(out / _LOCK, out, "batch"):
        with writing(out):
            journal = Journal(out / JOURNAL)
            _assert_layout(out, journal, layout)
            names = _names(films, out, journal)
        tasks = {
            key_of(film, f"{name} {analyzer.fingerprints} {writer.key(analyzer)}"): _Task(
                film, _place(out, name, layout), name not in journal.unmarked
            )
            for film, name in zip(films, names, strict=True)
        }
        rows: dict[str, SummaryRow] = {}
        work = worker(partial(_do, writer=writer), analyzer, jobs)
        for key, row in _rows(tasks, journal, out, retry_failed, work):
            rows[key] = row
            on_done(row)
        outcomes = [rows[key] for key in tasks]
        with writing(out):
            write_bytes(out / SUMMARY, summary_csv(outcomes, classes).encode())
        return outcomes


def _rows(
    tasks: dict[str, _Task], journal: Journal, out: Path, retry_failed: bool, work: Work
) -> Iterator[tuple[str, SummaryRow]]:
    """Key and row of each film, those that were done before first; each noted as soon as its results are on disk."""
    left = {}
    for key, task in tasks.items():
        before = journal.outcomes.get(key)
        if before is None or _is_to_redo(before, out, retry_failed):
            left[key] = task
        else:
            yield key, before
    for key, found in work(left):
        film, stem, _ = tasks[key]
        row = found if found is not None else SummaryRow(readable(film), "failed", reason=KILLER)
        if row.result:
            row = replace(row, result=(stem.parent / row.result).relative_to(out).as_posix())
        if row.reason is None or not row.reason.endswith(_IN_THE_WAY):  # once that is away, the film is done
            with writing(out):
                journal.done(key, row)
        yield key, row


def _assert_layout(out: Path, journal: Journal, layout: Layout) -> None:
    begun: set[Layout] = {"sharded" if "/" in row.result else "flat" for row in journal.outcomes.values() if row.result}
    if begun - {layout}:  # films that are done again would have old results in one place and new ones in the other
        (other,) = begun - {layout}
        raise OutputError(f"{out}: was begun with --layout {other}; give it again, or choose another --out")


def _place(out: Path, name: str, layout: Layout) -> Path:
    """Where the results of this name lie, without their endings."""
    return out / hashlib.sha256(name.encode()).hexdigest()[:2] / name if layout == "sharded" else out / name


def _names(films: list[Path], out: Path, journal: Journal) -> list[str]:
    """The name of each film's results, noted as ours before anything is written; what a killed run left is deleted."""
    there = {name for folder in (out, *filter(Path.is_dir, out.glob(_SHARDS))) for name in _tidied(folder)}
    _assert_summary_is_ours(out)
    names = result_names(films, journal.names, there, _most_name_bytes(out))
    journal.claim({name: identity(film) for film, name in zip(films, names, strict=True)})
    return names


def _tidied(folder: Path) -> list[str]:
    """The names in a folder, without what a killed run was writing, which is deleted."""
    names = os.listdir(folder)  # noqa: PTH208 - names are wanted
    leftover = {name for name in names if LEFTOVER.fullmatch(name) and (folder / name).is_file()}
    for name in leftover:
        (folder / name).unlink()
    return [name for name in names if name not in leftover]


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


def _foreign_file(stem: Path) -> str | None:
    """A file that bears the name of a result and is none: ours, of whatever kind, say LungLens in their bytes."""
    for suffix in SUFFIXES:
        path = stem.with_name(f"{stem.name}{suffix}")
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


def _do(task: _Task, analyzer: Analyzer, writer: Writer) -> SummaryRow:
    """One film; whatever goes wrong is its own failure, but for results that cannot be written."""
    film, stem, claimed = task
    start = time.perf_counter()
    with writing(stem.parent):
        stem.parent.mkdir(parents=True, exist_ok=True)
    foreign = _foreign_file(stem) if claimed else None
    if foreign is not None:  # it came after the name was given
        return SummaryRow(readable(film), "failed", reason=f"{readable(foreign)} {_IN_THE_WAY}")
    try:
        outcome = writer.write(film, stem, analyzer)
    except OutputError:
        raise
    except Exception as error:
        with writing(stem.parent):
            status, reason = failure_of(error) or ("failed", note_error(error, stem.parent))
        outcome = SummaryRow(readable(film), status, reason=reason)
    return replace(outcome, seconds=round(time.perf_counter() - start, 3))
