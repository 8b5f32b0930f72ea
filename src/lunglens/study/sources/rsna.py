"""RSNA Pneumonia Detection Challenge (Shih et al. 2019): stage_2_train_images/*.dcm and two tables.

https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from lunglens.study.rows import Row, find_images
from lunglens.study.sources.dicom_header import FilmHeader, read_film_header
from lunglens.study.sources.nih import NAME as NIH
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.rsna_readings import CLASSES, MAPPING, first_of_each, label_of, names_at_nih
from lunglens.study.sources.table import Line, group, listed

NAME = "rsna-pneumonia"
TARGETS = {"1": True, "1.0": True, "0": False, "0.0": False}


def rsna(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every labelled film; age, sex and view come from its DICOM header.

    Both tables have a line a box, so a film may stand in several. `patientId` is a film's own, not a patient's: the
    patient is NIH's, from RSNA's mapping file beside the tables, so that no split parts his films from each other or
    from NIH ChestX-ray14. Without that file patients are unknown (a problem is noted), which no split accepts.
    """
    classes = first_of_each(folder / CLASSES, "patientId", "class", problems)
    targets = first_of_each(folder / "stage_2_train_labels.csv", "patientId", "Target", problems)
    patients = _nih_patients(folder / MAPPING, problems)
    _compare(classes, targets, patients)
    images = find_images(folder / "stage_2_train_images")
    for line, path in listed(list(classes.values()), "patientId", images):
        # A copy that was converted to PNG has no header.
        header = read_film_header(path, problems) if path.suffix.lower() == ".dcm" else FilmHeader()
        if header is None:
            continue
        name = line["patientId"].lower()
        patient = patients.get(name)
        label, doubt = _label(line, targets.get(name))
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=patient,
            group_id=group(NIH, patient),
            view=header.view,
            modality=header.modality or "X-ray",
            age_years=header.age_years,
            sex=header.sex,
            diagnosis=line.text("class"),
            label=label,
            acquisition=header.acquisition,
            exclude=doubt or header.exclude,
        )


def _label(line: Line, target: Line | None) -> tuple[str | None, str | None]:
    """The label, and why the film is not to be used where the two tables disagree."""
    label = label_of(line, "class")
    if label is None:
        return None, None
    stated = TARGETS.get(target["Target"]) if target is not None else None
    if target is not None and stated is None:
        target.problem("Target", f"{target['Target']!r} is not 0 or 1; taken as unknown")
    if target is None or stated is None or stated == (label == "pneumonia"):
        return label, None
    target.problem("Target", f"{target['Target']!r} disagrees with the class {line['class']!r}; not to be used")
    return label, "tables disagree on the label"


def _compare(classes: Mapping[str, Line], targets: Mapping[str, Line], patients: Mapping[str, str]) -> None:
    """Note films that only some of the three files know."""
    unclassed = [line for name, line in targets.items() if name not in classes]
    if unclassed:
        unclassed[0].problem("patientId", f"{len(unclassed)} films have no class, this is the first; left out")
    unmapped = [line for name, line in classes.items() if name not in patients]
    if unmapped and patients:
        unmapped[0].problem("patientId", f"{MAPPING} lacks {len(unmapped)} films, this is the first; patient unknown")


def _nih_patients(path: Path, problems: Problems) -> Mapping[str, str]:
    """patientId in lower case -> NIH's number of the patient, which begins the name of the NIH film."""
    if not path.is_file():
        message = "is not here, RSNA offers it: patients stay unknown, for each patientId is one film's"
        problems.append(Problem(str(path), None, None, message))
        return {}
    return {code: str(int(name.split("_")[0])) for code, name in names_at_nih(path).items()}
