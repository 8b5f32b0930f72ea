"""Reading upstream CSV tables: which columns must be there, and cells that may be empty."""

from pathlib import Path

import pandas as pd

from lunglens.errors import DataError

UNITS_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a CSV with every cell as text and check that `columns` are there.

    Raises:
        DataError: the file is missing, not a CSV, or lacks a column; the message names both.
    """
    try:
        # `index_col`: else lines that end in a comma too many shift every column by one, silently.
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8", encoding_errors="replace"
        )
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); it comes with the data set") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}; is this the published table?")
    return table


def text(cell: object) -> str | None:
    """A cell's text; an empty one is unknown."""
    stripped = str(cell).strip()
    return stripped or None


def group(source: str, patient: str | None) -> str:
    """The group of a patient's images; "" where the patient is unknown, which no split accepts."""
    return f"{source}-{patient}" if patient else ""


def age(cell: object) -> float | None:
    """Age in years from a number or one with a unit (058Y, 011M); anything that is not plausible is unknown."""
    number = str(cell).strip()
    unit = number[-1:] if number[-1:] in UNITS_PER_YEAR else ""
    try:
        years = float(number.removesuffix(unit)) / UNITS_PER_YEAR[unit or "Y"]
    except ValueError:
        return None
    return years if 0 <= years <= 120 else None
