"""Kermany's chest films of children (Kermany et al. 2018), and those of them on which V7 Labs drew the lungs.

`chest_xray/{train,val,test}/{NORMAL,PNEUMONIA}/person1_bacteria_2.jpeg`, `IM-0115-0001.jpeg`, or Mendeley's third
version with `BACTERIA-1008087-0001.jpeg`; or `images/` with V7's `masks/` of the same names and `pairs.csv`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.reading.facts import UNDER_AGE
from lunglens.study.rows import Row
from lunglens.study.sources.lung_masks import V7, with_masks, with_masks_beside
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.table import files_below, group, is_film_name, read_table, stem_of

NAME, WITH_MASKS = "kermany", "kermany-v7"
NAMES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<child>person\d+)_(?P<cause>bacteria|virus)_\d+",
        r"(?P<child>(normal2-)?im-\d+)-\d+(-\d+)?",
        r"(?P<cause>bacteria|virus|normal)-(?P<child>\d+)-\d+",
    )
]
SIZE = ("original_width", "original_height")
DIAGNOSES = {"bacteria": "bacterial pneumonia", "virus": "viral pneumonia"}


def kermany(folder: Path, problems: Problems) -> Iterator[Row]:
    """Every film there is, in whatever folders; masks are V7's, where these lie in the folder or beside it."""
    return with_masks_beside(_rows(folder, NAME, problems), folder, problems)


def kermany_v7(folder: Path, problems: Problems) -> Iterator[Row]:
    """The films in `images/`, with V7's masks."""
    sizes = _sizes(folder / "pairs.csv", problems)
    for row in with_masks(_rows(folder / "images", WITH_MASKS, problems), folder / "masks", problems):
        width, height = sizes.get(stem_of(row.path), (None, None))
        yield replace(row, original_width_px=width, original_height_px=height)


def _sizes(pairs: Path, problems: Problems) -> dict[str, tuple[int, int]]:
    """Film -> its width and height as published, px."""
    sizes = {}
    for line in read_table(pairs, ["image", *SIZE], problems) if pairs.is_file() else ():
        width, height = (line.number(column) for column in SIZE)
        if width and height:
            sizes[stem_of(line["image"])] = (int(width), int(height))
    return sizes


def _rows(folder: Path, source: str, problems: Problems) -> Iterator[Row]:
    """Films by their names, which tell child and cause; all are of children of 1 to 5 years, none with its age."""
    paths = [path for path in map(Path, files_below(folder)) if is_film_name(path.name) and V7 not in path.parts]
    films = {path.stem.lower(): path for path in paths}  # Kaggle's archive holds all of them twice
    named = {stem: found for stem in films if (found := _match(stem))}
    if not named:
        raise DataError(f"{folder}: no films like person1_bacteria_2.jpeg or IM-0115-0001.jpeg; is this the data set?")
    if others := sorted(films.keys() - named.keys()):
        text = f"is named as no film of the set; {len(others)} pictures are not, this is the first; left out"
        problems.append(Problem(str(films[others[0]]), None, None, text))
    for stem, name in named.items():
        child, cause = name["child"].lower(), name.groupdict().get("cause")
        diagnosis = DIAGNOSES.get((cause or "").lower())
        yield Row(
            path=str(films[stem]),
            source=source,
            patient_id=child,
            group_id=group(NAME, child),
            view="AP",
            modality="X-ray",
            diagnosis=diagnosis or "normal",
            label="pneumonia" if diagnosis else "normal",
            exclude=UNDER_AGE,
        )


def _match(stem: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.fullmatch(stem) for pattern in NAMES)), None)
