"""DICOM: elements dropped, doubled, moved, with odd lengths and VRs; fragments, offset tables, syntaxes, headers."""

import random
import struct
from dataclasses import replace

from tests.fuzz import jpeg, raw
from tests.fuzz.dicom_bytes import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PIXELS,
    UNDEFINED,
    Element,
    encapsulated,
    fragments_of,
    parse,
    written,
)
from tests.fuzz.raw import EXTREMES, Mutation

_SYNTAXES = [EXPLICIT, IMPLICIT, BIG, DEFLATED, "1.2.840.10008.1.2.5", "", "1.2.3", "\0", "1.2.840.10008.1.2.4.100"]
_SYNTAXES += [f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81, 90, 91, 92, 201, 202)]
_VRS = (
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV XX".split()
)
# Rows, columns, bits, samples, representation, planes, frames.
_SHAPE = ((0x28, 0x10), (0x28, 0x11), (0x28, 0x100), (0x28, 0x101), (0x28, 0x102), (0x28, 2), (0x28, 0x103), (0x28, 6))
_PHOTOMETRIC = b"MONOCHROME1,MONOCHROME2,RGB,YBR_FULL,YBR_FULL_422,YBR_RCT,YBR_ICT,PALETTE COLOR,HSV,,\xff".split(b",")
_TEXTS = (
    b"",
    b" ",
    b"\0",
    b"0",
    b"-1",
    b"1e400",
    b"NaN",
    b"1\\2\\3",
    b"\\" * 50,
    b"\xff\xfe",
    b"9" * 300,
    b"\x1b[31m\n",
    b"A" * 70_000,
)


def drop(data: bytes, generator: random.Random) -> bytes:
    file = parse(data)
    at = generator.randrange(len(file.body) or 1)
    return written(replace(file, body=file.body[:at] + file.body[at + 1 :]))


def double(data: bytes, generator: random.Random) -> bytes:
    file = parse(data)
    if not file.body:
        return data
    body = list(file.body)
    body.insert(generator.randrange(len(body) + 1), generator.choice(body))
    return written(replace(file, body=body))


def reorder(data: bytes, generator: random.Random) -> bytes:
    file = parse(data)
    body = generator.sample(file.body, len(file.body))
    return written(replace(file, body=body))


def wrong_length(data: bytes, generator: random.Random) -> bytes:
    """0, odd, extreme, undefined, or a little off; of an element, often of the pixels."""
    file = parse(data)
    if not file.body:
        return data
    at = len(file.body) - 1 if generator.random() < 0.4 else generator.randrange(len(file.body))
    near = len(file.body[at].value) + generator.choice((-2, -1, 1, 2, 8))
    return written(file.set(at, length=generator.choice((*EXTREMES, UNDEFINED, max(near, 0)))))


def other_vr(data: bytes, generator: random.Random) -> bytes:
    file = parse(data)
    if not file.body:
        return data
    return written(file.set(generator.randrange(len(file.body)), vr=generator.choice(_VRS)))


def other_tag(data: bytes, generator: random.Random) -> bytes:
    file = parse(data)
    if not file.body:
        return data
    tags = (PIXELS, (0x7FE0, 8), (0x7FE0, 9), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD), (0xFFFF, 0xFFFF), (0, 0), (9, 0x10))
    return written(file.set(generator.randrange(len(file.body)), tag=generator.choice(tags)))


def value(data: bytes, generator: random.Random) -> bytes:
    """A value replaced by an extreme number or text of its kind, or by damaged bytes."""
    file = parse(data)
    if not file.body:
        return data
    at = generator.randrange(len(file.body))
    old = file.body[at]
    if generator.random() < 0.4:
        new = raw.apply(old.value, generator, raw.MUTATIONS)
    elif old.vr in (b"US", b"SS", b"UL", b"OW"):
        new = generator.choice(EXTREMES).to_bytes(4, "little")[: max(len(old.value) % 5, 2)]
    else:
        new = generator.choice(_TEXTS)
    return written(file.set(at, value=new + b" " * (len(new) % 2)))


def shape(data: bytes, generator: random.Random) -> bytes:
    """A header that does not fit the pixels."""
    file = parse(data)
    for _ in range(generator.randrange(1, 4)):
        at = file.place(*generator.choice(_SHAPE))
        if generator.random() < 0.2:
            at = file.place(0x28, 4)
            text = generator.choice(_PHOTOMETRIC)
            file = file if at is None else file.set(at, value=text + b" " * (len(text) % 2))
        elif at is not None:
            number = generator.choice((0, 1, 2, 3, 4, 7, 8, 10, 11, 12, 15, 16, 32, 64, 127, 129, 256, 9999, 65535))
            file = file.set(at, value=struct.pack(file.order + "H", number))
    return written(file)


def nested(data: bytes, generator: random.Random) -> bytes:
    """Sequences in sequences, to thousands; with and without their delimiters."""
    file = parse(data)
    depth, inner = generator.choice((1, 3, 50, 500, 3000)), b""
    order = file.order
    head = struct.pack(order + "HH", 0x28, 0x3010) + (b"" if file.syntax == IMPLICIT else b"SQ\0\0")
    undefined = struct.pack(order + "L", UNDEFINED)
    item = struct.pack(order + "HH", 0xFFFE, 0xE000) + undefined
    ends = b"".join(struct.pack(order + "HHL", 0xFFFE, end, 0) for end in (0xE00D, 0xE0DD))
    inner = (head + undefined + item) * depth + (ends * depth if generator.random() < 0.6 else b"")
    one = Element((0x28, 0x3000), b"SQ", inner[12 if file.syntax != IMPLICIT else 8 :], UNDEFINED)
    return written(replace(file, body=[*file.body[:-1], one, *file.body[-1:]]))


