"""RSNA Pneumonia Detection Challenge (Shih et al. 2019): stage_2_train_images/*.dcm and two tables.

https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from lunglens.errors import DataError
from lunglens.manifest import Row, find_images
from lunglens.sources.dicom_header import FilmHeader, read_film_header
from lunglens.sources.nih import NAME as NIH
from lunglens.sources.source import Problem, Problems, Source, unfit
from lunglens.sources.table import Line, group, listed, read_table

NAME = "rsna-pneumonia"
LABELS = {"normal": "normal", "lung opacity": "pneumonia", "no lung opacity / not normal": "other"}
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


def rsna(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every labelled film; age, sex and view come from its DICOM header.

    Both tables have a line a box, so a film may stand in several. Films are grouped by the NIH patient where RSNA's
    mapping file lies beside the tables, so that no split parts them from each other or from NIH ChestX-ray14; by
    `patientId`, which is a film's own, where it does not (a problem is noted).
    """
    classes = _films(folder / "stage_2_detailed_class_info.csv", "class", problems)
    targets = _films(folder / "stage_2_train_labels.csv", "Target", problems)
    nih_groups = _nih_groups(folder / MAPPING, problems)
    images = find_images(folder / "stage_2_train_images")
    for line, path in listed(list(classes.values()), "patientId", images):
        # A copy that was converted to PNG has no header.
        header = read_film_header(path, problems) if path.suffix.lower() == ".dcm" else FilmHeader()
        if header is None:
            continue
        name = line["patientId"]
        label, doubt = _label(line, targets.get(name.lower()))
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=name,
            group_id=nih_groups.get(name.lower()) or group(NAME, name),
            view=header.view,
            modality="X-ray",
            age_years=header.age_years,
            sex=header.sex,
            finding=line.text("class"),
            label=label,
            acquisition=header.acquisition,
            exclude=doubt or unfit(header.view, "X-ray", header.age_years),
        )


def _films(table: Path, column: str, problems: Problems) -> dict[str, Line]:
    """patientId in lower case -> its first line; a later one that says otherwise in `column` is noted."""
    films: dict[str, Line] = {}
    for line in read_table(table, ["patientId", column], problems):
        first = films.setdefault(line["patientId"].lower(), line)
        if first[column] != line[column]:
            line.problem(column, f"{line[column]!r}, but {first[column]!r} in row {first.row}; the first is kept")
    return films


def _label(line: Line, target: Line | None) -> tuple[str | None, str | None]:
    """The label, and why the film is not to be used where the two tables disagree."""
    label = LABELS.get(line["class"].casefold())
    if label is None:
        line.problem("class", f"{line['class']!r} is none of Normal, Lung Opacity, No Lung Opacity / Not Normal")
        return None, None
    if target is not None and (target["Target"] in {"1", "1.0"}) != (label == "pneumonia"):
        target.problem(
            "Target", f"{target['Target']!r} disagrees with the class {line['class']!r}; the film is left out"
        )
        return label, "tables disagree on the label"
    return label, None


def _nih_groups(path: Path, problems: Problems) -> Mapping[str, str]:
    """patientId in lower case -> group of the NIH patient, whose number begins the name of the NIH film."""
    if not path.is_file():
        message = "is not here, RSNA offers it: without it films of one NIH patient fall into several groups"
        problems.append(Problem(str(path), None, None, message))
        return {}
    try:
        films = json.loads(path.read_text(encoding="utf-8"))
        return {film["subset_img_id"].lower(): group(NIH, str(int(film["img_id"].split("_")[0]))) for film in films}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not RSNA's mapping file ({error!r}); fetch it again or take it away") from error


SOURCE = Source(
    name=NAME,
    title="RSNA Pneumonia Detection Challenge",
    read=rsna,
    licence="free use, also commercial, with attribution to RSNA and the NIH Clinical Center",
    citation="Shih et al., Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert "
    "Annotations of Possible Pneumonia, Radiology: Artificial Intelligence 2019 (doi:10.1148/ryai.2019180041)",
    url="https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018",
    size="26,684 labelled films of 1024x1024, about 4 GB",
    access="by hand: from RSNA, or from Kaggle after registration",
    hides="Every film is one of NIH ChestX-ray14, where a patient has many: `patientId` is one film's, so grouping by "
    f"it parts patients, and the two sets together hold films twice. RSNA's {MAPPING} beside the tables ties both. "
    "Lung Opacity is what readers of the film thought could be pneumonia, without the patient's course; no COVID-19 "
    "(before 2020). The normals of the COVID-19 Radiography Database come from here.",
)
