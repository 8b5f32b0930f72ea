"""PNG: chunks dropped, doubled, moved; headers, palettes and zlib streams that lie, with right or wrong checksums."""

import random
import zlib

from tests.fuzz import raw
from tests.fuzz.raw import EXTREMES, Mutation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]
BOMB_BYTES = 8 * 1024**2


def png_of(chunks: list[Chunk], *, start: bytes = SIGNATURE) -> bytes:
    """A PNG file of (type, data) chunks, with their right lengths and checksums."""
    return start + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )


def chunks_of(data: bytes) -> list[Chunk]:
    """The (type, data) chunks as far as they go."""
    found, at = [], len(SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def drop(data: bytes, generator: random.Random) -> bytes:
    chunks = chunks_of(data)
    if chunks:
        chunks.pop(generator.randrange(len(chunks)))
    return png_of(chunks)


def double(data: bytes, generator: random.Random) -> bytes:
    chunks = chunks_of(data)
    if chunks:
        chunks.insert(generator.randrange(len(chunks) + 1), generator.choice(chunks))
    return png_of(chunks)


def reorder(data: bytes, generator: random.Random) -> bytes:
    chunks = chunks_of(data)
    generator.shuffle(chunks)
    return png_of(chunks)


def split_pixels(data: bytes, generator: random.Random) -> bytes:
    """IDAT in many chunks, some empty, perhaps with another chunk between."""
    chunks: list[Chunk] = []
    for kind, body in chunks_of(data):
        if kind != b"IDAT":
            chunks.append((kind, body))
            continue
        cuts = sorted(generator.randrange(len(body) + 1) for _ in range(generator.randrange(1, 30)))
        chunks += [(b"IDAT", body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        if generator.random() < 0.3:
            chunks.insert(generator.randrange(len(chunks)), (b"tEXt", b"a\0b"))
    return png_of(chunks)


def wrong_length(data: bytes, generator: random.Random) -> bytes:
    at = len(SIGNATURE)
    for _ in range(generator.randrange(4)):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return data[:at] + generator.choice(EXTREMES).to_bytes(4, "big") + data[at + 4 :]


def wrong_checksum(data: bytes, generator: random.Random) -> bytes:
    at = data.find(generator.choice((b"IHDR", b"IDAT", b"IEND", b"PLTE")))
    length = int.from_bytes(data[at - 4 : at], "big") if at > 4 else 0
    return raw.flip_bits(data[: at + 4 + length], generator) + data[at + 4 + length :] if at > 4 else data


def header(data: bytes, generator: random.Random) -> bytes:
    """One field of IHDR extreme, the checksum right."""
    chunks = [(kind, bytearray(body)) for kind, body in chunks_of(data)]
    for kind, body in chunks:
        if kind == b"IHDR" and len(body) == 13:
            if generator.random() < 0.5:
                at = generator.choice((0, 4))
                sizes = (*EXTREMES, 129, 1000, 9999, 10_001, 31_000)
                body[at : at + 4] = generator.choice(sizes).to_bytes(4, "big")
            else:
                body[generator.randrange(8, 13)] = generator.choice((0, 1, 2, 3, 4, 6, 7, 8, 16, 32, 255))
    return png_of([(kind, bytes(body)) for kind, body in chunks])


def stream(data: bytes, generator: random.Random) -> bytes:
    """The compressed or the plain pixels damaged, the checksums right."""
    body = b"".join(chunk for kind, chunk in chunks_of(data) if kind == b"IDAT")
    if generator.random() < 0.5:
        return _with_pixels(data, raw.apply(body, generator, raw.MUTATIONS))
    try:
        return _with_pixels(data, zlib.compress(raw.apply(zlib.decompress(body), generator, raw.MUTATIONS)))
    except zlib.error:
        return data


def bomb(data: bytes, generator: random.Random) -> bytes:
    """Megabytes of pixels, text or profile in kilobytes."""
    packed = zlib.compress(bytes(generator.randrange(BOMB_BYTES)))
    kind = generator.choice((b"IDAT", b"zTXt", b"iCCP", b"iTXt"))
    if kind == b"IDAT":
        return _with_pixels(data, packed)
    head = b"Comment\0\1\0\0\0" if kind == b"iTXt" else b"Comment\0\0"
    return _between(data, kind, head + packed)


def extra(data: bytes, generator: random.Random) -> bytes:
    """A chunk with odd content: palettes, transparency, animation, times, texts, EXIF, unknown ones."""
    kinds = (b"PLTE", b"tRNS", b"tEXt", b"gAMA", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"pHYs", b"sBIT", b"cHRM", b"ABCD")
    size = generator.choice((0, 1, 2, 3, 4, 6, 7, 9, 26, 255, 768, 771, 100_000))
    return _between(data, generator.choice(kinds), generator.randbytes(size))


MUTATIONS: tuple[Mutation, ...] = (
    drop,
    double,
    reorder,
    split_pixels,
    wrong_length,
    wrong_checksum,
    header,
    header,
    stream,
    stream,
    bomb,
    extra,
)


def _with_pixels(data: bytes, body: bytes) -> bytes:
    chunks = [(kind, chunk) for kind, chunk in chunks_of(data) if kind != b"IDAT"]
    at = next((index for index, (kind, _) in enumerate(chunks) if kind == b"IEND"), len(chunks))
    return png_of([*chunks[:at], (b"IDAT", body), *chunks[at:]])


def _between(data: bytes, kind: bytes, body: bytes) -> bytes:
    chunks = chunks_of(data)
    at = 1 if len(chunks) > 1 else len(chunks)
    return png_of([*chunks[:at], (kind, body), *chunks[at:]])
