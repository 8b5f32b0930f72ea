"""TIFF and BigTIFF: counts, types, tags and offsets of the entries, loops of directories, strips and tiles that lie."""

import random
import struct
from dataclasses import dataclass

from tests.fuzz import raw
from tests.fuzz.raw import EXTREMES, Mutation

# Sizes, bits, compression, colour, strips, samples, predictor, palette, tiles, sample format, JPEG tables, EXIF, ICC.
TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 317, 320, 322, 323, 324, 325)
TAGS += (330, 338, 339, 347, 513, 514, 530, 34665, 34675, 700)
_COMPRESSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34661, 34712, 34925, 50000, 50001, 65535)


@dataclass(frozen=True)
class Directory:
    """Where the first directory lies and how its numbers are written."""

    order: str
    big: bool
    at: int
    count: int

    @property
    def entry(self) -> int:
        return 20 if self.big else 12

    @property
    def first(self) -> int:
        return self.at + (8 if self.big else 2)

    @property
    def next(self) -> int:
        return self.first + self.count * self.entry


def directory_of(data: bytes) -> Directory | None:
    """The first directory, if there is one that can be made out."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 24:
        return None
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
    if at + 8 > len(data):
        return None
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    found = Directory(order, big, at, count)
    return found if 0 < count < 200 and found.next + 4 <= len(data) else None


def entry(data: bytes, generator: random.Random) -> bytes:
    """A field of one entry: tag, type, count, or its value or offset."""
    found = directory_of(data)
    if found is None:
        return raw.flip_bits(data, generator)
    at = found.first + found.entry * generator.randrange(found.count)
    half = 8 if found.big else 4
    field = generator.randrange(4)
    place, size = [(0, 2), (2, 2), (4, half), (4 + half, half)][field]
    numbers = (TAGS, range(20), EXTREMES, (*EXTREMES, found.at, len(data), len(data) - 1))[field]
    return _put(data, at + place, size, generator.choice(list(numbers)), found.order)


def value(data: bytes, generator: random.Random) -> bytes:
    """The value of a tag that decides how pixels are read."""
    found = directory_of(data)
    if found is None:
        return data
    half = 8 if found.big else 4
    for index in generator.sample(range(found.count), found.count):
        at = found.first + found.entry * index
        (tag,) = struct.unpack_from(found.order + "H", data, at)
        if tag in TAGS:
            numbers = _COMPRESSIONS if tag == 259 else (*range(10), 12, 14, 16, 24, 32, 64, 127, 129, 1000, *EXTREMES)
            size = generator.choice((2, 4, half))
            return _put(data, at + 4 + half, size, generator.choice(numbers), found.order)
    return data


def drop_entry(data: bytes, generator: random.Random) -> bytes:
    found = directory_of(data)
    if found is None:
        return data
    at = found.first + found.entry * generator.randrange(found.count)
    # The place is kept, so that offsets stay right: the entry becomes one of a private tag.
    return _put(data, at, 2, 65000, found.order)


def swap_entries(data: bytes, generator: random.Random) -> bytes:
    found = directory_of(data)
    if found is None:
        return data
    body = bytearray(data)
    first, second = (found.first + found.entry * generator.randrange(found.count) for _ in range(2))
    body[first : first + found.entry], body[second : second + found.entry] = (
        data[second : second + found.entry],
        data[first : first + found.entry],
    )
    return bytes(body)


def loop(data: bytes, generator: random.Random) -> bytes:
    """The next directory is this one, nowhere, in the header, or in the pixels."""
    found = directory_of(data)
    if found is None:
        return data
    target = generator.choice((found.at, 0, 1, 8, len(data) - 1, len(data) + 100, generator.randrange(len(data))))
    return _put(data, found.next, 8 if found.big else 4, target, found.order)


def count(data: bytes, generator: random.Random) -> bytes:
    """The number of entries."""
    found = directory_of(data)
    if found is None:
        return data
    return _put(data, found.at, 8 if found.big else 2, generator.choice(EXTREMES), found.order)


def start(data: bytes, generator: random.Random) -> bytes:
    """The header: byte order, version, offset of the first directory."""
    body = bytearray(data)
    kind = generator.randrange(3)
    if kind == 0:
        body[:2] = generator.choice((b"II", b"MM"))
    elif kind == 1:
        body[2:4] = generator.choice((b"*\0", b"\0*", b"+\0", b"\0+", b"U\0"))
    else:
        body[4:8] = generator.choice((*EXTREMES, len(data), len(data) - 2)).to_bytes(
            4, generator.choice(("little", "big"))
        )
    return bytes(body)


def strips(data: bytes, generator: random.Random) -> bytes:
    """The coded pixels damaged in place; the directory, wherever it lies, stays whole."""
    found = directory_of(data)
    if found is None:
        return data
    low, high = (8, found.at) if found.at > len(data) // 2 else (min(found.next + 4, len(data) - 1), len(data))
    body = bytearray(data)
    for _ in range(generator.randrange(1, 20)):
        if high > low:
            body[generator.randrange(low, high)] = generator.choice((0, 255, generator.randrange(256)))
    return bytes(body)


MUTATIONS: tuple[Mutation, ...] = (
    entry,
    entry,
    entry,
    value,
    value,
    value,
    drop_entry,
    swap_entries,
    loop,
    count,
    start,
    strips,
    strips,
)


def _put(data: bytes, at: int, size: int, number: int, order: str) -> bytes:
    whole = (number % 256**size).to_bytes(size, "little" if order == "<" else "big")
    return data[:at] + whole + data[at + size :]
