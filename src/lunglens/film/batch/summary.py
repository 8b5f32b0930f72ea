"""What became of a film of a batch, and the table of them all."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lunglens.film.finding_record import FindingRecord
from lunglens.film.model_package.record import COVID
from lunglens.text import readable

SUMMARY = "summary.csv"
_AFTER = ("decision", "withheld", "reason", "seconds", "result")
_COMMANDS = ("=", "+", "-", "@", "\N{MINUS SIGN}")
_BEFORE_COMMANDS = " \"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u00a0\u3000"


@dataclass(frozen=True)
class SummaryRow:
    """What became of a film; its texts command no terminal.

    probabilities: 0..1 by class, empty if not analysed. withheld: why no class is decided for, in machine words.
    """

    path: str
    status: Literal["analyzed", "refused", "failed"]
    probabilities: dict[str, float] = field(default_factory=dict)
    decision: str | None = None
    withheld: str = ""
    reason: str | None = None
    seconds: float = 0.0
    result: str = ""
    gate_score: float | None = None
    distance: float | None = None

    @classmethod
    def of(cls, film: Path, finding: FindingRecord, result: str = "") -> "SummaryRow":
        """Of a film that has a finding; result: the file that holds it."""
        return cls(
            readable(film),
            finding.status,
            finding.probabilities or {},
            finding.decision,
            " ".join(finding.withheld or ()),
            finding.reason,
            result=result,
            gate_score=finding.gate.frontal_score,
            distance=finding.distance,
        )


def summary_csv(rows: Iterable[SummaryRow], classes: Sequence[str]) -> str:
    """The batch as CSV text, header first; text is in quotes, and none of it is a formula to a spreadsheet.

    classes: of the classifier, in its order. Of covid or not, the one probability is `covid_probability`; else there is
    a column `p_<class>` for each class.
    """
    columns = {} if len(classes) == 2 and classes[0] == COVID else {f"p_{name}": name for name in classes}
    if COVID in classes:
        columns = {"covid_probability": COVID} | columns
    stream = io.StringIO()
    # Quotes around all text: where lists are separated by semicolons, one in a name would else begin a cell.
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    csv.writer(stream, lineterminator="\n").writerow(["path", "status", *columns, *_AFTER])
    for row in rows:
        numbers = [row.probabilities.get(name) for name in columns.values()]
        cells = [row.path, row.status, *numbers, *(getattr(row, name) for name in _AFTER)]
        writer.writerow([cell(value) for value in cells])
    return stream.getvalue()


def cell(value: object) -> object:
    """Text with an apostrophe before what a spreadsheet would run as a formula (OWASP, "CSV Injection")."""
    if not isinstance(value, str):
        return value
    text = readable(value)
    # NFKC: a full-width sign is taken for the plain one.
    begins = unicodedata.normalize("NFKC", text.lstrip(_BEFORE_COMMANDS)).startswith(_COMMANDS)
    return f"'{text}" if begins else text
