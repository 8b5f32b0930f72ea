"""One DICOM file's bytes -> the data set, and the few header facts that LungLens uses.

Only the elements in `_ELEMENTS` are ever read, so no patient name, number or date reaches the program.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from lunglens.errors import NotAChestRadiographError, UnreadableImageError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"

_ELEMENT_NAMES = (
    "SOPClassUID Modality BodyPartExamined ViewPosition ImageLaterality Laterality PatientAge PatientSex "
    "PixelSpacing ImagerPixelSpacing Rows Columns SamplesPerPixel PhotometricInterpretation PlanarConfiguration "
    "NumberOfFrames BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit "
    "ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence VOILUTFunction WindowCenter WindowWidth "
    "RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData GreenPaletteColorLookupTableData "
    "BluePaletteColorLookupTableData ExtendedOffsetTable ExtendedOffsetTableLengths PixelData"
)
_ELEMENTS = _ELEMENT_NAMES.split()
_RADIOGRAPHY = {"CR", "DX", "RG", "DR"}
_UNSTATED_MODALITY = {"", "OT", "SC"}
# Consulted only where Modality is absent (PS3.4 B.5, "Standard SOP Classes").
_SOP_CLASS_MODALITY = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.3.1": "US",
    "1.2.840.10008.5.1.4.1.1.1.2": "MG",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}
_CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "TORAX", "TORACE")
_UNSTATED_PART = {"", "UNKNOWN", "OTHER", "NONE", "UNDEFINED"}


@dataclass(frozen=True)
class Header:
    """What the header says; None where it is silent, or where what it says makes no sense."""

    spacing_mm: tuple[float, float] | None
    spacing_source: str | None
    view: str | None
    laterality: str | None
    age_years: float | None
    sex: str | None
    body_part: str | None
    modality: str | None


def parse(data: bytes, max_bytes: int, notes: list[str]) -> "FileDataset":
    """Parse the elements that LungLens uses, inflating to `max_bytes` at most; adds to `notes`."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    syntax, start = _transfer_syntax(data)
    if syntax == _DEFLATED:
        data, syntax = _inflate(data[start:], max_bytes), EXPLICIT
    elif data[128:132] != b"DICM":
        notes.append("DICOM data without the file preamble")
    dataset = dcmread(BytesIO(data), force=True, specific_tags=list(_ELEMENTS))
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


def _transfer_syntax(data: bytes) -> tuple[str, int]:
    """Transfer syntax of the file meta information ('' if none) and where the data set begins (PS3.10 7.1)."""
    at, syntax = (132 if data[128:132] == b"DICM" else 0), ""
    while data[at : at + 2] == b"\x02\x00":
        element, representation, length = struct.unpack_from("<H2sH", data, at + 2)
        start = at + 8
        if representation in (b"OB", b"OW", b"UN", b"UT", b"SQ"):
            (length,), start = struct.unpack_from("<L", data, at + 8), at + 12
        if element == 0x0010:
            syntax = data[start : start + length].decode("ascii", "replace").strip("\0 ")
        at = start + length
    return syntax, at


def _inflate(deflated: bytes, max_bytes: int) -> bytes:
    # pydicom inflates without a bound, so that a small file could fill the memory.
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, max_bytes)
    if inflater.eof:
        return inflated
    if len(inflated) >= max_bytes:
        raise UnreadableImageError(
            f"it inflates to more than the {max_bytes} bytes allowed. Raise the byte limit if you trust the file."
        )
    raise UnreadableImageError("the deflated data set is truncated. Copy or export the file again.")


def value(dataset: Any, keyword: str) -> Any:
    """Return the first value of an element; None where it is absent, empty or malformed."""
    from pydicom.multival import MultiValue

    try:
        found = dataset.get(keyword)
    except Exception:  # pydicom converts a value when it is asked for, and a malformed one can raise anything
        return None
    if isinstance(found, MultiValue):
        found = found[0] if len(found) else None
    return None if found == "" else found


def number(dataset: Any, keyword: str) -> float | None:
    """Return the first value of an element as a finite number; None where there is none."""
    try:
        found = float(value(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None


def integer(dataset: Any, keyword: str, default: int | None = None) -> int:
    """Return the first value of an element as an integer; UnreadableImageError without one and without `default`."""
    found = number(dataset, keyword)
    if found is None:
        if default is None:
            raise UnreadableImageError(f"the DICOM element {keyword} is missing or malformed. Export the file again.")
        return default
    return int(found)


def _text(dataset: Any, keyword: str) -> str | None:
    found = value(dataset, keyword)
    return re.sub(r"[^\x20-\x7e]", "?", str(found)).strip().upper()[:64] or None if found is not None else None


def read_header(dataset: Any, notes: list[str]) -> Header:
    """Read what the header says of the radiograph; adds to `notes`."""
    spacing, source = _spacing(dataset, notes)
    sex = _text(dataset, "PatientSex")
    return Header(
        spacing_mm=spacing,
        spacing_source=source,
        view=_text(dataset, "ViewPosition"),
        laterality=_text(dataset, "ImageLaterality") or _text(dataset, "Laterality"),
        age_years=_age_years(_text(dataset, "PatientAge")),
        sex=sex if sex in ("M", "F", "O") else None,
        body_part=_text(dataset, "BodyPartExamined"),
        modality=_text(dataset, "Modality"),
    )


def _age_years(text: str | None) -> float | None:
    """Age in years from an Age String (PS3.5 6.2: nnnD, nnnW, nnnM or nnnY)."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text or "")
    return int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match[2]] if match else None


def _spacing(dataset: Any, notes: list[str]) -> tuple[tuple[float, float] | None, str | None]:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        try:
            row, column = (float(part) for part in dataset.get(keyword) or ())
        except Exception:  # absent, of one value, or malformed in a way that pydicom raises on
            row = column = 0.0
        if 0 < row < 100 and 0 < column < 100:
            notes.append(f"pixel spacing from {keyword}")
            return (row, column), keyword
        if keyword in dataset:
            notes.append(f"{keyword} is not usable and was ignored")
    return None, None


def refuse_other_kinds(dataset: Any, header: Header, notes: list[str]) -> None:
    """Raise NotAChestRadiographError where the header says that it is something else; adds to `notes`."""
    modality = header.modality or _SOP_CLASS_MODALITY.get(str(value(dataset, "SOPClassUID")), "")
    if modality in _UNSTATED_MODALITY:
        notes.append(f"the header does not say that this is a radiograph (modality {modality or 'absent'})")
    elif modality not in _RADIOGRAPHY:
        raise NotAChestRadiographError(f"its header says modality {modality}. Give a chest radiograph (CR or DX).")
    frames = integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise NotAChestRadiographError(f"it holds {frames} frames. Give one single-frame chest radiograph.")
    part = header.body_part or ""
    if part not in _UNSTATED_PART and not any(word in part for word in _CHEST_WORDS):
        raise NotAChestRadiographError(f"its header says body part {part}. Give a chest radiograph.")
