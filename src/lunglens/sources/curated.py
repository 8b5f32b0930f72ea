"""A curated index beside the data sets: `classification.csv`, one row an image, with verified groups and duplicates.

The index adds what no upstream table has (images tied across data sets, labels that sources disagree on) and is the
only description of collections that were published without metadata.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lunglens.manifest import Row
from lunglens.sources.table import age, read_table, text

COLUMNS = ["image", "source", "patient_id", "group_id", "view", "modality", "age", "sex", "finding", "label"]
COLUMNS += ["cohort", "notes", "label_conflict"]
# Notes that contradict the label of a collection that was labelled as a whole.
DOUBT = {"negative PCR": r"pcr[^;]{0,20}negative|negative[^;]{0,20}pcr", "no abnormality": r"no abnormalit"}


def with_index(rows: Iterable[Row], root: Path) -> Iterator[Row]:
    """Rows of upstream readers, tied by the index where there is one, and its rows of further sources."""
    path = root / "classification.csv"
    if not path.exists():
        yield from rows
        return
    index = {str(root / line["image"]): line for line in read_table(path, COLUMNS).to_dict("records")}
    seen_sources = set()
    for row in rows:
        seen_sources.add(row.source)
        line = index.get(row.path)
        yield row if line is None else _tied(row, line)
    for image, line in index.items():
        if line["source"] not in seen_sources and Path(image).exists():
            yield _row(image, line)


def _tied(row: Row, line: dict[Hashable, str]) -> Row:
    return replace(row, group_id=line["group_id"] or row.group_id, exclude=row.exclude or _doubt(line))


def _row(image: str, line: dict[Hashable, str]) -> Row:
    return Row(
        path=image,
        source=line["source"],
        patient_id=text(line["patient_id"]),
        group_id=line["group_id"],
        view=text(line["view"]),
        modality=text(line["modality"]),
        age_years=age(line["age"]),
        sex=text(line["sex"]),
        finding=text(line["finding"]),
        label=text(line["label"]),
        exclude=_doubt(line),
    )


def _doubt(line: dict[Hashable, str]) -> str | None:
    if line["label_conflict"]:
        return "sources disagree on the label"
    if line["cohort"].startswith(("under 18", "pediatric")):
        return "under 18"
    notes = pd.Series([line["notes"]])
    for reason, pattern in DOUBT.items():
        if line["label"] == "covid" and notes.str.contains(pattern, case=False, regex=True).iloc[0]:
            return reason
    return None
