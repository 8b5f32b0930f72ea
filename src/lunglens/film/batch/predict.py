"""Numbers only: what a classifier says of many films, as one table; no picture is drawn and nothing else is written.

What the processes say is kept in a journal beside the table, a line a film. Whatever is killed, what the journal holds
is not done again.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lunglens.errors import ConfigurationError, OutputError
from lunglens.files import only_one, write_atomically, write_bytes, writing
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.journal import Journal
from lunglens.film.batch.models import Work, worker
from lunglens.film.batch.names import key_of
from lunglens.film.batch.processes import KILLER, processes_for
from lunglens.film.batch.summary import SummaryRow, cell
from lunglens.film.failure import failure_of, note_error
from lunglens.film.model_package.record import AnswerSettings
from lunglens.film.radiograph import read_radiograph
from lunglens.text import readable

_NUMBERS = ("gate_score", "distance")
_AFTER = ("decision", "withheld", "reason", *_NUMBERS)


def predict(
    films: Sequence[Path],
    out: Path,
    analyzer: Analyzer,
    jobs: int | None,
    on_done: Callable[[SummaryRow], None],
    elsewhere: Work | None = None,
) -> list[SummaryRow]:
    """Write a table with a row for each film, in the films' order; a killed run goes on where it was.

    Args:
        films: from `find_films`.
        out: FILE.csv or FILE.parquet; written when all films are done, whole or not at all.
        analyzer: the models.
        jobs: processes at a time; None: as many as cores, where films are many.
        on_done: called after each film (also for those found done).
        elsewhere: answers the films that are left, in place of this machine.

    Raises:
        ConfigurationError: `out` has another ending.
        OutputError: it is in use or not ours, or cannot be written.
    """
    write = _writer(out)
    keys = [key_of(film, str(analyzer.fingerprints)) for film in films]
    notes = out.with_name(f".{out.name}.journal.jsonl")
    with only_one(out.with_name(f".{out.name}.lock"), out, "prediction"):
        if out.exists() and not notes.exists():
            raise OutputError(f"{out}: was not written by lunglens predict; move it away, or choose another --out")
        with writing(notes):
            journal = Journal(notes)
        for key in filter(journal.outcomes.__contains__, keys):
            on_done(journal.outcomes[key])
        film_of = dict(zip(keys, films, strict=True))
        left = {key: film for key, film in film_of.items() if key not in journal.outcomes}
        here = worker(partial(predict_film, folder=out.parent), analyzer, processes_for(len(left), jobs))
        for key, found in (elsewhere or here)(left):
            path = readable(film_of[key])
            row = replace(found, path=path) if found else SummaryRow(path, "failed", reason=KILLER)
            with writing(notes):
                journal.done(key, row)
            on_done(row)
        rows = [journal.outcomes[key] for key in keys]
        with writing(out):
            write(out, _columns(analyzer.classifier.parameters.answer, rows))
        return rows


def predict_film(film: Path, *, analyzer: Analyzer, folder: Path) -> SummaryRow:
    """What the models say of a film; whatever goes wrong with it is its own failure. folder: for the log of errors."""
    try:
        return SummaryRow.of(film, analyzer.analyze(read_radiograph(film)).record())
    except Exception as error:
        with writing(folder):
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
