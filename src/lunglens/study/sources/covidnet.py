"""Two small collections of the COVID-Net team: Actualmed (a Spanish clinic's) and Figure 1 (doctors' own pictures).

https://github.com/agchung/Actualmed-COVID-chestxray-dataset, https://github.com/agchung/Figure1-COVID-chestxray-dataset:
`metadata.csv` + `images/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problems, unfit
from lunglens.study.sources.table import Line, group, listed, read_table

COLUMNS = ["patientid", "sex", "age", "finding", "view", "modality"]
LABELS = {"covid-19": "covid", "no finding": "normal", "pneumonia": "pneumonia"}
VIEWS = {"ap erect": "AP Erect", "ap supine": "AP Supine", "ap": "AP", "pa": "PA", "l": "L", "lateral": "L"}


def actualmed(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every line whose `imagename` is there; "Inconclusive" in the notes -> COVID-19 uncertain."""
    lines = read_table(folder / "metadata.csv", [*COLUMNS, "imagename"], problems)
    for line, path in listed(lines, "imagename", find_images(folder / "images")):
        unsure = not line["finding"] and "inconclusive" in line["notes"].casefold()
        yield _row("actualmed", line, path, line.text("patientid"), "COVID-19" if unsure else None)


def figure1(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every line whose image is there: `patientid` + ending; a letter after it counts a patient's films."""
    lines = read_table(folder / "metadata.csv", COLUMNS, problems)
    for line, path in listed(lines, "patientid", find_images(folder / "images")):
        patient = line.text("patientid")
        yield _row("figure1", line, path, re.sub(r"(?<=\d)[a-z]$", "", patient) if patient else None, None)


def _row(source: str, line: Line, path: Path, patient: str | None, uncertain: str | None) -> Row:
    years, view = line.age("age"), line.text("view")
    view = VIEWS.get(view.casefold(), view) if view else None
    diagnosis = line.text("finding")
    return Row(
        path=str(path),
        source=source,
        patient_id=patient,
        group_id=group(source, patient),
        view=view,
        modality=line.text("modality"),
        age_years=years,
        sex=line.sex("sex"),
        diagnosis=diagnosis,
        uncertain=uncertain,
        label=LABELS.get(diagnosis.casefold(), "other") if diagnosis else "other",
        acquisition=line.text("artifacts/distortion"),
        exclude=unfit(None, None, years) or ("view L" if view == "L" else None),
    )
