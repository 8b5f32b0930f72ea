"""One film of a batch and what became of it, and the table of them all."""

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lunglens.files import readable

SUMMARY = "summary.csv"
_COMMANDS = ("=", "+", "-", "@", "\N{MINUS SIGN}")
_BEFORE_COMMANDS = " \"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u00a0\u3000"


@dataclass(frozen=True)
class Outcome:
    """A row of `summary.csv`; status is "analyzed", "refused" or "failed". Its texts command no terminal."""

    path: str
    status: Literal["analyzed", "refused", "failed"]
    covid_probability: float | None = None
    decision: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    result: str = ""


@dataclass(frozen=True)
class Job:
    """One film to do: its file, the name its results get, and a key that changes when the file or the models do."""

    path: Path
    name: str
    key: str


def summary_csv(outcomes: Iterable[Outcome]) -> str:
    """The batch as CSV text, header first; text is in quotes, and none of it is a formula to a spreadsheet."""
    stream = io.StringIO()
    columns = list(Outcome.__dataclass_fields__)
    stream.write(",".join(columns) + "\n")
    # Quotes around all text: where lists are separated by semicolons, one in a name would else begin a cell.
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows([_cell(value) for value in asdict(outcome).values()] for outcome in outcomes)
    return stream.getvalue()


def _cell(value: object) -> object:
    """Text with an apostrophe before what a spreadsheet would run as a formula (OWASP, "CSV Injection")."""
    if not isinstance(value, str):
        return value
    text = readable(value)
    # NFKC: a full-width sign is taken for the plain one.
    begins = unicodedata.normalize("NFKC", text.lstrip(_BEFORE_COMMANDS)).startswith(_COMMANDS)
    return f"'{text}" if begins else text
