"""`report/sheets.html` and `report/sheets.json`: every item of each checklist, and what shows it, or "not done"."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lunglens.errors import DataError
from lunglens.evaluate.audit.record import AUDIT, Audit
from lunglens.files import read_json, read_record, write_bytes, write_json
from lunglens.study.report.pages import environment
from lunglens.study.report.sheets.facts import DATA, FOLDS, RESULTS, Evidence, Fact, facts_of

NOT_DONE = "not done"
_AGAIN = "make it again with report, and give a --run"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_Strict):
    """One item: its number in the publication, what it asks, in our words, and which facts answer it."""

    number: str
    section: str
    asks: str
    facts: tuple[str, ...]


class Checklist(_Strict):
    """A published checklist."""

    title: str
    about: str
    items: tuple[Item, ...]


def checklists() -> list[Checklist]:
    """All that are known, in the order of their files."""
    folder = files(__package__).joinpath("items")
    texts = [one.read_text(encoding="utf-8") for one in sorted(folder.iterdir(), key=lambda file: file.name)]
    return [Checklist.model_validate(tomllib.loads(text)) for text in texts]


def write_sheets(study: Path, audit: Path | None = None) -> Path:
    """Fill the sheets of a study's first run from its report; returns the page.

    Args:
        study: folder, with the report of a run in it.
        audit: folder of `lunglens audit` on that run.

    Raises:
        DataError: there is no such report, or the audit is damaged.
    """
    found = None if audit is None else read_record(audit / AUDIT, Audit, "make it again with audit")
    folds = read_json(study / FOLDS, "make folds with lunglens folds")
    results = read_json(study / RESULTS, _AGAIN)
    if not results["runs"]:
        raise DataError(f"{study / RESULTS}: holds no run of a classifier; {_AGAIN}")
    facts = facts_of(Evidence(read_json(study / DATA, _AGAIN), results, folds, found))
    sheets = [_filled(checklist, facts) for checklist in checklists()]
    page = study / "report" / "sheets.html"
    write_json(page.with_suffix(".json"), {"format": 1, "sheets": sheets})
    write_bytes(page, environment(__package__).get_template("sheets.html.jinja").render(sheets=sheets).encode())
    return page


def _filled(checklist: Checklist, facts: dict[str, Fact]) -> dict[str, Any]:
    rows = []
    for item in checklist.items:
        found = [facts[key] for key in item.facts if key in facts]
        shown = list(dict.fromkeys(file for fact in found for file in fact.files))
        rows.append(
            {
                "number": item.number,
                "section": item.section,
                "asks": item.asks,
                "answers": [fact.text for fact in found] or [NOT_DONE],
                "evidence": shown,
            }
        )
    done = sum(bool(row["evidence"]) for row in rows)
    return {"title": checklist.title, "about": checklist.about, "shown": done, "of": len(rows), "rows": rows}
