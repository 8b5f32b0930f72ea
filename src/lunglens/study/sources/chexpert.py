"""CheXpert (Irvin et al. 2019): train.csv, valid.csv + train/ and valid/ of patient*/study*/view*.jpg.

https://stanfordmlgroup.github.io/competitions/chexpert/ - the full release and the small one have the same layout.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problem, Problems, unfit
from lunglens.study.sources.table import Line, files_below, group, is_film_name, listed, read_table, without_ending

NAME = "chexpert"
FINDINGS = ["No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"]
FINDINGS += ["Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other"]
FINDINGS += ["Fracture", "Support Devices"]
COLUMNS = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS]
POSITIVE, NEGATIVE, UNCERTAIN = {"1.0", "1"}, {"0.0", "0"}, {"-1.0", "-1"}


def chexpert(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every line of `train.csv` and `valid.csv` whose image is there, in whatever folder above the patient's.

    `finding` holds what the table calls positive, `uncertain` what it calls uncertain; a blank is not mentioned in the
    report, which is not the same as absent. "No Finding" -> normal, "Pneumonia" -> pneumonia.
    """
    tables = [table for name in ("train.csv", "valid.csv") if (table := _table(folder, name))]
    if not tables:
        raise DataError(f"{folder}: train.csv and valid.csv are missing; they come with the data set")
    lines = [line for table in tables for line in read_table(table, COLUMNS, problems)]
    images = _images(folder, problems)
    for line, path in listed(lines, "Path", images, _film):
        yield _row(line, path)


def _row(line: Line, path: Path) -> Row:
    patient, view, years = _patient(line), _view(line), line.age("Age")
    positive, uncertain = _findings(line)
    return Row(
        path=str(path),
        source=NAME,
        patient_id=patient,
        group_id=group(NAME, patient),
        view=view,
        modality="X-ray",
        age_years=years,
        sex=line.sex("Sex"),
        diagnosis="|".join(positive) or None,
        uncertain="|".join(uncertain) or None,
        label=_label(line, positive),
        equipment=_equipment(line),
        exclude=unfit(view, "X-ray", years),
    )


def _table(folder: Path, name: str) -> Path | None:
    """The table, in the folder itself or in one release below it (CheXpert-v1.0, CheXpert-v1.0-small)."""
    found = [folder / name] if (folder / name).is_file() else sorted(folder.glob(f"*/{name}"))
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1]}: two releases of the data set; give the folder of one")
    return found[0] if found else None


def _images(folder: Path, problems: Problems) -> dict[str, Path]:
    """`_film` of a path -> the image; the first where it lies here twice (two releases, two endings)."""
    images: dict[str, Path] = {}
    twice = []
    for path in files_below(folder):
        if not is_film_name(path):
            continue
        if (film := _film(path)) in images:
            twice.append((path, images[film]))
        else:
            images[film] = Path(path)
    if not images:
        raise DataError(f"{folder}: no images here; give the folder that holds the tables and the films")
    if twice:
        message = f"is {twice[0][1]} again; {len(twice)} films are here twice, their second copies are left out"
        problems.append(Problem(twice[0][0], None, None, message))
    return images


def _film(path: str) -> str:
    """ "patient00001/study1/view1_frontal" of a path: unique in the set, while the folders above it have many names."""
    return "/".join(without_ending(path).split("/")[-3:])


def _patient(line: Line) -> str | None:
    found = re.search(r"patient\d+", line["Path"], re.IGNORECASE)
    if found is None:
        line.problem("Path", f"{line['Path']!r} names no patient; the film belongs to no group")
        return None
    return found[0].lower()


def _view(line: Line) -> str | None:
    """L for lateral films, also for the few frontal ones whose projection is a lateral one (LL, RL), else AP or PA."""
    side, projection = line["Frontal/Lateral"].casefold(), line["AP/PA"].upper()
    if side == "lateral" or projection in {"LL", "RL"}:
        return "L"
    if projection in {"AP", "PA"}:
        return projection
    if line.text("AP/PA"):
        line.problem("AP/PA", f"{line['AP/PA']!r} is none of AP, PA, LL, RL; taken as unknown")
    return "Frontal" if side == "frontal" else None


def _findings(line: Line) -> tuple[list[str], list[str]]:
    """The findings that are positive and those that are uncertain."""
    positive, uncertain = [], []
    for name in FINDINGS:
        cell = line[name]
        if not cell or cell in NEGATIVE:
            continue
        if cell in POSITIVE:
            positive.append(name)
        elif cell in UNCERTAIN:
            uncertain.append(name)
        else:
            line.problem(name, f"{cell!r} is not 1 (positive), 0 (negative), -1 (uncertain) or blank; taken as blank")
    return positive, uncertain


def _label(line: Line, positive: list[str]) -> str:
    normal, pneumonia = "No Finding" in positive, "Pneumonia" in positive
    if normal and pneumonia:
        line.problem("Pneumonia", "is positive beside No Finding; labelled other")
        return "other"
    return "normal" if normal else "pneumonia" if pneumonia else "other"


def _equipment(line: Line) -> bool | None:
    cell = line["Support Devices"]
    return True if cell in POSITIVE else False if cell in NEGATIVE else None
