"""Reading upstream CSV tables: which columns must be there, and cells that may be empty."""

from pathlib import Path

import pandas as pd

from lunglens.errors import DataError


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a CSV with every cell as text and check that `columns` are there.

    Raises:
        DataError: the file is missing, not a CSV, or lacks a column; the message names both.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", encoding_errors="replace")
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


def age(cell: object) -> float | None:
    """Age in years; anything that is not a plausible number is unknown."""
    try:
        years = float(str(cell).strip().rstrip("Y"))
    except ValueError:
        return None
    return years if 0 <= years <= 120 else None
