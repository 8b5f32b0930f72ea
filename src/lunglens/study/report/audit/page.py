"""`audit.html`: the tests of an audit in order, each with its verdict, number, sentence and table."""

from pathlib import Path
from typing import Any

from lunglens.evaluate.audit.record import AUDIT, Audit
from lunglens.evaluate.figures.audit import audit_figure
from lunglens.evaluate.figures.style import save_svg
from lunglens.files import read_record, write_bytes
from lunglens.study.report.pages import data_uri, environment

EDITS = "edits.png"  # a film of the study, as the edits of T10 make it
_WORDS = {
    "shortcut": "a shortcut",
    "doubt": "a doubt",
    "clear": "nothing found",
    "not done": "not done",
}
_COLOURS = {"shortcut": "place", "doubt": "mixed", "clear": "fair", "not done": "none"}


def write_audit_page(folder: Path) -> Path:
    """Write `audit.html` and `audit.svg` beside `audit.json`; returns the page.

    Raises:
        DataError: the record is missing or damaged.
    """
    audit = read_record(folder / AUDIT, Audit, "make it again with audit")
    save_svg(folder / "audit.svg", audit_figure, audit)
    page = (
        environment(__package__)
        .get_template("audit.html.jinja")
        .render(
            audit=audit,
            words=_WORDS,
            colours=_COLOURS,
            tables={test.test + test.name: _table(test.rows) for test in audit.tests},
            figure=data_uri(folder / "audit.svg"),
            edits=data_uri(folder / EDITS),
        )
    )
    write_bytes(folder / "audit.html", page.encode())
    return folder / "audit.html"


def _table(rows: tuple[dict[str, Any], ...]) -> tuple[list[str], list[list[str]]]:
    """Head and cells; an interval stands behind its number."""
    names = [name for name in rows[0] if not _is_interval(name, rows[0])] if rows else []
    return [name.replace("_", " ") for name in names], [[_cell(row, name) for name in names] for row in rows]


def _is_interval(name: str, row: dict[str, Any]) -> bool:
    return name.endswith("95_ci") and (name.removesuffix("_95_ci") in row or name == "95_ci")


def _cell(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    bounds = row.get(f"{name}_95_ci", row.get("95_ci") if name == "value" else None)
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return " : ".join(map(str, value))
    words = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"{words} ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else words
