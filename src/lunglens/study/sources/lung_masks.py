"""Lung masks that others drew on public films, V7 Labs and General Blockchain, and rows that take them.

Both sets draw the whole lung, behind the heart too: on the 60 films that both drew, V7's masks cover 94 % of General
Blockchain's and are covered by them to 98 %, although General Blockchain draws the heart once more as a class of its
own. Four of General Blockchain's 95 follow no rule and are left out.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import MaskPart, mask_files
from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.table import Line, files_below, read_table, stem_of

V7, GENERAL_BLOCKCHAIN = "lung-masks-v7", "lung-masks-generalblockchain"
COLUMNS = ["Class", "Filename", "Mask", "Resolution", "Top", "Left"]
LUNGS = {"covid-19 left lung", "covid-19 right lung"}
# General Blockchain's masks of one lung only, and those whose left lung ends at the heart, as seen on each of the 95.
WITHOUT_RULE = {
    "acute-respiratory-distress-syndrome-ards-1",
    "covid-19-pneumonia-12",
    "sars-10.1148rg.242035193-g04mr34g0-fig8c-day10",
    "x-ray_of_cyst_in_pneumocystis_pneumonia_1",
}

Masks = dict[str, tuple[MaskPart, ...]]


def with_masks(rows: Iterable[Row], folder: Path, problems: Problems | None = None) -> Iterator[Row]:
    """Rows with the masks that `folder` holds for them, and no others.

    Args:
        rows: of one data set; a mask belongs to the film of the same stem.
        folder: General Blockchain's repository (`structure.csv`, `masks/`), V7's (Darwin JSON annotations, with
            `all-images-semantic-masks/` or without), or a folder of pictures named as the films.
        problems: what could not be taken is appended here.

    Raises:
        DataError: the folder is missing, or holds no masks.
    """
    noted: Problems = [] if problems is None else problems
    return _given(rows, _masks(folder, noted), folder, noted)


def with_masks_beside(rows: Iterable[Row], folder: Path, problems: Problems) -> Iterator[Row]:
    """Rows of the data set in `folder` with V7's and General Blockchain's masks, where these lie in it or beside it.

    Of a film that both drew V7's counts: it follows a rule that is written down.

    Raises:
        DataError: there is a folder of either, and it holds no masks.
    """
    places = [home / name for name in (GENERAL_BLOCKCHAIN, V7) for home in (folder, folder.parent)]
    masks: Masks = {}
    for place in filter(Path.is_dir, places):
        masks |= _masks(place, problems)
    return _given(rows, masks, folder, problems)


def _given(rows: Iterable[Row], masks: Masks, folder: Path, problems: Problems) -> Iterator[Row]:
    used = False
    for row in rows:
        mask = masks.get(Path(row.path).stem.lower(), ())
        used |= bool(mask)
        yield replace(row, masks=mask, mask_rule="region" if mask else None)
    if masks and not used:
        text = f"none of its {len(masks)} masks is named as a film; V7's numbers need its annotations (all-images.zip)"
        problems.append(Problem(str(folder), None, None, text))


def _masks(folder: Path, problems: Problems) -> Masks:
    found = _all_masks(folder, problems)
    if folder.name == GENERAL_BLOCKCHAIN or (folder / "structure.csv").is_file():
        return {stem: mask for stem, mask in found.items() if stem not in WITHOUT_RULE}
    return found


def _all_masks(folder: Path, problems: Problems) -> Masks:
    if (folder / "structure.csv").is_file():
        return _general_blockchain(folder, problems)
    annotations = [Path(path) for path in files_below(folder) if path.lower().endswith(".json")]
    if annotations:
        return _darwin(annotations, folder, problems)
    return {stem: mask_files(path) for stem, path in find_images(folder).items()}


def _general_blockchain(folder: Path, problems: Problems) -> Masks:
    """Every lung is a picture cut to its box; films of which one lung was drawn get no mask."""
    lungs: dict[str, dict[str, MaskPart]] = {}
    for line in read_table(folder / "structure.csv", COLUMNS, problems):
        side = line["Class"].casefold()
        if side not in LUNGS or not line["Mask"]:
            continue
        drawn = lungs.setdefault(stem_of(line["Filename"]), {})
        if side in drawn:
            line.problem("Class", f"{line['Filename']} has another {line['Class']}; the first is kept")
        elif piece := _piece(line, folder):
            drawn[side] = piece
    for stem, drawn in lungs.items():
        if len(drawn) < len(LUNGS):
            text = f"{stem} has no mask of {', '.join(sorted(LUNGS - drawn.keys()))}; left without a mask"
            problems.append(Problem(str(folder / "structure.csv"), None, "Class", text))
    return {stem: tuple(drawn[side] for side in sorted(drawn)) for stem, drawn in lungs.items() if len(drawn) == 2}


def _piece(line: Line, folder: Path) -> MaskPart | None:
    width, _, height = line["Resolution"].casefold().partition("x")
    left, top = line.number("Left"), line.number("Top")
    path = folder / line["Mask"]
    if not path.is_file():
        line.problem("Mask", f"{line['Mask']} is not here")
    elif not (width.isdecimal() and height.isdecimal()):
        line.problem("Resolution", f"{line['Resolution']!r} is not like 943x751")
    elif left is not None and top is not None:
        return MaskPart(str(path), int(left), int(top), int(width), int(height))
    return None


def _darwin(annotations: list[Path], folder: Path, problems: Problems) -> Masks:
    """An annotation names its film; the mask drawn from it, if there, has the annotation's own name (1676192.png)."""
    drawn = {path.stem: path for path in folder.rglob("*semantic-masks/*.png")}
    masks: Masks = {}
    for path in annotations:
        try:
            annotation: dict[str, Any] = json.loads(path.read_text("utf-8"))
            film = (annotation.get("image") or annotation["item"]).get("original_filename")
            film = film or annotation.get("image", {}).get("filename") or annotation["item"]["name"]
            names = {str(shape.get("name", "")).casefold() for shape in annotation["annotations"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(Problem(str(path), None, None, f"is no annotation of Darwin ({error!r}); left out"))
            continue
        if "lung" in names:  # lateral films and CT slices have none
            masks[stem_of(film)] = mask_files(drawn.get(path.stem, path))
    if not masks:
        raise DataError(f"{folder}: none of its annotations has lungs; V7's export for chest X-rays is expected")
    return masks


def _films(folder: Path, source: str, problems: Problems) -> Iterator[Row]:
    images = folder / "images"
    if not images.is_dir():
        raise DataError(f"{images}: is missing; masks alone belong beside covid-chestxray-dataset")
    films = find_images(images)
    return with_masks((Row(str(path), source, None, "", modality=None) for path in films.values()), folder, problems)


def v7(folder: Path, problems: Problems) -> Iterator[Row]:
    """The films of a Darwin pull (`images/`, `releases/*/annotations/*.json`); patients stay unknown."""
    return _films(folder, V7, problems)


def general_blockchain(folder: Path, problems: Problems) -> Iterator[Row]:
    """The 100 films of the repository (`images/`); patients stay unknown."""
    return _films(folder, GENERAL_BLOCKCHAIN, problems)
