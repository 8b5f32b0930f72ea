"""Reading published CSV tables: which columns must be there, cells that may be empty or wrong, images that are listed.

What is not understood is written down as a `Problem` that names file, row and column, and stays unknown.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lunglens.errors import DataError
from lunglens.sources.source import Problem, Problems

UNITS_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
UNKNOWN = {"", "na", "n/a", "nan", "none", "null", "unknown", "-", "?"}


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
        cell = self.text(column)
        if cell is None:
            return None
        unit = cell[-1].upper()
        years = _number(cell[:-1] if unit in UNITS_PER_YEAR else cell) / UNITS_PER_YEAR.get(unit, 1.0)
        if 0 <= years <= 120:
            return years
        self.problem(column, f"{cell!r} is not an age; taken as unknown")
        return None

    def sex(self, column: str) -> str | None:
        """ "F" or "M"; None and a problem for anything else that is not empty."""
        cell = self.text(column)
        letter = (cell or "")[:1].upper()
        if cell is None or letter in {"F", "M"}:
            return letter or None
        self.problem(column, f"{cell!r} is not a sex (F, M, female, male); taken as unknown")
        return None

    def number(self, column: str) -> float | None:
        """A finite number; None and a problem for anything else that is not empty."""
        cell = self.text(column)
        if cell is None:
            return None
        value = _number(cell)
        if math.isfinite(value):
            return value
        self.problem(column, f"{cell!r} is not a number; taken as unknown")
        return None

    def problem(self, column: str | None, message: str) -> None:
        """Note what is wrong with this line."""
        self.problems.append(Problem(str(self.file), self.row, column, message))


def read_table(path: Path, columns: Sequence[str], problems: Problems) -> list[Line]:
    """Read a CSV with every cell as text; column names match whatever their case.

    Raises:
        DataError: the file is missing, not a CSV, empty, or lacks one of `columns`; the message names both.
    """
    try:
        records = list(csv.reader(_decode(path, problems).splitlines(keepends=True)))
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); it comes with the data set") from error
    header = [cell.strip().casefold() for cell in records[0]] if records else []
    missing = [column for column in columns if column.casefold() not in header]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}; is this the published table?")
    return list(_lines(path, header, records[1:], problems))


def listed(lines: Sequence[Line], column: str, images: Mapping[str, Path]) -> Iterator[tuple[Line, Path]]:
    """Lines with the image that their `column` names; missing images are counted, repeated ones left out and noted.

    Args:
        lines: a table's lines.
        column: holds a file name; only its stem counts, because copies often change the ending.
        images: stem in lower case -> file, from `find_images`.
    """
    first: dict[str, Line] = {}
    missing: list[Line] = []
    for line in lines:
        stem = stem_of(line[column])
        if stem not in images:
            missing.append(line)
        elif stem in first:
            line.problem(column, f"{line[column]} was in row {first[stem].row} already{_difference(line, first[stem])}")
        else:
            first[stem] = line
            yield line, images[stem]
    if missing:
        text = f"{len(missing)} of {len(lines)} listed images are not here, the first is {missing[0][column]!r}"
        missing[0].problem(column, text)


def stem_of(name: str) -> str:
    """A published file name without folders and ending, in lower case."""
    return Path(name.replace("\\", "/")).stem.lower() if name else ""


def group(source: str, patient: str | None) -> str:
    """The group of a patient's images; "" where the patient is unknown, which no split accepts."""
    return f"{source}-{patient}" if patient else ""


def _decode(path: Path, problems: Problems) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        problems.append(Problem(str(path), row, None, "is not UTF-8; the table is read as Windows-1252"))
        return data.decode("cp1252", errors="replace")


def _lines(path: Path, header: list[str], records: list[list[str]], problems: Problems) -> Iterator[Line]:
    for row, cells in enumerate(records, 2):
        if not any(cell.strip() for cell in cells):
            continue
        # Published tables end lines in a comma too many; more than that is a broken line.
        extra = [cell for cell in cells[len(header) :] if cell.strip()]
        line = Line(dict(zip(header, map(str.strip, cells), strict=False)), path, row, problems)
        if len(cells) < len(header) or extra:
            line.problem(None, f"has {len(cells)} cells, the header {len(header)}; left out")
            continue
        yield line


def _difference(line: Line, first: Line) -> str:
    changed = [name for name, cell in line.cells.items() if cell != first.cells.get(name)]
    return f", there with another {', '.join(changed)}; the first is kept" if changed else "; left out"


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
