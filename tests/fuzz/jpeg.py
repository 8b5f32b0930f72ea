"""JPEG, JPEG-LS and JPEG 2000 bitstreams: segments dropped, doubled, moved and damaged; sizes, tables, counts."""

import random

from tests.fuzz import raw
from tests.fuzz.raw import EXTREMES, Mutation

Segment = tuple[int, bytes | None]  # marker, and its content without the length; None: it has none
_BARE = {0xD8, 0xD9, 0x01, *range(0xD0, 0xD8), 0x4F, 0x93}
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_SCANS = (0xDA, 0x90)  # after them come coded data: SOS, and JPEG 2000's first tile-part
_SIZ, _COD, _QCD = 0x51, 0x52, 0x5C


def segments_of(data: bytes) -> tuple[list[Segment], bytes]:
    """The segments before the coded data, and the rest, beginning with the marker of the scan or the tile-part."""
    found: list[Segment] = []
    at = 0
    while at + 2 <= len(data) and data[at] == 0xFF and data[at + 1] not in _SCANS:
        marker = data[at + 1]
        if marker in _BARE:
            found.append((marker, None))
            at += 2
        else:
            length = max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
            found.append((marker, data[at + 4 : at + 2 + length]))
            at += 2 + length
    return found, data[at:]


def joined(segments: list[Segment], rest: bytes) -> bytes:
    """The bitstream of these segments, with right lengths."""
    parts = []
    for marker, content in segments:
        body = b"" if content is None else ((len(content) + 2) % 65536).to_bytes(2, "big") + content
        parts.append(bytes((0xFF, marker)) + body)
    return b"".join(parts) + rest


def drop(data: bytes, generator: random.Random) -> bytes:
    segments, rest = segments_of(data)
    if segments:
        segments.pop(generator.randrange(len(segments)))
    return joined(segments, rest)


def double(data: bytes, generator: random.Random) -> bytes:
    segments, rest = segments_of(data)
    if segments:
        segments.insert(generator.randrange(len(segments) + 1), generator.choice(segments))
    return joined(segments, rest)


def reorder(data: bytes, generator: random.Random) -> bytes:
    segments, rest = segments_of(data)
    inner = segments[1:]
    generator.shuffle(inner)
    return joined(segments[:1] + inner, rest)


def marker_of_another_kind(data: bytes, generator: random.Random) -> bytes:
    """A segment under another marker: SOF0 as progressive, lossless, arithmetic, and so on."""
    segments, rest = segments_of(data)
    if segments:
        at = generator.randrange(len(segments))
        new = generator.choice((*sorted(_FRAMES), 0xC4, 0xCC, 0xDB, 0xDD, 0xDC, 0xE0, 0xE1, 0xEE, 0xFE, 0x64, 0x5F))
        segments[at] = (new, segments[at][1] or b"")
    return joined(segments, rest)


def damaged_segment(data: bytes, generator: random.Random) -> bytes:
    """Tables, sizes or components changed; the length is right."""
    segments, rest = segments_of(data)
    filled = [index for index, (_, content) in enumerate(segments) if content]
    if filled:
        at = generator.choice(filled)
        marker, content = segments[at]
        changes = (raw.flip_bits, raw.extreme_number, raw.cut_end, raw.insert, raw.cut_out)
        segments[at] = (marker, raw.apply(content or b"", generator, changes)[:65_000])
    return joined(segments, rest)


def wrong_length(data: bytes, generator: random.Random) -> bytes:
    segments, rest = segments_of(data)
    at = len(joined(segments[: generator.randrange(len(segments) + 1)], b"")) + 2
    return data[:at] + (generator.choice(EXTREMES) % 65536).to_bytes(2, "big") + data[at + 2 :] if rest else data


