"""Two small collections of the COVID-Net team: Actualmed (a Spanish clinic's) and Figure 1 (doctors' own pictures).

https://github.com/agchung/Actualmed-COVID-chestxray-dataset, https://github.com/agchung/Figure1-COVID-chestxray-dataset:
`metadata.csv` + `images/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lunglens.study.manifest import Row, find_images
from lunglens.study.sources.registry import Download, Problems, Source
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
        exclude="under 18" if years is not None and years < 18 else "view L" if view == "L" else None,
    )


ACTUALMED = Source(
    name="actualmed",
    title="Actualmed COVID-19 chest X-ray data set",
    read=actualmed,
    licence="research use only, no licence named",
    citation="Wang, Lin, Wong, COVID-Net, Sci Rep 2020 (doi:10.1038/s41598-020-76550-z); Actualmed and Universitat "
    "Jaume I",
    url="https://github.com/agchung/Actualmed-COVID-chestxray-dataset",
    size="238 films",
    access="git, freely",
    hides='No PCR: the labels are how a radiologist read the film itself ("compatible with COVID-19", "excluded", '
    '"inconclusive"); "No finding" only means that COVID-19 was excluded. Most COVID films are AP from one machine and '
    "most negatives PA from another: the view and the device give the label away. No ages, no sexes.",
    download=Download("git", ("https://github.com/agchung/Actualmed-COVID-chestxray-dataset",), 3_200_000_000),
)
FIGURE1 = Source(
    name="figure1",
    title="Figure 1 COVID-19 chest X-ray data set",
    read=figure1,
    licence="research use only, no licence named",
    citation="Wang, Lin, Wong, COVID-Net, Sci Rep 2020 (doi:10.1038/s41598-020-76550-z); Figure 1 Inc.",
    url="https://github.com/agchung/Figure1-COVID-chestxray-dataset",
    size="55 films of 48 patients",
    access="git, freely",
    hides="Photographs of screens with glare, dust and mouse pointers, sent in by doctors; every file is called COVID, "
    "whatever its finding; half have no age, sex or view, and many no finding at all.",
    download=Download("git", ("https://github.com/agchung/Figure1-COVID-chestxray-dataset",), 100_000_000),
)
