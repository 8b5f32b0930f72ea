"""Heat-maps of a study's films against the boxes that RSNA's radiologists drew on some of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.boxes import Boxes, boxes_agreement, in_boxes, read_boxes
from lunglens.evaluate.predictions import groups_of
from lunglens.film.preprocess import Floats, Mask
from lunglens.study.folder import Study
from lunglens.study.sources.rsna_readings import MAPPING, names_at_nih


def boxes_of(study: Study, path: Path) -> dict[str, Boxes]:
    """image_id -> boxes (n, 4) of the study's films that have some.

    Args:
        study: of films of NIH or of RSNA.
        path: the table of `read_boxes`; RSNA's own is read by NIH's names too where RSNA's mapping file lies beside it.

    Raises:
        DataError: the table or the mapping is not as published, or none of the boxes is on a film of the study.
    """
    boxes, mapping = read_boxes(path), path.with_name(MAPPING)
    if mapping.is_file():
        boxes |= {name: boxes[code] for code, name in names_at_nih(mapping).items() if code in boxes}
    stems = study.table.set_index("image_id")["path"].map(lambda film: Path(film).stem.lower())
    found = {str(name): boxes[stem] for name, stem in stems.items() if stem in boxes}
    if not found:
        raise DataError(f"{path}: none of its films is in the study {study.folder}")
    return found


def heat_in_boxes(
    films: pd.DataFrame,
    maps: Mapping[str, Floats],
    regions: Mapping[str, Mask],
    boxes: Mapping[str, Boxes],
    seed: int = 0,
) -> dict[str, Any]:
    """`boxes_agreement` of the films that have boxes: of `all`, and of those `called` the class that the heat is of.

    Args:
        films: a row a film: image_id, group_id, called (bool).
        maps, regions: image_id -> heat (h, w), >= 0, of the whole film, and its lung region (S, S).
        boxes: image_id -> boxes (n, 4).
        seed: of the intervals.
    """
    films = films[films["image_id"].isin(boxes)]
    measured = [in_boxes(maps[name], boxes[name], regions[name]) for name in films["image_id"]]
    heat, area = (np.array([found[at] for found in measured], np.float64) for at in (0, 1))
    hits, groups = [found[2] for found in measured], groups_of(films)
    rows = {"all": np.arange(len(films)), "called": np.flatnonzero(films["called"])}
    return {
        name: boxes_agreement(heat[of], area[of], [hits[at] for at in of], groups[of], seed)
        for name, of in rows.items()
    }
