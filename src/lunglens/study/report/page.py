"""`report/data.html` and `report/data.json` of a study: self-contained, the same byte for byte for the same study."""

from functools import partial
from pathlib import Path
from typing import Any

from lunglens.evaluate.figures.style import short
from lunglens.files import write_bytes, write_json
from lunglens.study.report import figures
from lunglens.study.report.data import MOST_PROBLEMS, Numbers, study_numbers
from lunglens.study.report.pages import environment
from lunglens.study.report.paper import PAPER_RESULT
from lunglens.study.report.tables import StudyTables, read_tables
from lunglens.study.report.thumbnails import contact_sheet
from lunglens.study.report.worth import feature_name

SHEET_FILMS, SHEET_SIDE_PX = 24, 112


def write_study_report(study: Path) -> Path:
    """Write the report of a study folder into its `report/`; returns the page.

    Raises:
        DataError: the folder holds no study of format 1, or lacks a table.
        OSError: the page cannot be written.
    """
    found = read_tables(study)
    numbers = study_numbers(found)
    page = study / "report" / "data.html"
    write_json(page.with_suffix(".json"), numbers)
    write_bytes(page, _render(found, numbers).encode())
    return page


def _render(study: StudyTables, numbers: Numbers) -> str:
    pages = environment(__package__)
    pages.filters["feature"] = feature_name
    pages.filters["short"] = short
    pages.globals["colour"] = partial(figures.colour_of, classes=study.classes)
    template = pages.get_template("data.html.jinja")
    return template.render(
        **numbers,
        about=numbers["study"],
        letters=_letters(numbers["flow"]),
        largest_step=max((part["kept"] for step in numbers["flow"] for part in step["classes"].values()), default=1),
        paper_result=PAPER_RESULT if any(row["paper"] for row in numbers["sources_taken"]) else "",
        most_problems=MOST_PROBLEMS,
        figures=_figures(numbers, study.classes),
        sheets=_sheets(study),
    )


def _letters(flow: list[Numbers]) -> dict[str, str]:
    """A short name for each source: A, B, ... Z, S27, ..."""
    sources = sorted({source for step in flow for part in step["classes"].values() for source in part["by_source"]})
    return {source: chr(ord("A") + at) if at < 26 else f"S{at + 1}" for at, source in enumerate(sources)}


def _figures(numbers: Numbers, classes: list[str]) -> dict[str, str | None]:
    strata = numbers["strata"]
    return {
        "findings": figures.findings_figure(numbers["findings"]),
        "ages": figures.ages_figure(strata, classes),
        "sexes": figures.shares_figure(strata, "sexes"),
        "views": figures.shares_figure(strata, "views"),
        "sizes": figures.sizes_figure(strata, classes),
    }


def _sheets(study: StudyTables) -> list[dict[str, Any]]:
    found = []
    for name in study.classes:
        images = study.images[study.images["class"] == name]
        films = contact_sheet(study.folder, images, SHEET_FILMS, SHEET_SIDE_PX, int(study.about["seed"]))
        found.append({"class": name, "n": len(images), "films": films})
    return found
