"""COVID-19 Radiography Database (Chowdhury et al. 2020, Rahman et al. 2021), from Kaggle.

A folder a class (`COVID`, `Normal`, `Viral Pneumonia`, `Lung_Opacity`; `COVID-19` and `NORMAL` in the first version),
with the pictures in it or, since version 5, in `images/` with `masks/` beside; `<class>.metadata.xlsx` for each.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import mask_files
from lunglens.film.reading.facts import UNDER_AGE
from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.table import Line

NAME = "covid19-radiography"
COLUMNS = ("FILE NAME", "URL")
LABELS = {"covid": "covid", "normal": "normal", "viral pneumonia": "pneumonia", "lung opacity": "pneumonia"}
ALIASES = {"covid-19": "covid", "lung_opacity": "lung opacity"}
CHILDREN = "chest-xray-pneumonia"  # Kermany's films from Guangzhou, of children of 1 to 5 years


@dataclass(frozen=True)
class _Class:
    name: str
    title: str
    home: Path  # where the class's metadata lie
    films: dict[str, Path]
    masks: dict[str, Path]


def radiography(folder: Path, problems: Problems) -> Iterator[Row]:
    """21,165 pictures in four classes, without patients, ages or views; what comes from Kermany's set are children.

    "Lung Opacity" is what the publisher calls lung infections other than COVID-19 -> pneumonia.
    """
    for kind in _classes(folder):
        lines = _origins(kind, problems)
        for stem, path in kind.films.items():
            origin = lines[_key(stem)].text("URL") if _key(stem) in lines else None
            mask = kind.masks.get(stem)
            yield Row(
                path=str(path),
                source=NAME,
                patient_id=None,
                group_id="",
                modality="X-ray",
                diagnosis=kind.title,
                label=LABELS[kind.name],
                masks=mask_files(mask),
                mask_rule="fields" if mask else None,
                acquisition=origin,
                exclude=UNDER_AGE if origin and CHILDREN in origin else None,
            )


def _classes(folder: Path) -> Iterator[_Class]:
    home = next((path for path in (folder, *sorted(folder.glob("COVID-19*Radiography*"))) if _kinds(path)), folder)
    if kinds := _kinds(home):
        for name, place in kinds.items():
            films = find_images(place / "images" if (place / "images").is_dir() else place)
            masks = find_images(place / "masks") if (place / "masks").is_dir() else {}
            yield _Class(name, place.name, home, films, masks)
        return
    # A copy without the folders: the file's name begins with its class.
    films = find_images(folder)
    for name in LABELS:
        mine = {stem: path for stem, path in films.items() if _key(stem).startswith(name)}
        if mine:
            yield _Class(name, name, folder, mine, {})
    if not any(_key(stem).startswith(tuple(LABELS)) for stem in films):
        raise DataError(f"{folder}: no folder COVID, Normal, Viral Pneumonia or Lung_Opacity; is this the database?")


def _kinds(folder: Path) -> dict[str, Path]:
    places = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    named = {ALIASES.get(place.name.casefold(), place.name.casefold()): place for place in places}
    return {name: place for name, place in named.items() if name in LABELS}


def _key(name: str) -> str:
    """The metadata write COVID-19(1) for "COVID-19 (1).png" and NORMAL-1 for "Normal-1.png"."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _origins(kind: _Class, problems: Problems) -> dict[str, Line]:
    # One file of the first version is called "Viral Pneumonia.matadata.xlsx".
    tables = [
        path
        for path in sorted(kind.home.glob("*.m[ae]tadata.xlsx"))
        if ALIASES.get(_class_of(path), _class_of(path)) == kind.name
    ]
    if not tables:
        text = "is missing; where the pictures come from, and which show children, stays unknown"
        problems.append(Problem(str(kind.home / f"{kind.title}.metadata.xlsx"), None, None, text))
        return {}
    found: dict[str, Line] = {}
    films = {_key(stem) for stem in kind.films}
    for line in _read_sheet(tables[0], problems):
        key = _key(line["FILE NAME"])
        if key in found:
            line.problem("FILE NAME", f"{line['FILE NAME']} was in row {found[key].row} already; left out")
        else:
            found[key] = line
    absent = [line for key, line in found.items() if key not in films]
    if absent:
        text = f"{len(absent)} of {len(found)} listed images are not here, the first is {absent[0]['FILE NAME']!r}"
        absent[0].problem("FILE NAME", text)
    return found


def _class_of(table: Path) -> str:
    return table.name.casefold().split(".m")[0]


def _read_sheet(path: Path, problems: Problems) -> Iterator[Line]:
    """The lines of a workbook's first sheet.

    Raises:
        DataError: the file is no xlsx workbook, or a column is missing; the message names it.
    """
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with closing(load_workbook(path, read_only=True, data_only=True)) as book:
            first, *rows = list(book.worksheets[0].iter_rows(values_only=True)) or [()]
    except (BadZipFile, InvalidFileException, KeyError, IndexError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as an xlsx workbook ({error}); fetch it again") from error
    header = [str(cell or "").strip().casefold() for cell in first]
    missing = [column for column in COLUMNS if column.casefold() not in header]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}; is this the published table?")
    for number, cells in enumerate(rows, 2):
        texts = ["" if cell is None else str(cell).strip() for cell in cells]
        if any(texts):
            yield Line(dict(zip(header, texts, strict=False)), path, number, problems)
