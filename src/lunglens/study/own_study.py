"""The study of one folder of films without a configuration: its classes are what the folder calls its films."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Literal

from lunglens.errors import ConfigurationError
from lunglens.film.reading.kinds import HEAD_BYTES, looks_like_dicom
from lunglens.study.config.study import OwnSource, StudyConfig
from lunglens.study.sources.own import own_reader
from lunglens.study.sources.table import files_below

MOST_CLASSES = 20
EXCLUDED = "exclude.csv"  # as `lunglens review` saves it
NEGATIVE = ("normal", "healthy", "negative", "no finding", "control", "none")
# The paper's threshold of 50,000 px drops one in fifteen films of Montgomery; this one drops what is no chest.
MIN_LUNGS_PX = 20_000


def study_of_folder(folder: Path) -> StudyConfig:
    """A study of a folder a class, of DICOM files, or of a table beside its images.

    The diagnoses are the classes, those of healthy people last, because of two classes the first is the positive one.
    Lateral films, copies and films without lungs are left out, and what `exclude.csv` in the folder strikes out.

    Raises:
        ConfigurationError: it does not tell two classes apart.
        DataError: it holds no films.
    """
    named = [Path(path).relative_to(folder) for path in files_below(folder) if path.lower().endswith((".csv", ".tsv"))]
    tables = [str(path) for path in named if path.name != EXCLUDED]
    table = tables[0] if len(tables) == 1 else ""
    kind = _kind(folder, table)
    source = OwnSource(name=folder.name, kind=kind, table="" if kind == "class-folders" else table)
    rows = list(own_reader(source)(folder, []))
    by = "diagnoses" if any(row.diagnosis for row in rows) else "labels"
    films = Counter(row.diagnosis if by == "diagnoses" else row.label for row in rows)
    names = sorted(filter(None, films), key=lambda name: (name.casefold().startswith(NEGATIVE), name.casefold()))
    if not 2 <= len(names) <= MOST_CLASSES:
        shown = ", ".join(f"{name} ({films[name]})" for name in names[:MOST_CLASSES]) or "none"
        raise ConfigurationError(
            f"{folder}: its films have {len(names)} {by} ({shown}), a study of a folder needs 2 to {MOST_CLASSES}; "
            "put each class in a folder of its own, or write a configuration (lunglens config show tuberculosis)"
        )
    rules = [{"name": name, "sources": (folder.name,), by: (name,)} for name in names]
    struck_out = [{"kind": "exclusion-list", "file": EXCLUDED}] if (folder / EXCLUDED).exists() else []
    criteria = [
        {"kind": "view", "keep_unknown": True},
        {"kind": "diagnosis"},
        *struck_out,
        {"kind": "duplicates", "drop": True},
        {"kind": "lungs", "min_area_px": MIN_LUNGS_PX},
    ]
    study = {"name": folder.name, "own": (source,), "classes": rules, "criteria": criteria}
    return StudyConfig.model_validate(study)


def _kind(folder: Path, table: str) -> Literal["class-folders", "table", "dicom-folder"]:
    """DICOM by what is in one of the first files, whatever they are called; else by whether there is a table."""
    for path in islice(files_below(folder), 100):
        with Path(path).open("rb") as stream:
            if looks_like_dicom(stream.read(HEAD_BYTES)):
                return "dicom-folder"
    return "table" if table else "class-folders"