def frame_size(data: bytes, generator: random.Random) -> bytes:
    """Precision, lines, samples, or the number and the sampling of components in SOF; or the sizes in SIZ."""
    segments, rest = segments_of(data)
    for index, (marker, content) in enumerate(segments):
        if content is None or (marker not in _FRAMES and marker not in (_SIZ, _COD, _QCD)):
            continue
        body = bytearray(content)
        if marker == _SIZ:
            _number(body, 2 + 4 * generator.randrange(8), 4, generator)
        elif marker in _FRAMES and generator.random() < 0.6:
            _number(body, generator.choice((1, 3)), 2, generator)
        elif body:
            body[generator.randrange(len(body))] = generator.choice((0, 1, 2, 3, 4, 8, 12, 16, 17, 33, 0x44, 255))
        segments[index] = (marker, bytes(body))
        if generator.random() < 0.7:
            break
    return joined(segments, rest)


def inserted_segment(data: bytes, generator: random.Random) -> bytes:
    """Comments, application data, restart intervals, DNL, Adobe's colours, EXIF that is none."""
    segments, rest = segments_of(data)
    chosen: Segment = generator.choice(
        (
            (0xFE, generator.randbytes(generator.choice((0, 10, 65_000)))),
            (0x64, b"\0\1" + generator.randbytes(20)),
            (0xE1, b"Exif\0\0" + generator.choice((b"II*\0", b"MM\0*")) + generator.randbytes(60)),
            (0xE2, b"MPF\0" + generator.randbytes(80)),
            (0xEE, b"Adobe\0d\0\0\0\0" + bytes([generator.randrange(4)])),
            (0xDD, generator.choice(EXTREMES).to_bytes(4, "big")[2:]),
            (0xDC, b"\0\x80"),
            (0x01, None),
        )
    )
    segments.insert(generator.randrange(len(segments) + 1), chosen)
    return joined(segments, rest)


def fill_bytes(data: bytes, generator: random.Random) -> bytes:
    """Any number of FF before a marker (ITU-T T.81 B.1.1.2), or rubbish between segments."""
    segments, _ = segments_of(data)
    at = len(joined(segments[: generator.randrange(len(segments) + 1)], b""))
    return data[:at] + generator.choice((b"\xff", b"\xff" * 9, b"\0", b"\0\0\xff", b"\x0a")) + data[at:]


def coded_data(data: bytes, generator: random.Random) -> bytes:
    """The entropy-coded data or the tile-parts damaged, cut, or with markers within."""
    segments, rest = segments_of(data)
    if generator.random() < 0.4 and len(rest) > 20:
        marker = generator.choice((0xD9, 0xD8, 0xC0, 0xC4, 0xDA, 0x90, 0x93, *range(0xD0, 0xD8), 0x64, 0xFE))
        at = generator.randrange(2, len(rest))
        content = generator.choice((b"", b"\0\x04ab", b"\xff\xff"))
        return joined(segments, rest[:at] + bytes((0xFF, marker)) + content + rest[at:])
    return joined(segments, raw.apply(rest, generator, raw.MUTATIONS))


def tile_part(data: bytes, generator: random.Random) -> bytes:
    """A field of the scan's or of the first tile-part's header (index, length, part, count) extreme."""
    segments, rest = segments_of(data)
    body = bytearray(rest)
    if len(body) > 12:
        _number(body, generator.choice((2, 4, 6, 10, 11)), generator.choice((1, 2, 4)), generator)
    return joined(segments, bytes(body))


def end(data: bytes, generator: random.Random) -> bytes:
    """The end marker left out, doubled, after a comment, or followed by another picture."""
    stripped = data.rstrip(b"\0").removesuffix(b"\xff\xd9")
    tail = (b"", b"\xff\xd9\xff\xd9", b"\xff\x64\0\x06\0\1ab\xff\xd9", b"\xff\xd9" + data, b"\xff", b"\0\0\xff\xd9")
    return stripped + generator.choice(tail)


MUTATIONS: tuple[Mutation, ...] = (
    drop,
    double,
    reorder,
    marker_of_another_kind,
    damaged_segment,
    damaged_segment,
    wrong_length,
    frame_size,
    frame_size,
    inserted_segment,
    fill_bytes,
    coded_data,
    coded_data,
    tile_part,
    end,
)


def _number(body: bytearray, at: int, size: int, generator: random.Random) -> None:
    number = generator.choice((*EXTREMES, 129, 1000, 9999, 10_001)) % 256**size
    body[at : at + size] = number.to_bytes(size, "big")
