"""JSRT (Shiraishi et al. 2000) with the lung masks of SCR (van Ginneken et al. 2006).

`All247images/JPCLN001.IMG` (a nodule) and `JPCNN001.IMG` (none), or the same converted to PNG; `CLNDAT_EN.txt` and
`CNNDAT_EN.TXT`, also in `Clinical_Information/`; `scratch/fold1/masks/left lung/JPCLN001.gif` and so on in both folds.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import mask_files
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problem, Problems, unfit
from lunglens.study.sources.table import Line, files_below, group

NAME = "jsrt"
SIDES = ("left lung", "right lung")
OTHER_PARTS = {"heart", "left clavicle", "right clavicle"}  # SCR draws these too
NAMES = re.compile(r"jpc(ln|nn)\d{3}")
TABLES = {"clndat_en.txt", "cnndat_en.txt"}
ENDINGS = (".img", ".png", ".tif", ".tiff", ".jpg", ".jpeg")  # as published first, then what keeps 12 bits


def jsrt(folder: Path, problems: Problems) -> Iterator[Row]:
    """247 films of 14 institutions, 154 with one lung nodule (-> other) and 93 without (-> normal)."""
    films, masks = _files(folder)
    if not films:
        raise DataError(f"{folder}: no JPCLN*.IMG and JPCNN*.IMG (or PNG) here; give the folder of the JSRT database")
    lines = _clinical(folder, films, problems)
    left, right = (masks[side] for side in SIDES)
    for stem in sorted(left.keys() ^ right.keys()):
        here, lacking = (left[stem], SIDES[1]) if stem in left else (right[stem], SIDES[0])
        problems.append(Problem(str(here), None, None, f"has no mask of the {lacking} beside it; left out"))
    for stem, path in films.items():
        line = lines.get(stem)
        years = line.age("age") if line else None
        mask = mask_files(left.get(stem), right.get(stem))
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=stem.upper(),
            group_id=group(NAME, stem.upper()),
            view="PA",
            modality="X-ray",
            age_years=years,
            sex=line.sex("sex") if line else None,
            diagnosis=_finding(stem, line),
            label="normal" if stem.startswith("jpcnn") else "other",
            masks=mask,
            mask_rule="fields" if mask else None,
            original_width_px=2048,
            original_height_px=2048,
            exclude=unfit("PA", "X-ray", years),
        )


def _finding(stem: str, line: Line | None) -> str:
    if stem.startswith("jpcnn"):
        return "non-nodule"
    return f"nodule|{line['nodule']}" if line and line["nodule"] else "nodule"


def _files(folder: Path) -> tuple[dict[str, Path], dict[str, dict[str, Path]]]:
    films: dict[str, Path] = {}
    masks: dict[str, dict[str, Path]] = {side: {} for side in SIDES}
    for path in map(Path, files_below(folder)):
        stem, parent = path.stem.lower(), path.parent.name.casefold().replace("_", " ")
        if not NAMES.fullmatch(stem):
            continue
        if parent in masks and path.suffix.lower() in (".gif", *ENDINGS):
            masks[parent][stem] = path
        elif parent not in OTHER_PARTS and path.suffix.lower() in ENDINGS:
            films[stem] = min(films.get(stem, path), path, key=lambda file: ENDINGS.index(file.suffix.lower()))
    return dict(sorted(films.items())), masks


def _clinical(folder: Path, films: Mapping[str, Path], problems: Problems) -> dict[str, Line]:
    tables = [path for path in map(Path, files_below(folder)) if path.name.casefold() in TABLES]
    for name in TABLES - {path.name.casefold() for path in tables}:
        problems.append(Problem(str(folder / name.upper()), None, None, "is missing; ages and sexes stay unknown"))
    found: dict[str, Line] = {}
    for table in tables:
        # One of the two published files ends its lines the way of old Macs.
        for row, text in enumerate(table.read_text("utf-8-sig", errors="replace").splitlines(), 1):
            line = _line(text, table, row, problems)
            stem = line["file"].lower().removesuffix(".img")
            if stem in found:
                line.problem("file", f"{line['file']} was in row {found[stem].row} already; left out")
            elif stem in films:
                found[stem] = line
    return found


def _line(text: str, table: Path, row: int, problems: Problems) -> Line:
    """File, age and sex of both tables; nodules also have subtlety, size, place, malignancy and diagnosis.

    The age stands before the sex in both; the order of columns in the database's own guide is wrong.
    """
    cells = [cell.strip() for cell in (text.split("\t") if "\t" in text else text.split())]
    if not any(cells):
        return Line({}, table, row, problems)
    sexes = [index for index, cell in enumerate(cells) if cell.casefold() in {"male", "female"}]
    if not NAMES.fullmatch(cells[0].lower().removesuffix(".img")) or not sexes or sexes[0] < 2:
        Line({}, table, row, problems).problem(None, f"is no line of file, age and sex: {text[:60]!r}; left out")
        return Line({}, table, row, problems)
    at = sexes[0]
    named = {"file": cells[0], "age": cells[at - 1], "sex": cells[at]}
    named["nodule"] = "|".join(cell for cell in cells[at + 3 :] if cell)  # malignancy, location, diagnosis
    return Line(named, table, row, problems)
