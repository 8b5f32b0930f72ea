"""Numbers only: what a classifier says of many films, as one table; no picture is drawn and nothing else is written.

Films are dealt out to processes that share nothing but a journal beside the table, a line a film. Whatever is killed,
what the journal holds is not done again.
"""

import csv
import io
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from lunglens.errors import ConfigurationError, OutputError
from lunglens.files import Journal, only_one, readable, write_atomically, write_bytes, writing
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.errors_log import note_error
from lunglens.film.batch.names import identity, short_hash, state_of
from lunglens.film.batch.summary import cell
from lunglens.film.failure import failure_of
from lunglens.film.finding import Analyzed
from lunglens.film.radiograph import read_radiograph
from lunglens.film.reading.apart import prepare

_LOOK_S = 0.2
_CANNOT_WRITE = 3  # a process's exit code
_MOST_TRIES = 2  # of a film that ends its process
_KILLER = "it ended the process that read it: damaged, malicious or too large for the memory"


class Prediction(BaseModel):
    """A row of the table. key: changes with the film's file and the models. probabilities: by class, if analysed."""

    key: str
    path: str
    status: Literal["analyzed", "refused", "failed"]
    probabilities: dict[str, float] = {}
    decision: str | None = None
    reason: str | None = None
    gate_score: float | None = None


@dataclass(frozen=True)
class Models:
    """Packages, None: those that ship."""

    lungs: Path | None
    classifier: Path | None

    def load(self) -> Analyzer:
        """Raises ModelPackageError where one cannot be used."""
        analyzer = Analyzer.load(self.lungs, self.classifier)
        analyzer.prepare()
        return analyzer


def predict(
    films: Sequence[Path], out: Path, models: Models, jobs: int, on_done: Callable[[Prediction], None]
) -> list[Prediction]:
    """Write a table with a row for each film, in the films' order; a killed run goes on where it was.

    Args:
        films: from `find_films`.
        out: FILE.csv or FILE.parquet; written when all films are done, whole or not at all.
        models: the packages.
        jobs: processes at a time.
        on_done: called after each film (also for those found done).

    Raises:
        ConfigurationError: `out` has another ending.
        OutputError: it is in use or not ours, or cannot be written.
        ModelPackageError: a package is missing, damaged, of another kind, or does not run.
    """
    write = _writer(out)
    analyzer = models.load()
    classes = [entry.name for entry in analyzer.classifier.parameters.answer.classes]
    packages = (analyzer.lungs, analyzer.classifier, analyzer.orientation)
    fingerprints = " ".join(package.fingerprint for package in packages)
    keys = [_key(film, fingerprints) for film in films]
    journal = out.with_name(f".{out.name}.journal.jsonl")
    with only_one(out.with_name(f".{out.name}.lock"), out, "prediction"):
        if out.exists() and not journal.exists():
            raise OutputError(f"{out}: was not written by lunglens predict; move it away, or choose another --out")
        reader = _Reader(journal)
        done = {row.key: row for row in reader.rows()}
        for row in filter(None, map(done.get, keys)):
            on_done(row)
        left = [(film, key) for film, key in zip(films, keys, strict=True) if key not in done]
        for row in _work_off(left, reader, models, jobs):
            done[row.key] = row
            on_done(row)
        rows = [done[key] for key in keys]
        with writing(out):
            write(out, _columns(classes, rows))
        return rows


