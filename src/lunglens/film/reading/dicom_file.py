"""One DICOM file's bytes -> the data set of the few elements that LungLens uses.

Only the elements in `_ELEMENTS` are ever read, so no patient name, number or date reaches the program.
"""

import struct
import zlib
from collections.abc import MutableSequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from lunglens.errors import UnreadableImageError
from lunglens.film.language import say

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXEL_DATA, _SEQUENCE_END = b"\xe0\x7f\x10\x00", b"\xfe\xff\xdd\xe0\0\0\0\0"

_ELEMENT_NAMES = (
    "SOPClassUID Modality BodyPartExamined ViewPosition ImageLaterality Laterality PatientAge PatientSex "
    "PatientOrientation "
    "PixelSpacing ImagerPixelSpacing Rows Columns SamplesPerPixel PhotometricInterpretation PlanarConfiguration "
    "NumberOfFrames BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit "
    "ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence VOILUTFunction WindowCenter WindowWidth "
    "RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData GreenPaletteColorLookupTableData "
    "BluePaletteColorLookupTableData ExtendedOffsetTable ExtendedOffsetTableLengths PixelData "
    "AnatomicRegionSequence ViewCodeSequence PresentationIntentType PixelSpacingCalibrationType "
    "NominalScannedPixelSpacing EstimatedRadiographicMagnificationFactor"
)
_OVERLAY_BIT_POSITIONS = [0x60000102 + (overlay << 17) for overlay in range(16)]  # which have no keyword (PS3.5 7.6)
# Kinds of values whose length has 16 bits, where they are said (PS3.5 7.1.2).
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_ELEMENTS: list[Any] = [*_ELEMENT_NAMES.split(), *_OVERLAY_BIT_POSITIONS]


def parse(data: bytes, max_bytes: int) -> "FileDataset":
    """Parse the elements that LungLens uses, inflating to `max_bytes` at most; what is odd is noted, see `note`."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    notes: list[str] = []
    syntax, start = _transfer_syntax(data)
    if _is_other_order(data[start : start + 4], syntax):
        notes.append(say("the data set is not in the byte order, or not deflated, as its header says"))
        # Without what comes before it, pydicom goes by the data set itself.
        data, syntax, start = data[start:], "", 0
    if syntax == _DEFLATED:
        data, syntax = _inflate(data[start:], max_bytes), EXPLICIT
    elif data[128:132] != b"DICM":
        notes.append(say("DICOM data without the file preamble"))
    try:
        dataset = dcmread(BytesIO(data), force=True, specific_tags=_ELEMENTS)
    except Exception:  # a character set that is none; and what follows the pixels may be anything
        data = mended_character_set(data)
        dataset = _up_to_pixels(data)
    if "PixelData" not in dataset and _PIXEL_DATA in data:
        # pydicom gives up on fragments that nothing ends: this ends them, and what is missing shows when they are read.
        mended = dcmread(BytesIO(data + _SEQUENCE_END), force=True, specific_tags=_ELEMENTS)
        if "PixelData" in mended:
            notes.append(say("the end of the Pixel Data was missing"))
            dataset = mended
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    for text in notes:
        note(dataset, text)
    return dataset


def note(dataset: Any, text: str) -> None:
    """Keep with the data set what was done to its pixels, or what is odd about it."""
    dataset.__dict__.setdefault("lunglens_notes", []).append(text)


def notes_of(dataset: Any) -> tuple[str, ...]:
    """All that was noted of a data set."""
    return tuple(dataset.__dict__.get("lunglens_notes", ()))


def _up_to_pixels(data: bytes) -> "FileDataset":
    """Parse what stands before the end of the Pixel Data, and nothing behind it."""
    from pydicom.filereader import read_partial

    stream = BytesIO(data)
    return read_partial(stream, lambda tag, *_: tag > 0x7FE00010, force=True, specific_tags=_ELEMENTS)


def _is_other_order(tag: bytes, syntax: str) -> bool:
    """Whether a data set that begins with `tag` contradicts its transfer syntax: its first group is 0008 (PS3.3)."""
    if syntax in (BIG_ENDIAN, _DEFLATED) and tag[:2] == b"\x08\x00" and tag[2:] != b"\x00\x08":
        return tag[3:] == b"\x00"
    return syntax != BIG_ENDIAN and tag[:3] == b"\x00\x08\x00"


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


def mended_character_set(data: bytes) -> bytes:
    """A file's bytes with Specific Character Set as text without zero bytes: else pydicom gives up on all of it."""
    at = data.find(b"\x08\x00\x05\x00", _transfer_syntax(data)[1])
    if at < 0:
        return data
    kind, length = data[at + 4 : at + 6], data[at + 4 : at + 8]
    if kind in _SHORT:  # said to be numbers, say
        kind, length = b"CS", data[at + 6 : at + 8]
    end = at + 8 + int.from_bytes(length, "little")
    return data[: at + 4] + kind + data[at + 6 : at + 8] + data[at + 8 : end].replace(b"\0", b" ") + data[end:]


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
    found = _several(dataset, keyword)
    return None if not found or found[0] == "" else found[0]


def values(dataset: Any, keyword: str) -> list[str]:
    """Return all values of an element as text; [] where it is absent, empty or malformed."""
    return [str(part) for part in _several(dataset, keyword) if part is not None]


def _several(dataset: Any, keyword: str) -> list[Any]:
    from pydicom.multival import MultiValue

    try:
        found = dataset.get(keyword)
    except Exception:  # pydicom converts a value when it is asked for, and a malformed one can raise anything
        return []
    return list(found) if isinstance(found, MultiValue) else [found]


def number(dataset: Any, keyword: str) -> float | None:
    """Return the first value of an element as a finite number; None where there is none."""
    try:
        found = float(value(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None


def numbers(dataset: Any, keyword: str) -> list[float]:
    """Return all values of an element as finite numbers; none where it is absent or malformed."""
    try:
        found = dataset.get(keyword)
        several = [float(part) for part in (found if isinstance(found, MutableSequence) else [found])]
    except Exception:  # see value
        return []
    return several if np.isfinite(several).all() else []


def overlay_bit(dataset: Any) -> int:
    """Return the lowest bit of the pixels' cells that holds a drawing (retired, PS3.3 C.9.2); 0 where there is none."""
    elements = [dataset.get(position) for position in _OVERLAY_BIT_POSITIONS]
    bits = [element.value for element in elements if element is not None and isinstance(element.value, int)]
    return min(filter(None, bits), default=0)


def photometric(dataset: Any) -> str:
    """Photometric interpretation, upper case; '' where absent."""
    kind = str(value(dataset, "PhotometricInterpretation") or "").strip("\0 ").upper()
    return kind.replace("MONOCHROME ", "MONOCHROME")


def integer(dataset: Any, keyword: str, default: int | None = None) -> int:
    """Return the first value of an element as an integer; UnreadableImageError without one and without `default`."""
    found = number(dataset, keyword)
    if found is None:
        if default is None:
            raise UnreadableImageError(f"the DICOM element {keyword} is missing or malformed. Export the file again.")
        return default
    return int(found)
