"""Uploaded files -> queued films in private folders: archives within limits, no name from outside is a path."""

import hashlib
import io
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import HTTPException

from lunglens.film.reading.facts import ZIP_SIGNATURES
from lunglens.film.reading.kinds import HEAD_BYTES, no_film
from lunglens.serve.analysis import Analysis
from lunglens.serve.service import QueueFullError, Service
from lunglens.serve.settings import ServeSettings
from lunglens.serve.task import FILM

_CHUNK = 256 * 1024
_ZIP, _EMPTY_ZIP = ZIP_SIGNATURES
_END_BYTES = 22 + 65535  # the end record and its longest comment
_MOST_LIST_BYTES = 4 * 1024**2
_MOST_RATIO = 200  # unpacked : packed bytes; radiographs pack 2 to 10 times
_LABEL_LENGTH = 80


@dataclass
class Received:
    """films: folder, label and SHA-256 of each. problems: label and reason of what is no film. bytes: taken so far."""

    films: list[tuple[Path, str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0

    def discard(self) -> None:
        """Delete the films again."""
        for folder, _, _ in self.films:
            shutil.rmtree(folder, ignore_errors=True)


class _TooLargeError(Exception):
    """A file is over its limit; the message says which."""


def take(stream: IO[bytes], name: str, service: Service, received: Received) -> None:
    """Keep one uploaded file, or the films in one uploaded ZIP archive."""
    label = label_of(name)
    head = stream.read(132)
    stream.seek(0)
    if head.startswith(ZIP_SIGNATURES):
        _unpack(stream, label, service, received)
    else:
        _keep(stream, label, service, received)


def label_of(name: str) -> str:
    """The last part of a file's name, printable and short: it is shown to whoever has sent it, and used for nothing."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(letter if letter.isprintable() else "?" for letter in last)
    return clean[-_LABEL_LENGTH:] or "film"


def queued(service: Service, received: Received, worklist: str = "") -> list[Analysis]:
    """Queue all films of a request, or delete them.

    Raises:
        HTTPException: 413 where they are more than may ever wait, 503 where they are more than may wait now.
    """
    if len(received.films) > service.settings.most_queued:
        received.discard()
        raise HTTPException(413, f"more than {service.settings.most_queued} films, which are never taken at once")
    try:
        return service.submit(received.films, worklist)
    except QueueFullError as error:
        received.discard()
        raise busy(error) from error


def busy(error: QueueFullError) -> HTTPException:
    """503, and when to try again."""
    return HTTPException(503, "too many films are waiting; try again later", {"retry-after": str(error.retry_s)})


def _keep(stream: IO[bytes], label: str, service: Service, received: Received) -> None:
    settings = service.settings
    if len(received.films) >= settings.most_films:
        received.problems.append((label, f"more than {settings.most_films} films in one request"))
        return
    folder = service.new_folder()
    try:
        digest = _write(stream, folder / FILM, settings, received)
    except (_TooLargeError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        too_large = isinstance(error, _TooLargeError)
        received.problems.append((label, str(error) if too_large else "damaged in the archive"))
        return
    except BaseException:  # a full disk: nothing of the film stays
        shutil.rmtree(folder, ignore_errors=True)
        raise
    reason = _not_an_image(folder / FILM)
    if reason:
        shutil.rmtree(folder, ignore_errors=True)
        received.problems.append((label, reason))
    else:
        received.films.append((folder, label, digest))


def _write(stream: IO[bytes], path: Path, settings: ServeSettings, received: Received) -> str:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as target:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            received.bytes += len(chunk)
            if size > settings.most_film_bytes:
                raise _TooLargeError(f"larger than {settings.most_film_bytes:,} bytes")
            if received.bytes > settings.most_request_bytes:
                raise _TooLargeError(f"the request holds more than {settings.most_request_bytes:,} bytes unpacked")
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def _not_an_image(path: Path) -> str | None:
    """Why a file cannot be a radiograph, by its first bytes; None where it may be one."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        return "an archive within an archive; unpack it first"
    kind = no_film(head, path.stat().st_size)
    if kind is None:
        return None
    if kind == "empty":
        return "the file is empty"
    return "it is no DICOM, PNG, JPEG, TIFF or ZIP file" + ("" if kind == "no image" else f": {kind}")


def _unpack(stream: IO[bytes], label: str, service: Service, received: Received) -> None:
    reason = _too_many_entries(stream, service.settings)
    if reason is not None:
        received.problems.append((label, reason))
        return
    try:
        with zipfile.ZipFile(stream) as archive:
            members = list(_members(archive))
            if not members:
                received.problems.append((label, "no file in the archive"))
            if len(members) > service.settings.most_films:
                received.problems.append((label, f"more than {service.settings.most_films} files in the archive"))
                return
            for member in members:
                _unpack_one(archive, member, service, received)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OverflowError, struct.error):
        received.problems.append((label, "it is no readable ZIP archive"))


def _too_many_entries(stream: IO[bytes], settings: ServeSettings) -> str | None:
    """Why an archive's list of contents is not read: `zipfile` would read it whole, however long it is."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _END_BYTES))
    tail = stream.read(_END_BYTES)
    stream.seek(0)
    at = tail.rfind(_EMPTY_ZIP)
    if at < 0 or len(tail) - at < 22:
        return "it is no readable ZIP archive"
    entries, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    if entries == 0xFFFF or length == 0xFFFFFFFF:
        return "a ZIP64 archive; pack fewer or smaller files"
    if entries > 4 * settings.most_films or length > _MOST_LIST_BYTES:
        return f"more than {settings.most_films} files in the archive"
    return None


def _members(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Files, without other programs' droppings."""
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if (
            not member.is_dir()
            and not parts[-1].startswith(".")
            and "__MACOSX" not in parts
            and parts[-1] != "DICOMDIR"
        ):
            yield member


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, service: Service, received: Received) -> None:
    label = label_of(member.filename)
    if member.flag_bits & 1:
        received.problems.append((label, "encrypted"))
    elif member.file_size > _MOST_RATIO * max(member.compress_size, 1):
        received.problems.append((label, f"unpacks to more than {_MOST_RATIO} times its size"))
    elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        received.problems.append((label, "packed in another way than deflate; pack it anew"))
    else:
        # What a member says of its size is only its word: `_write` counts what comes out.
        with archive.open(member) as content:
            _keep(content, label, service, received)
