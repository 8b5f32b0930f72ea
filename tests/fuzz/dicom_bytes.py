"""A DICOM file taken apart into its outermost elements, and put together again with whatever lengths one wants."""

import struct
import zlib
from dataclasses import dataclass, field, replace

UNDEFINED = 2**32 - 1
LONG = {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UC", b"UR", b"UT", b"SV", b"UV"}
IMPLICIT, EXPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))
PIXELS = (0x7FE0, 0x0010)


@dataclass(frozen=True)
class Element:
    """tag, value representation (ignored where implicit), value, and a length that may lie."""

    tag: tuple[int, int]
    vr: bytes
    value: bytes
    length: int | None = None


@dataclass(frozen=True)
class File:
    """preamble: with the mark, or b"". meta: elements of group 2. body: the others. syntax: as the body is written."""

    preamble: bytes
    meta: list[Element]
    body: list[Element]
    syntax: str = EXPLICIT
    tail: bytes = field(default=b"")

    @property
    def order(self) -> str:
        return ">" if self.syntax == BIG else "<"

    def place(self, group: int, number: int) -> int | None:
        """Where an element of the body is."""
        return next((at for at, one in enumerate(self.body) if one.tag == (group, number)), None)

    def set(self, at: int, **changes: object) -> "File":
        """The file with one element of the body changed."""
        return replace(self, body=[*self.body[:at], replace(self.body[at], **changes), *self.body[at + 1 :]])  # type: ignore[arg-type]


def parse(data: bytes) -> File:
    """The file as far as it can be made out."""
    start = 132 if data[128:132] == b"DICM" else 0
    meta, at = _elements(data, start, "<", explicit=True, group=2)
    named = next((one.value for one in meta if one.tag == (2, 0x10)), b"")
    syntax = named.decode("ascii", "replace").strip("\0 ") or EXPLICIT
    body = data[at:]
    if syntax == DEFLATED:
        try:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, 16 * 1024**2)
        except zlib.error:
            body = b""
    elements, end = _elements(body, 0, ">" if syntax == BIG else "<", explicit=syntax != IMPLICIT)
    return File(data[:start], meta, elements, syntax, body[end:])


def written(file: File) -> bytes:
    """The file's bytes."""
    body = b"".join(_bytes_of(one, file.order, explicit=file.syntax != IMPLICIT) for one in file.body) + file.tail
    if file.syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    return file.preamble + b"".join(_bytes_of(one, "<", explicit=True) for one in file.meta) + body


def fragments_of(value: bytes) -> list[bytes]:
    """The items of encapsulated pixel data; the first is the offset table (PS3.5 A.4)."""
    found, at = [], 0
    while value[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(value[at + 4 : at + 8], "little")
        found.append(value[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def encapsulated(items: list[bytes], *, end: bytes = b"\xfe\xff\xdd\xe0\0\0\0\0") -> bytes:
    """Items and the delimiter that ends them."""
    return b"".join(b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item for item in items) + end


def _elements(data: bytes, at: int, order: str, *, explicit: bool, group: int = 0) -> tuple[list[Element], int]:
    found: list[Element] = []
    while at + 8 <= len(data):
        tag = struct.unpack_from(order + "HH", data, at)
        if group and tag[0] != group:
            break
        vr, start = data[at + 4 : at + 6], at + 8
        if not explicit:
            vr, (length,) = b"UN", struct.unpack_from(order + "L", data, at + 4)
        elif vr in LONG:
            if at + 12 > len(data):
                break
            (length,), start = struct.unpack_from(order + "L", data, at + 8), at + 12
        else:
            (length,) = struct.unpack_from(order + "H", data, at + 6)
        end = len(data) if length == UNDEFINED else start + length
        found.append(Element(tag, vr, data[start:end], UNDEFINED if length == UNDEFINED else None))
        at = min(end, len(data))
    return found, at


def _bytes_of(one: Element, order: str, *, explicit: bool) -> bytes:
    length = len(one.value) if one.length is None else one.length
    head = struct.pack(order + "HH", *(number % 65536 for number in one.tag))
    if not explicit:
        return head + struct.pack(order + "L", length % 2**32) + one.value
    if one.vr in LONG:
        return head + one.vr + b"\0\0" + struct.pack(order + "L", length % 2**32) + one.value
    return head + one.vr[:2].ljust(2) + struct.pack(order + "H", length % 65536) + one.value
