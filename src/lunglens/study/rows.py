"""What every data set's reader gives: a row an image. Unknown stays unknown (None), never a default."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import MaskPart
from lunglens.film.parameters import MaskRule
from lunglens.film.reading.facts import FILM_ENDINGS


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
