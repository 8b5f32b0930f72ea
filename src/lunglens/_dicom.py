"""One DICOM file's bytes -> stored pixel values and the few header facts that LungLens uses.

Only the elements in `_ELEMENTS` are ever read, so no patient name, number or date reaches the program.
Messages of the errors raised here say what is wrong and what to do; the caller puts the file's name before them.
"""

import os
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import NotAChestRadiographError, UnreadableImageError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

MIN_SIDE = 64

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

_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _EXPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"
# Each compressed transfer syntax has one decoder, named outright: left to choose, pydicom would take
# pylibjpeg-libjpeg (GPL) where a user happens to have it.
_DECODERS = {
    _IMPLICIT: "",
    _EXPLICIT: "",
    _BIG_ENDIAN: "",
    _RLE: "pydicom",
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "gdcm",
    "1.2.840.10008.1.2.4.91": "gdcm",
}
_GDCM_SECONDS = 180
_GDCM_PROGRAM = """
import sys
from io import BytesIO
import numpy as np
from pydicom.pixels.utils import pixel_array
file, found = BytesIO(sys.stdin.buffer.read()), BytesIO()
np.save(found, pixel_array(file, index=0, number_of_frames=1, decoding_plugin="gdcm"))
sys.stdout.buffer.write(found.getvalue())
"""
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


def looks_like_dicom(data: bytes) -> bool:
    """Whether the bytes begin as DICOM: the mark of PS3.10 7.1, or bare elements of group 0002 or 0008."""
    if data[128:132] == b"DICM":
        return True
    little, big = data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\x00", data[:3] == b"\x00\x08\x00"
    return len(data) >= 256 and (little or big)


def decode_dicom(
    data: bytes, max_bytes: int, max_pixels: int, notes: list[str]
) -> tuple[NDArray[Any], "FileDataset", Header]:
    """Decode one radiograph: stored values (H, W) or colour (H, W, 3), data set, header; adds to `notes`.

    Raises NotAChestRadiographError where the header says that it is something else, and UnreadableImageError,
    or whatever a decoder throws, where it cannot be read.
    """
    dataset = _parse(data, max_bytes, notes)
    header = _read_header(dataset, notes)
    _refuse_other_kinds(dataset, header, notes)
    _require_pixels(dataset, data, max_pixels)
    return _decode_pixels(dataset, data, notes), dataset, header


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


def _parse(data: bytes, max_bytes: int, notes: list[str]) -> "FileDataset":
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    syntax, start = _transfer_syntax(data)
    if syntax == _DEFLATED:
        data, syntax = _inflate(data[start:], max_bytes), _EXPLICIT
    elif data[128:132] != b"DICM":
        notes.append("DICOM data without the file preamble")
    dataset = dcmread(BytesIO(data), force=True, specific_tags=list(_ELEMENTS))
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = _IMPLICIT if implicit else _EXPLICIT if little else _BIG_ENDIAN
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


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


def _text(dataset: Any, keyword: str) -> str | None:
    found = value(dataset, keyword)
    return re.sub(r"[^\x20-\x7e]", "?", str(found)).strip().upper()[:64] or None if found is not None else None


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


def _read_header(dataset: Any, notes: list[str]) -> Header:
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