class _Reader:
    """Of the journal, while others write it."""

    def __init__(self, path: Path) -> None:
        self.path, self._at = path, 0

    def rows(self) -> list[Prediction]:
        """The rows that have come since it was last asked; a line that is not whole is left for the next time."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._at)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        rows = []
        for line in whole.splitlines():
            try:
                rows.append(Prediction.model_validate_json(line))
            except ValidationError:  # torn by a kill, or of another version: its film is done again
                continue
        return rows


def _work_off(left: list[tuple[Path, str]], reader: _Reader, models: Models, jobs: int) -> Iterator[Prediction]:
    """Deal films out to processes, round after round: who dies with a film leaves the rest of its share to the next."""
    remaining = {key: film for film, key in left}
    tries: Counter[str] = Counter()
    while remaining:
        dealt = list(remaining.items())
        shares = [dealt[first::jobs] for first in range(min(jobs, len(dealt)))]
        with _processes(shares, reader.path, models) as processes:
            alive = processes
            while alive:  # looked at before the journal is read, which then has all that ended ones have left
                wait([process.sentinel for process in alive], _LOOK_S)
                alive = [process for process in processes if process.is_alive()]
                for row in reader.rows():
                    if remaining.pop(row.key, None) is not None:
                        yield row
            if any(process.exitcode == _CANNOT_WRITE for process in processes):
                raise OutputError(f"{reader.path}: cannot be written; free space or rights, then run again")
        for share in shares:
            at = next((key for key, _ in share if key in remaining), None)
            if at is None:
                continue
            tries[at] += 1
            if tries[at] >= _MOST_TRIES:
                row = Prediction(key=at, path=readable(remaining.pop(at)), status="failed", reason=_KILLER)
                Journal(reader.path).append(row.model_dump(exclude_defaults=True))
                yield row


@contextmanager
def _processes(shares: list[list[tuple[str, Path]]], journal: Path, models: Models) -> Iterator[list[BaseProcess]]:
    """A process a share, each with cores of its own as far as there are; none outlives this."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    processes: list[BaseProcess] = []
    try:
        for first, share in enumerate(shares):
            its_cores = cores[first % len(cores) :: len(shares)] if cores else []
            processes.append(context.Process(target=_work, args=(share, journal, models, its_cores)))
            processes[-1].start()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _work(share: list[tuple[str, Path]], journal: Path, models: Models, cores: list[int]) -> None:
    """One process: film after film, each noted before the next is begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    prepare()
    analyzer, notes = models.load(), Journal(journal)
    for key, film in share:
        row = _predict(film, key, analyzer, journal.parent)
        try:
            notes.append(row.model_dump(exclude_defaults=True))
        except OSError:
            os._exit(_CANNOT_WRITE)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _predict(film: Path, key: str, analyzer: Analyzer, folder: Path) -> Prediction:
    """Whatever goes wrong with a film is its own failure."""
    path = readable(film)
    try:
        finding = analyzer.analyze(read_radiograph(film))
    except Exception as error:
        status, reason = failure_of(error) or ("failed", note_error(error, folder))
        return Prediction(key=key, path=path, status=status, reason=reason)
    gate = round(finding.gate_score, 6)
    if not isinstance(finding, Analyzed):
        return Prediction(key=key, path=path, status="refused", reason=finding.reason, gate_score=gate)
    answer = finding.answer
    probabilities = {name: round(value, 6) for name, value in answer.probabilities.items()}
    return Prediction(
        key=key, path=path, status="analyzed", probabilities=probabilities, decision=answer.decision, gate_score=gate
    )


def _key(film: Path, fingerprints: str) -> str:
    return short_hash(f"{identity(film)} {state_of(film)} {fingerprints}", 24)


def _columns(classes: list[str], rows: list[Prediction]) -> dict[str, list[Any]]:
    """The table: name of a column -> its values."""
    return {
        "path": [row.path for row in rows],
        "status": [row.status for row in rows],
        **{f"p_{name}": [row.probabilities.get(name) for row in rows] for name in classes},
        "decision": [row.decision for row in rows],
        "reason": [row.reason for row in rows],
        "gate_score": [row.gate_score for row in rows],
    }


def _write_csv(out: Path, columns: dict[str, list[Any]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(map(cell, columns))
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows(map(cell, row) for row in zip(*columns.values(), strict=True))
    write_bytes(out, stream.getvalue().encode())


def _writer(out: Path) -> Callable[[Path, dict[str, list[Any]]], None]:
    """How a table of this ending is written; what that needs is asked for now, before films are read."""
    if out.suffix == ".csv":
        return _write_csv
    if out.suffix != ".parquet":
        raise ConfigurationError(f"{out}: give --out FILE.csv or FILE.parquet")
    import pyarrow
    import pyarrow.parquet

    def write_parquet(out: Path, columns: dict[str, list[Any]]) -> None:
        kinds = {name: "float64" if name.startswith("p_") or name == "gate_score" else "string" for name in columns}
        schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in kinds.items()])
        table = pyarrow.table(columns, schema=schema)
        write_atomically(out, lambda temporary: pyarrow.parquet.write_table(table, temporary))

    return write_parquet
