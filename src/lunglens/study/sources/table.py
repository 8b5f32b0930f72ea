"""Reading published CSV tables: which columns must be there, cells that may be empty or wrong, images that are listed.

What is not understood is written down as a `Problem` that names file, row and column, and stays unknown.
"""

import codecs
import csv
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lunglens.errors import DataError
from lunglens.film.reading.facts import FILM_ENDINGS, UNITS_PER_YEAR
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.words import SEXES, UNKNOWN

_Value = TypeVar("_Value")
END = "end of the table"
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Line:
    """One line of a table; cells are read through methods that note what they cannot understand."""

    cells: Mapping[str, str]
    file: Path
    row: int
    problems: Problems

    def __getitem__(self, column: str) -> str:
        """The cell as published, without blanks around it; "" where the table lacks an optional column."""
        return self.cells.get(column.casefold(), "")

    def text(self, column: str) -> str | None:
        """The cell, or None where it is empty or says that it is unknown."""
        return None if self[column].casefold() in UNKNOWN else self[column]

    def age(self, column: str) -> float | None:
        """Age in years from a number or one with a unit (058Y, 011M); None and a problem if it is not plausible."""
        return self._understood(column, years_of, "an age")

    def sex(self, column: str) -> str | None:
        """ "F" or "M"; None and a problem for anything else that is not empty."""
        return self._understood(column, lambda cell: SEXES.get(cell.casefold()), "a sex (F, M, female, male)")

    def number(self, column: str) -> float | None:
        """A finite number; None and a problem for anything else that is not empty."""
        return self._understood(column, _number, "a number")

    def _understood(self, column: str, read: Callable[[str], _Value | None], what: str) -> _Value | None:
        cell = self.text(column)
        value = None if cell is None else read(cell)
        if cell is not None and value is None:
            self.problem(column, f"{cell!r} is not {what}; taken as unknown")
        return value

    def problem(self, column: str | None, message: str) -> None:
        """Note what is wrong with this line."""
        self.problems.append(Problem(str(self.file), self.row, column, message))


def read_table(path: Path, columns: Sequence[str], problems: Problems) -> list[Line]:
    """Read a CSV, delimited by a comma, semicolon, tab or bar, with every cell as text.

    Column names match whatever their case; the delimiter is the one with which the header has them, or most cells.

    Lines with too few or too many cells, or with NUL bytes, are left out and noted.

    Raises:
        DataError: the file is missing, empty, not a CSV in UTF-8 or Windows-1252, or lacks one of `columns` or has it
            twice; the message names both.
    """
    try:
        records = _records(_decode(path, problems), columns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); it comes with the data set") from error
    except (UnicodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read as CSV: {error}; fetch the published table again or save it as CSV in UTF-8"
        ) from error
    header = [cell.strip().casefold() for cell in records[0]] if records else []
    missing = [column for column in columns if column.casefold() not in header]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}; it has {', '.join(header)}")
    twice = [column for column in columns if header.count(column.casefold()) > 1]
    if twice:
        raise DataError(f"{path}: has the column(s) {', '.join(twice)} twice; keep the right one")
    return list(_lines(path, header, records[1:], problems))


def stem_of(name: str) -> str:
    """A published file name without folders and ending, in lower case; dots inside the name are kept."""
    return without_ending(name).rpartition("/")[2]


def without_ending(name: str) -> str:
    """A published path without its ending, in lower case, with forward slashes."""
    name = name.replace("\\", "/").lower()
    root, dot, ending = name.rpartition(".")
    # Names without an ending may hold dots: an ending begins with a letter, the last part of a UID does not.
    return root if dot and ending[:1].isalpha() and "/" not in ending else name


def listed(
    lines: Sequence[Line], column: str, images: Mapping[str, Path], key: Callable[[str], str] = stem_of
) -> Iterator[tuple[Line, Path]]:
    """Lines with the image that their `column` names; missing images are counted, repeated ones left out and noted.

    Args:
        lines: the lines of one table, or of several of one data set.
        column: names the image's file.
        images: key -> file; by default the stem in lower case, as `find_images` gives.
        key: what in a cell of `column` counts; by default only the stem, because copies often change the ending.
    """
    first: dict[str, Line] = {}
    missing: list[Line] = []
    for line in lines:
        image = key(line[column])
        if image not in images:
            missing.append(line)
        elif image in first:
            there = f"{first[image].file.name} " if first[image].file != line.file else ""
            change = _difference(line, first[image], column)
            line.problem(column, f"{line[column]} was in {there}row {first[image].row} already{change}")
        else:
            first[image] = line
            yield line, images[image]
    if missing:
        text = f"{len(missing)} of {len(lines)} listed images are not here, the first is {missing[0][column]!r}"
        missing[0].problem(column, text)