def _refuse_other_kinds(dataset: Any, header: Header, notes: list[str]) -> None:
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


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Raise UnreadableImageError unless the image is at least MIN_SIDE px each way and max_pixels px at most."""
    if rows * columns > max_pixels:
        raise UnreadableImageError(
            f"{columns} x {rows} px are more than the {max_pixels} allowed. Raise the pixel limit if you trust it."
        )
    if min(rows, columns) < MIN_SIDE:
        raise UnreadableImageError(
            f"{columns} x {rows} px are too few. Give the full image, at least {MIN_SIDE} px each way."
        )


def _require_pixels(dataset: Any, data: bytes, max_pixels: int) -> None:
    """Check all that the header promises before a decoder sees any of it (PS3.3 C.7.6.3)."""
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in _DECODERS:
        raise UnreadableImageError(
            f"transfer syntax {syntax} is not supported. Export it uncompressed, or as JPEG 2000, JPEG-LS or RLE."
        )
    if not dataset.get("PixelData"):
        if b"\xe0\x7f\x10\x00" in data or b"\x7f\xe0\x00\x10" in data:  # pydicom gives up on all at an early end
            raise UnreadableImageError("its Pixel Data are truncated or damaged. Copy or export the file again.")
        raise UnreadableImageError("it holds no Pixel Data, or ends before them. Choose or export the image itself.")
    rows, columns, samples = (integer(dataset, key) for key in ("Rows", "Columns", "SamplesPerPixel"))
    check_size(rows, columns, max_pixels)
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    high = integer(dataset, "HighBit", stored - 1)
    if samples not in (1, 3) or allocated not in (1, 8, 16) or not 1 <= stored <= allocated or high != stored - 1:
        raise UnreadableImageError(
            f"{samples} samples of {stored} bits in {allocated} (high bit {high}) are not supported. "
            "Export the image with 8 to 16 bits a pixel."
        )
    photometric = str(value(dataset, "PhotometricInterpretation"))
    if (samples == 1) != (photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")):
        raise UnreadableImageError(
            f"photometric interpretation {photometric} with {samples} samples makes no sense. Export the image again."
        )
    dataset.NumberOfFrames = 1


def _decode_pixels(dataset: Any, file: bytes, notes: list[str]) -> NDArray[Any]:
    """Stored values as (H, W) or (H, W, 3), the decoder chosen by `_DECODERS`."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.utils import get_expected_length, pixel_array

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    expected, data = get_expected_length(dataset), dataset.PixelData
    if not _DECODERS[syntax]:
        if len(data) < expected:
            raise UnreadableImageError(
                f"truncated: {len(data)} of {expected} bytes of Pixel Data are there. Copy or export the file again."
            )
        if len(data) > expected + expected % 2:
            notes.append("more Pixel Data than the header states; the rest was ignored")
    else:
        frame = next(generate_frames(data, number_of_frames=1))
        check = _check_rle if syntax == _RLE else _check_codestream
        check(frame, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    if _DECODERS[syntax] == "gdcm":
        return _decode_apart(file)
    return np.asarray(pixel_array(dataset, decoding_plugin=_DECODERS[syntax]))


def _decode_apart(file: bytes) -> NDArray[Any]:
    """Decode with GDCM in a process of its own: at some damaged JPEG data it aborts, which no `except` can catch."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, "-c", _GDCM_PROGRAM]
    result = subprocess.run(  # noqa: S603 - a constant program of this module; the file is only its input
        command, input=file, capture_output=True, env=environment, timeout=_GDCM_SECONDS, check=False
    )
    if result.returncode:
        raise UnreadableImageError("its compressed pixels are damaged or truncated. Copy or export the file again.")
    return np.asarray(np.load(BytesIO(result.stdout), allow_pickle=False))


def _check_rle(frame: bytes, rows: int, columns: int, samples: int) -> None:
    """Measure what each segment expands to (PS3.5 G.3), which a decoder would only learn by filling memory."""
    count, *offsets = struct.unpack_from("<16L", frame)
    ends = [*offsets[1:count], len(frame)]
    if count not in (samples, 2 * samples):
        raise UnreadableImageError("its RLE header is damaged. Copy or export the file again.")
    for start, end in zip(offsets[:count], ends, strict=True):
        size, at, stop = 0, start, min(end, len(frame))
        while at < stop and size <= 2 * rows * columns:
            code = frame[at]
            at += 2 if code > 128 else code + 2 if code < 128 else 1
            size += 257 - code if code > 128 else code + 1 if code < 128 else 0
        if not rows * columns <= size <= 2 * rows * columns:
            raise UnreadableImageError("its RLE data are truncated or damaged. Copy or export the file again.")


def _check_codestream(frame: bytes, rows: int, columns: int, samples: int) -> None:
    # A codestream has a size of its own, and the decoders believe that one, not the DICOM header.
    found = _codestream_shape(frame)
    if found != (rows, columns, samples):
        raise UnreadableImageError(
            f"its compressed data say rows, columns, samples {found}, its header {(rows, columns, samples)}. "
            "The file is damaged; export it again."
        )


def _codestream_shape(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) of a JPEG, JPEG-LS (SOF marker) or JPEG 2000 (SIZ marker) codestream."""
    size = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if size >= 0:
        right, bottom, left, top = struct.unpack_from(">4L", frame, size + 8)
        return bottom - top, right - left, struct.unpack_from(">H", frame, size + 40)[0]
    at = 2
    while frame[at : at + 1] == b"\xff":
        marker, length = struct.unpack_from(">BH", frame, at + 1)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width, components = struct.unpack_from(">HHB", frame, at + 5)
            return height, width, components
        at += 2 + length
    return None
