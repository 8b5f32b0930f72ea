"""Unpacking an archive as if it were hostile: plain files and folders only, inside the folder, within bounds."""

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lunglens.errors import DataError
from lunglens.study.sources.retry import DamagedError, Meter, need_room

_MOST_ENTRIES = 500_000
_MOST_GROWTH = 200  # unpacked to packed; films grow 1 to 3 times, empty masks some 100 times, a bomb 1000 times
_HARMLESS_BYTES = 16_000_000  # below this no growth is a bomb
_JUNK = "__MACOSX"
_DRIVE = re.compile(r"[A-Za-z]:")
_CHUNK_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, meter: Meter) -> None:
    """Unpack a zip or tar file into `folder`, over what an earlier, killed attempt left there.

    Raises:
        DamagedError: the archive is broken or cut short.
        DataError: it holds links, devices or paths outside `folder`, is encrypted, grows beyond all measure, or there
            is no room for its content.
        OSError: the disk is full or cannot be written.
    """
    meter.start(f"unpacking {archive.name}")
    try:
        if archive.name.lower().endswith(".zip"):
            _unpack_zip(archive, folder, meter)
        else:
            _unpack_tar(archive, folder, meter)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DamagedError(f"{archive}: damaged or cut short: {error}") from error
    except RuntimeError as error:  # as zipfile says "encrypted" and "unknown compression"
        raise DataError(f"{archive}: cannot be unpacked: {error}") from error


class _Bounds:
    """Counts what comes out of an archive, and stops before it is too much."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self._archive, self._folder = archive, folder
        self._most_bytes = max(_HARMLESS_BYTES, _MOST_GROWTH * archive.stat().st_size)
        self._entries = self._bytes = 0

    def admit(self, name: str, size: int, plain: bool) -> bool:
        """Whether to unpack the entry (not what macOS adds).

        Raises:
            DataError: it must not, or cannot, be unpacked.
        """
        self._entries += 1
        self._bytes += size
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
            raise DataError(f"{self._archive}: {name!r} would be written outside the folder; do not use this archive")
        if not plain:
            raise DataError(f"{self._archive}: {name!r} is a link or a device, no data; do not use this archive")
        if self._entries > _MOST_ENTRIES or self._bytes > self._most_bytes:
            raise DataError(f"{self._archive}: unpacks to more than films can; do not use this archive")
        need_room(self._folder, size, f"unpacking {self._archive.name}")
        return path.parts[:1] != (_JUNK,)


def _unpack_zip(archive: Path, folder: Path, meter: Meter) -> None:
    bounds = _Bounds(archive, folder)
    with zipfile.ZipFile(archive) as pack:
        entries = pack.infolist()
        total = sum(entry.file_size for entry in entries)
        meter.start(f"unpacking {archive.name}", total)
        wanted = [entry for entry in entries if bounds.admit(entry.filename, entry.file_size, _is_plain(entry))]
        need_room(folder, total, f"unpacking {archive.name}")
        for entry in wanted:
            pack.extract(entry, folder)
            meter.advance(entry.file_size)


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    mode = stat.S_IFMT(entry.external_attr >> 16)  # 0 where a zip was not made on Unix
    return mode in {0, stat.S_IFREG, stat.S_IFDIR}


def _unpack_tar(archive: Path, folder: Path, meter: Meter) -> None:
    bounds = _Bounds(archive, folder)
    with tarfile.open(archive) as pack:
        for member in pack:
            # Links are refused outright: no data set needs them, and the data filter's known holes lead through them.
            if bounds.admit(member.name, member.size, member.isreg() or member.isdir()):
                pack.extract(member, folder, filter="data")
                meter.advance(member.size)
        while pack.fileobj is not None and pack.fileobj.read(_CHUNK_BYTES):
            pass  # tar ends before gzip's checksum does, which only reading to the end compares
