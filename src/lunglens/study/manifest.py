"""The one table that describes a data set, and how it is split."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import masks_text
from lunglens.study.config.training import Split
from lunglens.study.rows import FIELDS, Row

# Columns of tables that are made of a manifest; their names are taken too.
_RESERVED = {*FIELDS, "image", "image_id", "class", "opacity", "film", "mask", "cut", "fold"}
_RESERVED |= {"width_px", "height_px", "bits", "border_px", "lung_px", "sha256"}


def manifest(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows -> a table sorted by path; an image that upstream lists twice is one row.

    Its columns are the fields of `Row`, masks as text (`masks_of` reads it), then those of every `extra`.
    """
    cells = [_cells(row) for row in rows]
    table = pd.DataFrame(cells, columns=list(dict.fromkeys([*FIELDS, *(name for row in cells for name in row)])))
    return table.drop_duplicates("path").sort_values("path", ignore_index=True)


def _cells(row: Row) -> dict[str, object]:
    own = {name: getattr(row, name) for name in FIELDS}
    return own | {"masks": masks_text(row.masks)} | {_own_name(name): cell for name, cell in row.extra.items()}


def _own_name(column: str) -> str:
    """The manifest's name for a column of one's own, which must not take the place of one of the manifest's."""
    return f"own_{column}" if column in _RESERVED else column


def split_by_group(table: pd.DataFrame, split: Split) -> pd.Series:
    """Name each row's part: "train", "validation" or "test".

    Whole groups are drawn, separately for each source x label so that every part has its share of each. A group that
    spans several strata is drawn with the first of them.

    Raises:
        DataError: a row has no `group_id` (never invented: a made-up id would leak patients silently).
    """
    unknown = table["group_id"].isna() | (table["group_id"] == "")
    if unknown.any():
        bad = table.loc[unknown, "path"].iloc[0]
        raise DataError(f"{bad}: no group_id (patient); add one, images cannot be split by patient without it")
    generator = np.random.default_rng(split.seed)
    part_of: dict[str, str] = {}
    strata = table.assign(label=table["label"].fillna("")).groupby(["source", "label"], sort=True)
    for _, rows in strata:
        groups = np.array(sorted(set(rows["group_id"]) - part_of.keys()), dtype=object)
        generator.shuffle(groups)
        test = round(split.test * len(groups))
        validation = test + round(split.validation * len(groups))
        for index, group in enumerate(groups):
            part_of[group] = "test" if index < test else "validation" if index < validation else "train"
    return table["group_id"].map(part_of)
