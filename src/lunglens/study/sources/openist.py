"""OpenIST's normal chest films of a teaching module, with lung masks: `1-10-500-500-100.jpg` ...

https://github.com/pi-null-mezon/OpenIST - `Datasets/Chest_x-ray/`: each film's mask has its name and an "@" before the
ending; or `images/` beside `masks/`, with one name.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import mask_files
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.table import files_below, group, is_film_name

NAME = "openist"
FILM = re.compile(r"\d+-\d+-500-500-\d+(?: ?\(\d+\))?")
TEST_ONLY = "test only: nearly every film has the same white marker"


def openist(folder: Path, problems: Problems) -> Iterator[Row]:
    """Every film there is; some of the repository's have no mask.

    Upstream says nothing of patients; each film of the module counts as a patient of its own.
    """
    paths = [Path(path) for path in files_below(folder) if is_film_name(path)]
    masks = {path.stem.removesuffix("@"): path for path in paths if path.stem[-1] == "@" or path.parent.name == "masks"}
    films = {path.stem: path for path in paths if path not in masks.values() and FILM.fullmatch(path.stem)}
    if not films:
        raise DataError(f"{folder}: no films like 1-10-500-500-100.jpg; give the folder of OpenIST's Chest_x-ray set")
    if lost := sorted(masks.keys() - films.keys()):
        text = f"has no film; {len(lost)} masks have none, this is the first; left out"
        problems.append(Problem(str(masks[lost[0]]), None, None, text))
    for name, path in films.items():
        mask = mask_files(masks.get(name))
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=None,
            group_id=group(NAME, name),
            view="PA",
            modality="X-ray",
            diagnosis="normal",
            label="normal",
            masks=mask,
            mask_rule="fields" if mask else None,
            exclude=TEST_ONLY,
        )