def files_below(folder: Path) -> Iterator[str]:
    """Paths of the files below `folder`, in a fixed order, without hidden ones (other tools' droppings).

    Raises:
        DataError: a folder is missing or cannot be read.
    """
    # As text and by scandir, which asks nothing of a file but its name: a large set has 200,000 files and folders.
    waiting = [str(folder)]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            raise DataError(f"{place}: cannot be read ({error.strerror}); give the data set's folder") from error
        shown = [(f"{place}{os.sep}{name}", inner) for name, inner in found if name[0] != "." and name != "__MACOSX"]
        yield from (path for path, inner in shown if not inner)
        waiting.extend(path for path, inner in reversed(shown) if inner)


def is_film_name(path: str) -> bool:
    """Whether a file is named as films are."""
    return Path(path).suffix.lower() in FILM_ENDINGS


def group(source: str, patient: str | None) -> str:
    """The group of a patient's images; "" where the patient is unknown, which no split accepts."""
    return f"{source}-{patient}" if patient else ""


def years_of(text: str) -> float | None:
    """Age in years from a number or one with a unit of `UNITS_PER_YEAR`; None if it is not plausible."""
    unit = text[-1:].upper()
    number = _number(text[:-1] if unit in UNITS_PER_YEAR else text)
    years = -1.0 if number is None else number / UNITS_PER_YEAR.get(unit, 1.0)
    return years if 0 <= years <= 120 else None


def _decode(path: Path, problems: Problems) -> str:
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or 0 in data[:4]:
        raise UnicodeError("it is UTF-16 or binary, not UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = len(list(_csv(data[: error.start].decode("utf-8") + "?", ",")))
        problems.append(Problem(str(path), row, None, "is not UTF-8; the table is read as Windows-1252"))
        return data.decode("cp1252", errors="replace")


def _delimiter(text: str, columns: Sequence[str]) -> str:
    headers = {mark: next(_csv(text, mark), []) for mark in DELIMITERS}
    wanted = {column.casefold() for column in columns}
    return max(
        headers, key=lambda mark: (wanted <= {cell.strip().casefold() for cell in headers[mark]}, len(headers[mark]))
    )


def _records(text: str, columns: Sequence[str]) -> list[list[str]]:
    records: list[list[str]] = []
    try:
        records.extend(_csv(f"{text}\n{END}", _delimiter(text, columns)))
    except csv.Error as error:
        raise csv.Error(f"row {len(records) + 1} holds too long a cell ({error}); is a quote never closed?") from error
    # An open quote swallows all that follows, which the csv module takes as one long cell.
    if records.pop() != [END]:
        raise csv.Error(f"a quote in row {len(records) + 1} is never closed")
    return records


def _csv(text: str, delimiter: str) -> Iterator[list[str]]:
    # Not splitlines(): that also splits at form feeds and Unicode's line separators, which may stand in a cell.
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _lines(path: Path, header: list[str], records: list[list[str]], problems: Problems) -> Iterator[Line]:
    named = max((index for index, name in enumerate(header, 1) if name), default=0)
    for row, record in enumerate(records, 2):
        cells = [cell.strip() for cell in record]
        if not any(cells):
            continue
        line = Line(dict(zip(header, cells, strict=False)), path, row, problems)
        if "\0" in "".join(cells):
            line.problem(None, "holds NUL bytes; left out")
            continue
        # Published tables end lines in a comma too many, or in a column without a name; more is a broken line.
        if len(cells) < named or any(cells[len(header) :]):
            line.problem(None, f"has {len(cells)} cells, the header {len(header)}; left out")
            continue
        yield line


def _difference(line: Line, first: Line, column: str) -> str:
    # The same image may be written otherwise, with other capitals or folders; that is no contradiction.
    others = ((name, cell) for name, cell in line.cells.items() if name != column.casefold())
    changed = [name for name, cell in others if cell.casefold() != first[name].casefold()]
    return f", there with another {', '.join(changed)}; the first is kept" if changed else "; left out"


def _number(cell: str) -> float | None:
    try:
        value = float(re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell))  # as half of Europe writes it
    except ValueError:
        return None
    return value if math.isfinite(value) else None
