"""A curated index beside the data sets: `classification.csv`, one row an image, with verified groups and duplicates.

The index adds what no upstream table has (images tied across data sets, labels that sources disagree on) and is the
only description of collections that were published without metadata.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lunglens.film.reading.facts import UNDER_AGE
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problems
from lunglens.study.sources.table import Line, read_table

COLUMNS = ["image", "source", "patient_id", "group_id", "view", "modality", "age", "sex", "finding", "label"]
COLUMNS += ["cohort", "notes", "label_conflict"]
LOST_WITH_THE_TABLE = ("patient_id", "view", "age_years", "sex")
# Notes that contradict the label of a collection that was labelled as a whole.
DOUBT = {"negative PCR": r"pcr[^;]{0,20}negative|negative[^;]{0,20}pcr", "no abnormality": r"no abnormalit"}


def with_index(rows: Iterable[Row], root: Path, problems: Problems) -> Iterator[Row]:
    """Rows of upstream readers, tied by the index where there is one, and its rows of further sources."""
    path = root / "classification.csv"
    if not path.exists():
        yield from rows
        return
    index = {str(root / line["image"]): line for line in read_table(path, COLUMNS, problems)}
    seen_sources = set()
    for row in rows:
        seen_sources.add(row.source)
        line = index.get(row.path)
        yield row if line is None else _tied(row, line)
    for image, line in index.items():
        if line["source"] not in seen_sources and Path(image).exists():
            yield _row(image, line)


def _tied(row: Row, line: Line) -> Row:
    """The row in its verified group; the index also knows what a copy of a set without its table has lost."""
    known = _row(row.path, line)
    lost = {name: getattr(known, name) for name in LOST_WITH_THE_TABLE if getattr(row, name) is None}
    return replace(row, **lost, group_id=line["group_id"] or row.group_id, exclude=row.exclude or known.exclude)


def _row(image: str, line: Line) -> Row:
    return Row(
        path=image,
        source=line["source"],
        patient_id=line.text("patient_id"),
        group_id=line["group_id"],
        view=line.text("view"),
        modality=line.text("modality"),
        age_years=line.age("age"),
        sex=line.text("sex"),
        diagnosis=line.text("finding"),
        label=line.text("label"),
        exclude=_doubt(line),
    )


def _doubt(line: Line) -> str | None:
    if line["label_conflict"]:
        return "sources disagree on the label"
    if line["cohort"].startswith((UNDER_AGE, "pediatric")):
        return UNDER_AGE
    for reason, pattern in DOUBT.items():
        if line["label"] == "covid" and re.search(pattern, line["notes"], re.IGNORECASE):
            return reason
    return None
