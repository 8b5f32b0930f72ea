"""covid-chestxray-dataset (Cohen et al. 2020): metadata.csv + images.

https://github.com/ieee8023/covid-chestxray-dataset
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.manifest import Row, find_images
from lunglens.sources.table import age, group, read_table, text

SOURCE = "covid-chestxray-dataset"
FRONTAL = {"PA", "AP", "AP Supine", "AP Erect"}
UNLABELLED = {"todo", "unknown"}
CAUSE_NOT_NAMED = {"ards"}  # a syndrome that COVID-19 causes too: neither class


def covid_chestxray(root: Path) -> Iterator[Row]:
    """A row for every line of `metadata.csv` whose image is there (it lists some that are not published)."""
    folder = root / SOURCE
    table = read_table(folder / "metadata.csv", ["patientid", "finding", "view", "modality", "age", "sex", "filename"])
    images = find_images(folder / "images")
    group_of: dict[Path, str] = {}  # the table lists some images under two patients: they stay in one group
    for line in table.to_dict("records"):
        path = images.get(Path(str(line["filename"])).stem.lower())
        if path is None:
            continue
        patient, years = text(line["patientid"]), age(line["age"])
        finding, view, modality = text(line["finding"]), text(line["view"]), text(line["modality"])
        yield Row(
            path=str(path),
            source=SOURCE,
            patient_id=patient,
            group_id=group_of.setdefault(path, group(SOURCE, patient)),
            view=view,
            modality=modality,
            age_years=years,
            sex=text(line["sex"]),
            finding=finding,
            label=label_of(finding),
            exclude=exclusion(view, modality, years),
        )


def label_of(finding: str | None) -> str:
    """Published finding -> covid, normal, pneumonia (another named cause) or other (not labelled, cause not named)."""
    if finding is None or finding.lower() in UNLABELLED | CAUSE_NOT_NAMED:
        return "other"
    # Later versions of the table write the path of causes: "Pneumonia/Viral/COVID-19".
    if any(cause.strip().startswith("COVID-19") for cause in finding.upper().split("/")):
        return "covid"
    return "normal" if finding == "No Finding" else "pneumonia"


def exclusion(view: str | None, modality: str | None, years: float | None) -> str | None:
    """Why the paper would leave the image out: not an X-ray, not frontal, under 18."""
    if modality != "X-ray":
        return f"modality {modality}"
    if view not in FRONTAL:
        return f"view {view}"
    return "under 18" if years is not None and years < 18 else None
