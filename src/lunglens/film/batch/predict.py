"""Numbers only: what a classifier says of many films, as one table; no picture is drawn and nothing else is written.

Films are dealt out to processes, and what these say is kept in a journal beside the table, a line a film. Whatever is
killed, what the journal holds is not done again.
"""

import csv
import io
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from lunglens.errors import ConfigurationError, OutputError
from lunglens.files import only_one, readable, write_atomically, write_bytes, writing
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.journal import Journal
from lunglens.film.batch.names import key_of
from lunglens.film.batch.summary import SummaryRow, cell
from lunglens.film.failure import failure_of, note_error
from lunglens.film.model_package.record import AnswerSettings
from lunglens.film.radiograph import read_radiograph
from lunglens.film.reading.apart import prepare

Packages = tuple[Path | None, Path | None]

_NUMBERS = ("gate_score", "distance")
_AFTER = ("decision", "withheld", "reason", *_NUMBERS)
_MOST_TRIES = 2  # of a film that ends its process
_KILLER = "it ended the process that read it: damaged, malicious or too large for the memory"


def predict(
    films: Sequence[Path], out: Path, packages: Packages, jobs: int, on_done: Callable[[SummaryRow], None]
) -> list[SummaryRow]:
    """Write a table with a row for each film, in the films' order; a killed run goes on where it was.

    Args:
        films: from `find_films`.
        out: FILE.csv or FILE.parquet; written when all films are done, whole or not at all.
        packages: of lungs and classifier; None: the one that ships.
        jobs: processes at a time.
        on_done: called after each film (also for those found done).

    Raises:
        ConfigurationError: `out` has another ending.
        OutputError: it is in use or not ours, or cannot be written.
        ModelPackageError: a package is missing, damaged, of another kind, or does not run.
    """
    write = _writer(out)
    analyzer = Analyzer.load(*packages)
    analyzer.prepare()
    keys = [key_of(film, str(analyzer.fingerprints)) for film in films]
    notes = out.with_name(f".{out.name}.journal.jsonl")
    with only_one(out.with_name(f".{out.name}.lock"), out, "prediction"):
        if out.exists() and not notes.exists():
            raise OutputError(f"{out}: was not written by lunglens predict; move it away, or choose another --out")
        with writing(notes):
            journal = Journal(notes)
        for key in filter(journal.outcomes.__contains__, keys):
            on_done(journal.outcomes[key])
        left = {key: film for film, key in zip(films, keys, strict=True) if key not in journal.outcomes}
        for key, row in _work_off(left, out.parent, packages, jobs):
            with writing(notes):
                journal.done(key, row)
            on_done(row)
        rows = [journal.outcomes[key] for key in keys]
        with writing(out):
            write(out, _columns(analyzer.classifier.parameters.answer, rows))
        return rows


def _work_off(left: dict[str, Path], folder: Path, packages: Packages, jobs: int) -> Iterator[tuple[str, SummaryRow]]:
    """Deal films out to processes, round after round: who dies with a film leaves the rest of its share to the next."""
    tries: Counter[str] = Counter()
    while left:
        dealt = list(left.items())
        shares = [dealt[first::jobs] for first in range(min(jobs, len(dealt)))]
        with _processes(shares, folder, packages) as pipes:
            while pipes:
                wait(pipes)
                for pipe in [pipe for pipe in pipes if pipe.poll()]:
                    try:
                        key, row = pipe.recv()
                    except (EOFError, OSError):  # its process has ended
                        pipes.remove(pipe)
                        continue
                    del left[key]
                    yield key, row
        for share in shares:
            at = next((key for key, _ in share if key in left), None)
            if at is None:
                continue
            tries[at] += 1
            if tries[at] >= _MOST_TRIES:
                yield at, SummaryRow(readable(left.pop(at)), "failed", reason=_KILLER)


@contextmanager
def _processes(shares: list[list[tuple[str, Path]]], folder: Path, packages: Packages) -> Iterator[list[Connection]]:
    """Pipes from a process a share, each with cores of its own as far as there are; none outlives this."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with ExitStack() as ends:
        pipes = []
        for first, share in enumerate(shares):
            its_cores = cores[first % len(cores) :: len(shares)] if cores else []
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(share, theirs, folder, packages, its_cores))
            process.start()
            theirs.close()
            pipes.append(ends.enter_context(ours))
            ends.callback(process.join)
            ends.callback(process.kill)
        yield list(pipes)


def _work(share: list[tuple[str, Path]], pipe: Connection, folder: Path, packages: Packages, cores: list[int]) -> None:
    """One process: film after film, each told before the next is begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    prepare()
    analyzer = Analyzer.load(*packages)
    with suppress(BrokenPipeError):  # the parent has ended
        for key, film in share:
            pipe.send((key, _predict(film, analyzer, folder)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _predict(film: Path, analyzer: Analyzer, folder: Path) -> SummaryRow:
    """Whatever goes wrong with a film is its own failure."""
    try:
        return SummaryRow.of(film, analyzer.analyze(read_radiograph(film)).record())
    except Exception as error:
        status, reason = failure_of(error) or ("failed", note_error(error, folder))
        return SummaryRow(readable(film), status, reason=reason)


def _columns(answer: AnswerSettings, rows: list[SummaryRow]) -> dict[str, list[Any]]:
    """The table: name of a column -> its values."""
    columns = {name: [getattr(row, name) for row in rows] for name in ("path", "status")}
    columns |= {f"p_{one.name}": [row.probabilities.get(one.name) for row in rows] for one in answer.classes}
    return columns | {name: [getattr(row, name) for row in rows] for name in _AFTER}


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
        kinds = {name: "float64" if name.startswith("p_") or name in _NUMBERS else "string" for name in columns}
        schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in kinds.items()])
        table = pyarrow.table(columns, schema=schema)
        write_atomically(out, lambda temporary: pyarrow.parquet.write_table(table, temporary))

    return write_parquet
