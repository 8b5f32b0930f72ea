"""What lies in the Pixel Data of a compressed DICOM file: fragments, and a codestream's own word on its kind and size.

The codestream is believed, not the header: a decoder goes by it anyway. JPEG: ITU-T T.81 annex B; JPEG-LS: T.87
annex C; JPEG 2000: T.800 annex A.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lunglens.errors import UnreadableImageError

_ITEM = b"\xfe\xff\x00\xe0"
_SOC_SIZ, _SOT, _EOC = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"
_JPEG_LS, _LOSSLESS, _PROGRESSIVE = 0xF7, 0xC3, 0xC2
_FRAME_MARKERS = {0xC0, 0xC1, _PROGRESSIVE, _LOSSLESS, _JPEG_LS}
_OTHER_FRAME_MARKERS = {0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # hierarchical, arithmetic coding
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_START_WITHIN = 4096  # a JP2 or JFIF wrapper before the codestream itself is shorter


@dataclass(frozen=True)
class Codestream:
    """One compressed picture.

    kind: "JPEG", "JPEG lossless", "JPEG-LS" or "JPEG 2000". data: from its first marker on. rows, columns, samples,
    bits (a sample's precision), is_signed: as it says itself.
    """

    kind: str
    data: bytes
    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool = False


def is_encapsulated(pixel_data: bytes) -> bool:
    """Whether Pixel Data begin as a sequence of fragments (PS3.5 A.4)."""
    return pixel_data[:4] == _ITEM


def joined_fragments(pixel_data: bytes) -> bytes:
    """The one frame in a sequence of fragments, after its offset table; Pixel Data of another form as they are.

    What a damaged length or a missing delimiter leaves of the last fragment is kept: whether it is whole, the
    codestream tells.
    """
    if not is_encapsulated(pixel_data):
        return pixel_data
    parts, at = [], 0
    while pixel_data[at : at + 4] == _ITEM and at + 8 <= len(pixel_data):
        (length,) = struct.unpack_from("<L", pixel_data, at + 4)
        parts.append(pixel_data[at + 8 : at + 8 + length])
        at += 8 + length
    # The first item is the offset table; some writers forget it, and begin with the picture.
    has_table = len(parts) > 1 and parts[0][:1] != b"\xff"
    return b"".join(parts[1:] if has_table else parts)


def inspect(frame: bytes) -> Codestream | None:
    """Kind, size and precision of a frame, by its markers; None where it is none of the four kinds.

    Raises UnreadableImageError where its end is missing.
    """
    start = frame.find(_SOC_SIZ, 0, _START_WITHIN)
    if start >= 0:
        return _jpeg_2000(frame[start:])
    start = frame.find(b"\xff\xd8\xff", 0, _START_WITHIN)
    return _jpeg(frame[start:]) if start >= 0 else None


def _jpeg(data: bytes) -> Codestream | None:
    for marker, at in _segments(data):
        if marker in _OTHER_FRAME_MARKERS:
            return None
        if marker in _FRAME_MARKERS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 2)
            if data.rfind(_EOC) < at:
                raise _truncated()
            kind = {_LOSSLESS: "JPEG lossless", _JPEG_LS: "JPEG-LS"}.get(marker, "JPEG")
            return Codestream(kind, data, rows, columns, samples, bits)
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker codes of a JPEG header, and where each segment's length lies; fill bytes may stand before any marker."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            yield marker, at + 2
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _jpeg_2000(data: bytes) -> Codestream | None:
    if len(data) < 43:
        raise _truncated()
    right, bottom, left, top = struct.unpack_from(">4L", data, 8)
    (samples,) = struct.unpack_from(">H", data, 40)
    depth = data[42]
    whole = _whole_jpeg_2000(data)
    return Codestream("JPEG 2000", whole, bottom - top, right - left, samples, (depth & 0x7F) + 1, depth > 0x7F)


def _whole_jpeg_2000(data: bytes) -> bytes:
    """The main header, its tile-parts and the end marker; whatever else stands between them is left out.

    OpenJPEG gives up at a comment behind the last tile-part, and shows a blurred picture where tile-parts are missing.
    """
    at = _first_tile_part(data)
    while data[at : at + 2] == _SOT:
        (length,) = struct.unpack_from(">L", data, at + 6)
        if length == 0:  # up to the end of the codestream, which only its last tile-part may say (A.4.2)
            end = data.rfind(_EOC)
            if end < at:
                raise _truncated()
            return data[: end + 2]
        if length < 14 or at + length > len(data):
            raise _truncated()
        at += length
    return data[:at] + _EOC


def _first_tile_part(data: bytes) -> int:
    """Where the main header ends: behind segments that each say their length."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at : at + 2] != _SOT:
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    if data[at : at + 2] != _SOT:
        raise _truncated()
    return at


def _truncated() -> UnreadableImageError:
    return UnreadableImageError("its compressed pixels are truncated or damaged. Copy or export the file again.")
