"""The one table that describes a data set: a row an image. Unknown stays unknown (None), never a default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import MaskPart, masks_text
from lunglens.film.parameters import MaskRule
from lunglens.film.reading.facts import FILM_ENDINGS
from lunglens.study.config.training import Split


@dataclass(frozen=True)
class Row:
    """One image of a data set.

    `group_id` ties images of one patient (and verified duplicates): splits go by it; "" where upstream names no
    patient, which no split accepts. What upstream says of the film stays as published (`diagnosis`, `acquisition`);
    `label` is our reading of it: covid, pneumonia, normal, tuberculosis or other. `extra` holds what else a table of
    one's own says, column -> cell.
    """

    path: str  # absolute
    source: str
    patient_id: str | None
    group_id: str
    view: str | None = None  # PA, AP, AP Supine, AP Erect, L, Axial, Coronal, as far as upstream says
    modality: str | None = None  # X-ray or CT
    age_years: float | None = None
    sex: str | None = None  # F or M
    diagnosis: str | None = None  # several joined by "|"
    uncertain: str | None = None  # diagnoses that upstream calls uncertain, joined by "|"
    radiologists: str | None = None  # what they called the film itself, where upstream mined reports for its diagnosis
    label: str | None = None
    equipment: bool | None = None  # medical devices in the picture
    masks: tuple[MaskPart, ...] = ()  # their union is the lung mask
    mask_rule: MaskRule | None = None  # None where there is no mask
    case_url: str | None = None  # the published case that the film belongs to
    original_width_px: int | None = None  # before the publisher scaled it
    original_height_px: int | None = None
    acquisition: str | None = None  # what else upstream says about how the film was made
    licence: str | None = None
    citation: str | None = None
    exclude: str | None = None  # why the image is not fit for training, as far as metadata can tell
    extra: Mapping[str, str] = field(default_factory=dict)


FIELDS = tuple(item.name for item in fields(Row) if item.name != "extra")
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


def find_images(folder: Path) -> dict[str, Path]:
    """File stem (lower case) -> image file, for every image below `folder`.

    By stem, because copies of these data sets often change the ending (PNG to JPEG).

    Raises:
        DataError: the folder is missing or holds no image.
    """
    # Other tools' droppings (.DS_Store, ._name, __MACOSX) are not part of the data set.
    files = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in FILM_ENDINGS and path.name[0] != ".")
    images = {path.stem.lower(): path for path in files}
    if not images:
        raise DataError(f"{folder}: no images here; give the data set's folder in its published layout")
    return images


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
