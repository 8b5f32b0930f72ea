r"""What a file is, by its first bytes: the one table for the command line, the page, the API and the reader.

Names say nothing: DICOM files are called by UIDs, `.001`, `.acr` or nothing at all, and pictures by another's ending.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from lunglens.film.reading.facts import ZIP_SIGNATURES

HEAD_BYTES = 1024  # what the functions below need of a file

RasterFormat = Literal["PNG", "JPEG", "TIFF"]

_RASTER: dict[bytes, RasterFormat] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",  # BigTIFF
    b"MM\x00+": "TIFF",
}
# Where in the file, what stands there, and what such a file is.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    *((0, signature, "archive") for signature in ZIP_SIGNATURES),
    (0, b"\x1f\x8b", "archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "archive"),
    (0, b"Rar!\x1a\x07", "archive"),
    (257, b"ustar", "archive"),
    (0, b"%PDF-", "PDF"),
    (8, b"WEBPVP8", "WebP (not read)"),
    (0, b"GIF8", "GIF (not read)"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000 without DICOM (not read)"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000 without DICOM (not read)"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL (not read)"),
    (4, b"ftyphei", "HEIF (not read)"),
    (4, b"ftypmif1", "HEIF (not read)"),
    (4, b"ftypavif", "HEIF (not read)"),
)
_OUR_PNG = b"tEXtSoftware\x00LungLens"  # as `lunglens.film.batch.write` marks its pictures
_OUR_MANUFACTURER = "LungLens"
_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage (PS3.4 I.4)
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes that hold no picture (PS3.4 B.5): waveforms, presentation states, segmentations, reports, documents.
_NO_PICTURE = tuple(_STORAGE + family for family in ("9.", "11.", "66.", "67", "88.", "104."))
_SOP_CLASSES, _MANUFACTURER = (0x00020002, 0x00080016), 0x00080070

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # 32-bit lengths (PS3.5 7.1.2)
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED = 0xFFFFFFFF
_JSRT_BYTES = 2 * 2048 * 2048


def raster_format(head: bytes) -> RasterFormat | None:
    """PNG, JPEG or TIFF by the first bytes; None for anything else."""
    return next((kind for signature, kind in _RASTER.items() if head.startswith(signature)), None)


def looks_like_dicom(head: bytes) -> bool:
    """Whether the bytes begin as DICOM: the mark of PS3.10 7.1, or two bare elements, the first of group 0002 or 0008.

    Bare elements may be explicit or implicit, little or big endian (PS3.5 7.1, 7.3). Other data may begin with the same
    two bytes, but not go on with a length and then an element of a higher tag.
    """
    if head[128:132] == b"DICM":
        return True
    tags = [tag for tag, _ in islice(_elements(head, 0), 2)]
    if len(tags) < 2:
        return False
    first, second = tags
    return first >> 16 in (0x0002, 0x0008) and first & 0xFFFF <= 0x0100 and first < second < 0x00300000


def no_film(head: bytes, size: int) -> str | None:
    """Why a file is no film, in words to be counted by; None where it may be one.

    Args:
        head: its first HEAD_BYTES bytes, all of them where it has fewer.
        size: of the file in bytes.
    """
    if not head:
        return "empty"
    if looks_like_dicom(head):
        return _dicom_without_film(head)
    if raster_format(head) is not None:
        return "result of LungLens" if _OUR_PNG in head else None
    if size == _JSRT_BYTES and _may_be_jsrt(head):
        return None
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "BMP (not read)"
    return next((words for at, signature, words in _OTHERS if head.startswith(signature, at)), "no image")


def _dicom_without_film(head: bytes) -> str | None:
    for tag, content in _elements(head, 132 if head[128:132] == b"DICM" else 0):
        value = content.decode("ascii", "replace").strip("\0 ")
        if tag in _SOP_CLASSES:
            if value == _DIRECTORY:
                return "DICOMDIR"
            if value.startswith(_NO_PICTURE):
                return "DICOM without image"
        elif tag == _MANUFACTURER and value == _OUR_MANUFACTURER:  # the panel as a Secondary Capture
            return "result of LungLens"
        elif tag > _MANUFACTURER:
            break
    return None


def _elements(head: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Tag and value of elements one after the other, as far as they are plausible and begin within `head`.

    Byte order and the kind of lengths are told element by element: file meta information and data set may differ.
    """
    while at + 12 <= len(head):
        order = "<" if head[at] and not head[at + 1] else ">"
        group, element = struct.unpack_from(f"{order}HH", head, at)
        kind, start = head[at + 4 : at + 6], at + 8
        if kind in _LONG:
            (length,), start = struct.unpack_from(f"{order}L", head, at + 8), at + 12
        elif kind in _SHORT:
            (length,) = struct.unpack_from(f"{order}H", head, at + 6)
        else:
            (length,) = struct.unpack_from(f"{order}L", head, at + 4)
        if length > 2**20 and length != _UNDEFINED:
            return
        yield group << 16 | element, head[start : start + length]
        at = start + length


def _may_be_jsrt(head: bytes) -> bool:
    """Big-endian values of 12 bits, not all 0: what the beginning of a JSRT film (reading/jsrt_img.py) shows."""
    return any(head) and all(high < 16 for high in head[::2])
