"""What the radiologists of RSNA's challenge said of films of NIH ChestX-ray14, all of whose films come from there.

RSNA names films by a code of its own; its mapping file tells NIH's names.
https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problems
from lunglens.study.sources.table import Line, read_table, stem_of

LABELS = {"normal": "normal", "lung opacity": "pneumonia", "no lung opacity / not normal": "other"}
CLASSES = "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
MATCHED = "rsna-classes.csv"  # the same by NIH's names, where somebody has matched them
MINED = "mined_diagnosis"


def classes_of_nih(folder: Path, problems: Problems) -> dict[str, str]:
    """Stem of a film of NIH -> Normal, Lung Opacity or No Lung Opacity / Not Normal, for the films that were read.

    Looked for in the folder of NIH's set: `rsna-classes.csv` (Image Index, rsna class); else RSNA's own table and its
    mapping, there or in `rsna-pneumonia` beside it.

    Raises:
        DataError: a table or the mapping is not as published.
    """
    if (folder / MATCHED).is_file():
        lines = first_of_each(folder / MATCHED, "Image Index", "rsna class", problems)
        named = {stem_of(name): (line, "rsna class") for name, line in lines.items()}
    else:
        homes = (folder, folder.parent / "rsna-pneumonia")
        home = next((home for home in homes if (home / CLASSES).is_file() and (home / MAPPING).is_file()), None)
        if home is None:
            return {}
        lines, names = first_of_each(home / CLASSES, "patientId", "class", problems), names_at_nih(home / MAPPING)
        named = {names[code]: (line, "class") for code, line in lines.items() if code in names}
    return {stem: line[column] for stem, (line, column) in named.items() if label_of(line, column)}


def relabelled(row: Row) -> Row:
    """The film by what radiologists called it, if some did; the diagnosis mined from its report goes into `extra`."""
    if row.radiologists is None:
        return row
    mined = {MINED: row.diagnosis or ""}
    label = LABELS[row.radiologists.casefold()]
    return replace(row, diagnosis=row.radiologists, label=label, extra={**row.extra, **mined})


def label_of(line: Line, column: str) -> str | None:
    """Our label for the class in a line's cell; None and a problem where it is none of the three."""
    label = LABELS.get(line[column].casefold())
    if label is None:
        line.problem(column, f"{line[column]!r} is none of Normal, Lung Opacity, No Lung Opacity / Not Normal")
    return label


def first_of_each(table: Path, name: str, column: str, problems: Problems) -> dict[str, Line]:
    """What column `name` says, in lower case -> its first line; a later one that says otherwise in `column` is noted.

    RSNA's tables have a line a box, so a film may stand in several.
    """
    films: dict[str, Line] = {}
    for line in read_table(table, [name, column], problems):
        first = films.setdefault(line[name].lower(), line)
        if first[column].casefold() != line[column].casefold():
            line.problem(column, f"{line[column]!r}, but {first[column]!r} in row {first.row}; the first is kept")
    return films


def names_at_nih(mapping: Path) -> Mapping[str, str]:
    """RSNA's code of a film, in lower case -> the stem of NIH's name ("00000061_012"), which begins with the patient.

    Raises:
        DataError: the file is not RSNA's mapping.
    """
    try:
        films = json.loads(mapping.read_text(encoding="utf-8"))
        names = {film["subset_img_id"].lower(): stem_of(film["img_id"]) for film in films}
        for name in names.values():
            int(name.split("_")[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{mapping}: is not RSNA's mapping file ({error!r}); fetch it again or take it away") from error
    return names
