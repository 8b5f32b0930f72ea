"""Uploads that nobody sends by mistake: made by number, always the same for the same number."""

import io
import random
import zipfile
import zlib
from collections.abc import Callable

Upload = tuple[str, bytes]


def hostile(number: int, film: bytes) -> list[Upload]:
    """The files of hostile upload `number`; none of them may be analysed."""
    generator = random.Random(number)  # noqa: S311 - not for secrets
    kinds: tuple[Callable[[random.Random, bytes], list[Upload]], ...] = (
        truncated,
        flipped,
        zeros,
        wrong_type,
        traversal,
        zip_bomb,
        nested_zip,
        broken_zip,
        png_bomb,
        many_entries,
        odd_names,
        dicom_of_nothing,
    )
    return kinds[number % len(kinds)](generator, film)


def truncated(generator: random.Random, film: bytes) -> list[Upload]:
    return [("film.dcm", film[: generator.randrange(1, len(film) // 2)])]


def flipped(generator: random.Random, film: bytes) -> list[Upload]:
    """A header of rubbish behind the mark."""
    body = bytearray(film[:20_000])
    for _ in range(4000):
        body[generator.randrange(132, len(body))] = generator.randrange(256)
    return [("film.dcm", bytes(body))]


def zeros(generator: random.Random, _: bytes) -> list[Upload]:
    return [("zero.dcm", b"")] * generator.randrange(1, 4)


def wrong_type(generator: random.Random, _: bytes) -> list[Upload]:
    heads = (b"%PDF-1.7\n", b"<html>", b"MZ", b"\x7fELF", b"GIF89a", b"RIFF....WEBP", b"#!/bin/sh\n", b"{}")
    return [("film.dcm", generator.choice(heads) + generator.randbytes(generator.randrange(5000)))]


def traversal(generator: random.Random, _: bytes) -> list[Upload]:
    names = ("../../../../etc/passwd", "..\\..\\windows\\system32\\x.dcm", "/etc/shadow", "C:\\x", "a/../../b")
    return [("films.zip", zipped({name: generator.randbytes(50) for name in names})), (generator.choice(names), b"x")]


def zip_bomb(generator: random.Random, _: bytes) -> list[Upload]:
    return [("films.zip", zipped({"film.dcm": bytes(generator.randrange(30, 60) * 1024**2)}))]


def nested_zip(generator: random.Random, film: bytes) -> list[Upload]:
    inner = film
    for _ in range(generator.randrange(2, 30)):
        inner = zipped({"films.zip": inner}, zipfile.ZIP_STORED)
        inner = inner[:2_000_000]
    return [("films.zip", zipped({"films.zip": inner}))]


def broken_zip(generator: random.Random, film: bytes) -> list[Upload]:
    """Cut off, or with sizes and sums that lie."""
    whole = bytearray(zipped({"film.dcm": film[:50_000]}))
    if generator.random() < 0.5:
        return [("films.zip", bytes(whole[: generator.randrange(4, len(whole) - 1)]))]
    for _ in range(40):
        whole[generator.randrange(10, len(whole))] = generator.randrange(256)
    return [("films.zip", bytes(whole))]


def png_bomb(generator: random.Random, _: bytes) -> list[Upload]:
    """A picture of 60,000 x 60,000 px and more in a few kilobytes."""
    side = generator.randrange(60_000, 100_000).to_bytes(4, "big")
    chunks = [
        (b"IHDR", side + side + b"\x08\x00\x00\x00\x00"),
        (b"IDAT", zlib.compress(bytes(3_000_000))),
        (b"IEND", b""),
    ]
    body = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )
    return [("film.png", b"\x89PNG\r\n\x1a\n" + body)]


def many_entries(generator: random.Random, _: bytes) -> list[Upload]:
    return [("films.zip", zipped({f"{number}.dcm": b"" for number in range(generator.randrange(2000, 4000))}))]


def odd_names(generator: random.Random, _: bytes) -> list[Upload]:
    names = ("a" * 4000, "\u202egnp.exe", "film\r\nX-Header: 1", '"; rm -rf /', "<script>alert(1)</script>", "CON")
    return [(generator.choice(names), b"nothing")]


def dicom_of_nothing(generator: random.Random, _: bytes) -> list[Upload]:
    return [("film.dcm", bytes(128) + b"DICM" + generator.randbytes(generator.randrange(3000)))]


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
