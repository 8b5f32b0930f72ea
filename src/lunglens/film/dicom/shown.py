"""How a film's header says that its gray values are to be shown, as a presentation state says it (PS3.3 C.11)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from lunglens.film.reading.dicom_file import number, numbers, photometric
from lunglens.film.reading.dicom_gray import Table, first_table, windows

_BITS = 16  # of a VOI table: those of other bits are scaled, for not every reader takes 9 to 15
_TOP = 2**_BITS - 1
_SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
# What must be read of a header for this.
SHOWN = (
    "PhotometricInterpretation",
    "PixelRepresentation",
    "PixelAspectRatio",
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenter",
    "WindowWidth",
)


def shown(header: Dataset) -> Dataset | None:
    """The film's modality transformation, its first VOI LUT or else window, polarity and pixel aspect ratio.

    None of a colour film, which a grayscale presentation state cannot show. What the header does not say, or says
    unusably, is left out: to a presentation state that is the identity (PS3.4 N.2).
    """
    shape = _SHAPES.get(photometric(header))
    if shape is None:
        return None
    found = Dataset()
    found.PresentationLUTShape = shape
    found.PresentationPixelAspectRatio = _aspect(header)
    _modality(found, header)
    voi = _voi(header)
    if voi is not None:
        found.SoftcopyVOILUTSequence = [voi]
    return found


def _aspect(header: Dataset) -> list[int]:
    """Vertical and horizontal size of a pixel (PS3.3 C.7.6.3.1.7)."""
    stated = [round(part) for part in numbers(header, "PixelAspectRatio")]
    return stated if len(stated) == 2 and all(0 < part < 2**31 for part in stated) else [1, 1]


def _modality(found: Dataset, header: Dataset) -> None:
    table = _table(header, "ModalityLUTSequence")
    if table is not None:
        item = _table_item(table.values, table.first, 8 if table.bits == 8 else _BITS)
        item.ModalityLUTType = "US"  # unspecified
        found.ModalityLUTSequence = [item]
        return
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope or intercept is not None:
        found.RescaleIntercept, found.RescaleSlope = _decimal(intercept or 0.0), _decimal(slope or 1.0)
        found.RescaleType = "US"


def _voi(header: Dataset) -> Dataset | None:
    item = Dataset()
    table = _table(header, "VOILUTSequence")
    if table is not None:
        item.VOILUTSequence = [_table_item(table.values / table.full_scale * _TOP, table.first, _BITS)]
        return item
    for center, width, function in windows(header):
        item.WindowCenter, item.WindowWidth = _decimal(center), _decimal(width)
        if function in ("LINEAR_EXACT", "SIGMOID"):
            item.VOILUTFunction = function
        return item
    return None


def _table(header: Dataset, keyword: str) -> Table | None:
    """The first table of a sequence; None where there is none whose descriptor can be written again."""
    table = first_table(header, keyword)
    return table if table is not None and -(2**15) <= table.first < 2**16 else None


def _table_item(values: NDArray[np.float64], first: int, bits: int) -> Dataset:
    """Words of 16 bits, whatever the bits (C.11.1.1.1); the descriptor is signed where its second value is."""
    entries = len(values) % 2**16  # 0 says 65,536
    kind = "US"
    if first < 0:
        kind, entries = "SS", entries - 2**16 if entries >= 2**15 else entries  # the same two bytes
    item = Dataset()
    _add(item, "LUTDescriptor", kind, [entries, first, bits])
    _add(item, "LUTData", "OW", np.clip(np.rint(values), 0, _TOP).astype("<u2").tobytes())
    return item


def _add(item: Dataset, keyword: str, kind: str, value: Any) -> None:
    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 - our own word
    item.add(DataElement(tag, kind, value))


def _decimal(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)