def fragments(data: bytes, generator: random.Random) -> bytes:
    """Fragments split, merged, moved, emptied, without their delimiter, with a wrong table of offsets."""
    file = parse(data)
    at = file.place(*PIXELS)
    items = fragments_of(file.body[at].value) if at is not None else []
    if at is None or len(items) < 2:
        return wrong_length(data, generator)
    table, parts = items[0], items[1:]
    kind = generator.randrange(7)
    if kind == 0:
        whole = b"".join(parts)
        cuts = sorted(generator.randrange(len(whole) + 1) for _ in range(generator.randrange(1, 40)))
        parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    elif kind == 1:
        parts = [b"".join(parts)]
    elif kind == 2:
        parts = generator.choice(([], [b""], [*parts, *parts], parts[::-1], [b"", *parts], parts[:-1]))
    elif kind == 3:
        table = b"".join(generator.choice(EXTREMES).to_bytes(4, "little") for _ in range(generator.randrange(1, 5)))
    elif kind == 4:
        table = generator.randbytes(generator.randrange(1, 9))
    delimiters = (b"", b"\xfe\xff\xdd\xe0", b"\xfe\xff\xdd\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0")
    end = generator.choice(delimiters) if kind == 5 else b"\xfe\xff\xdd\xe0\0\0\0\0"
    new = encapsulated([table, *parts], end=end)
    if kind == 6:  # an item's own length
        new = new[:4] + generator.choice(EXTREMES).to_bytes(4, "little") + new[8:]
    return written(file.set(at, value=new))


def bitstream(data: bytes, generator: random.Random) -> bytes:
    """The compressed picture itself damaged, by what is known of its format."""
    file = parse(data)
    at = file.place(*PIXELS)
    items = fragments_of(file.body[at].value) if at is not None else []
    if at is None or len(items) < 2:
        return value(data, generator)
    mutations = jpeg.MUTATIONS if items[1][:1] == b"\xff" else raw.MUTATIONS
    frame = raw.apply(b"".join(items[1:]), generator, mutations)
    return written(file.set(at, value=encapsulated([items[0], frame + b"\0" * (len(frame) % 2)])))


def rle(data: bytes, generator: random.Random) -> bytes:
    """The header of an RLE frame: the number of its segments and where they begin (PS3.5 G.5)."""
    file = parse(data)
    at = file.place(*PIXELS)
    items = fragments_of(file.body[at].value) if at is not None else []
    if at is None or len(items) < 2 or len(items[1]) < 64:
        return wrong_length(data, generator)
    place = 4 * generator.randrange(4)
    frame = items[1][:place] + generator.choice(EXTREMES).to_bytes(4, "little") + items[1][place + 4 :]
    return written(file.set(at, value=encapsulated([items[0], frame])))


def syntax(data: bytes, generator: random.Random) -> bytes:
    """Another transfer syntax in the header than the one that it is written in."""
    file = parse(data)
    named = generator.choice(_SYNTAXES).encode()
    meta = [one if one.tag != (2, 0x10) else replace(one, value=named + b"\0" * (len(named) % 2)) for one in file.meta]
    return written(replace(file, meta=meta))


def group_lengths(data: bytes, generator: random.Random) -> bytes:
    """Wrong group lengths, in the meta information and elsewhere."""
    file = parse(data)
    number = generator.choice(EXTREMES).to_bytes(4, "little")
    if generator.random() < 0.5 and file.meta:
        return written(replace(file, meta=[replace(file.meta[0], value=number), *file.meta[1:]]))
    extra = Element((generator.choice((8, 0x28, 0x7FE0)), 0), b"UL", number)
    at = generator.randrange(len(file.body) + 1)
    return written(replace(file, body=[*file.body[:at], extra, *file.body[at:]]))


def meta(data: bytes, generator: random.Random) -> bytes:
    """An element of the meta information dropped, damaged, or all of them gone; or another preamble."""
    file = parse(data)
    kind = generator.randrange(5)
    if kind == 0 or not file.meta:
        preambles = (b"", b"DICM", b"II*\0\x08\0\0\0".ljust(128, b"\0") + b"DICM", generator.randbytes(128) + b"DICM")
        return written(replace(file, preamble=generator.choice(preambles)))
    if kind == 1:
        return written(replace(file, meta=[]))
    at = generator.randrange(len(file.meta))
    if kind == 2:
        return written(replace(file, meta=file.meta[:at] + file.meta[at + 1 :]))
    old = file.meta[at]
    new = replace(old, length=generator.choice(EXTREMES)) if kind == 3 else replace(old, value=generator.choice(_TEXTS))
    return written(replace(file, meta=[*file.meta[:at], new, *file.meta[at + 1 :]]))


def trailing(data: bytes, generator: random.Random) -> bytes:
    """Something after the pixels: padding, rubbish, another element, the whole file again."""
    padding = b"\xfc\xff\xfc\xffOB\0\0" + (100).to_bytes(4, "little") + bytes(100)
    return data + generator.choice((padding, bytes(generator.randrange(2000)), generator.randbytes(50), data))


MUTATIONS: tuple[Mutation, ...] = (
    drop,
    double,
    reorder,
    wrong_length,
    wrong_length,
    other_vr,
    other_tag,
    value,
    value,
    shape,
    shape,
    nested,
    fragments,
    fragments,
    bitstream,
    bitstream,
    bitstream,
    rle,
    syntax,
    group_lengths,
    meta,
    trailing,
)
