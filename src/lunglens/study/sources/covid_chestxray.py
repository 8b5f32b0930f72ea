"""covid-chestxray-dataset (Cohen et al. 2020): metadata.csv + images/.

https://github.com/ieee8023/covid-chestxray-dataset
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.study.config.study import FRONTAL
from lunglens.study.rows import Row, find_images
from lunglens.study.sources.lung_masks import with_masks_beside
from lunglens.study.sources.registry import Problems, unfit
from lunglens.study.sources.table import group, listed, read_table

NAME = "covid-chestxray-dataset"
COLUMNS = ["patientid", "finding", "view", "modality", "age", "sex", "filename"]
UNLABELLED = {"todo", "unknown"}
CAUSE_NOT_NAMED = {"ards"}  # a syndrome that COVID-19 causes too: neither class


def covid_chestxray(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every line of `metadata.csv` whose image is there (it lists some that are not published).

    Masks are V7's and General Blockchain's, where these lie in the folder or beside it.
    """
    return with_masks_beside(_rows(folder, problems), folder, problems)


def _rows(folder: Path, problems: Problems) -> Iterator[Row]:
    lines = read_table(folder / "metadata.csv", COLUMNS, problems)
    for line, path in listed(lines, "filename", find_images(folder / "images")):
        patient, years = line.text("patientid"), line.age("age")
        view, modality = line.text("view"), line.text("modality")
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=patient,
            group_id=group(NAME, patient),
            view=view,
            modality=modality,
            age_years=years,
            sex=line.sex("sex"),
            diagnosis=line["finding"] or None,
            label=label_of(line["finding"] or None),
            case_url=line.text("url"),
            acquisition=line.text("location"),
            licence=line.text("license"),
            exclude=exclusion(view, modality, years),
        )


def label_of(diagnosis: str | None) -> str:
    """Published diagnosis -> covid, normal, pneumonia (another named cause) or other (cause not named, no label)."""
    if diagnosis is None or diagnosis.lower() in UNLABELLED | CAUSE_NOT_NAMED:
        return "other"
    # Later versions of the table write the path of causes: "Pneumonia/Viral/COVID-19".
    if any(cause.strip().startswith("COVID-19") for cause in diagnosis.upper().split("/")):
        return "covid"
    return "normal" if diagnosis == "No Finding" else "pneumonia"


def exclusion(view: str | None, modality: str | None, years: float | None) -> str | None:
    """Why the paper would leave the image out: not an X-ray, not frontal, under 18."""
    if modality != "X-ray":
        return f"modality {modality}"
    if view not in FRONTAL:
        return f"view {view}"
    return unfit(view, modality, years)
