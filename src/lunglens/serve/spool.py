"""The DICOM node's spool: films that have come and results that wait, on disk, so that a kill loses nothing.

    SPOOL/incoming/<id>.<tries>.dcm   received, not yet analysed
    SPOOL/outgoing/<id>/*.dcm         results, not yet delivered
    SPOOL/rejected/<id>/*.dcm         results that the receiver will not take, and films that cannot be analysed

Everything appears by renaming. An id is random and says nothing of the patient; the folders are the owner's alone.
"""

import os
import shutil
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lunglens.files import write_bytes

MOST_TRIES = 2  # a film that ended the program this often is put aside


class Spool:
    """The folders of one node; only one process may use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming, self.outgoing, self.rejected = (folder / n for n in ("incoming", "outgoing", "rejected"))
        for path in (folder, self.incoming, self.outgoing, self.rejected):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        for partial in (*self.incoming.glob(".partial-*"), *self.outgoing.glob(".partial-*")):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()

    def receive(self, film: bytes) -> str:
        """Keep a film; when this returns it is on disk.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        name = uuid.uuid4().hex
        write_bytes(self.incoming / f"{name}.0.dcm", film)
        return name

    def waiting(self) -> list[Path]:
        """Films to analyse, the oldest first; what is still being received is not among them."""
        return _by_age(path for path in self.incoming.iterdir() if not path.name.startswith("."))

    def begin(self, film: Path) -> Path | None:
        """Note one more try; None where the film has ended the program too often and was put aside."""
        name, tries, _ = film.name.split(".")
        if int(tries) >= MOST_TRIES:
            self.put_aside(film)
            return None
        return film.rename(film.with_name(f"{name}.{int(tries) + 1}.dcm"))

    def answer(self, film: Path, results: dict[str, bytes]) -> None:
        """Put the results of a film into the outbox, whole or not at all, and forget the film."""
        name = film.name.split(".")[0]
        target, partial = self.outgoing / name, self.outgoing / f".partial-{name}"
        shutil.rmtree(partial, ignore_errors=True)  # of an earlier try that had no room
        if results and not target.exists():
            partial.mkdir()
            for file, content in results.items():
                write_bytes(partial / file, content)
            partial.rename(target)
            _sync(self.outgoing)
        film.unlink()

    def undelivered(self) -> list[Path]:
        """Files to send, the oldest answer first."""
        folders = _by_age(path for path in self.outgoing.iterdir() if not path.name.startswith("."))
        return [file for folder in folders for file in sorted(folder.glob("[!.]*.dcm"))]

    def put_aside(self, film: Path) -> None:
        """Keep a film that cannot be analysed where a person can look at it."""
        folder = self.rejected / film.name.split(".")[0]
        folder.mkdir(exist_ok=True)
        film.rename(folder / "film.dcm")

    def delivered(self, file: Path) -> None:
        """Forget a file that the receiver has taken."""
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()

    def reject(self, file: Path) -> None:
        """Put a file aside that the receiver will not take."""
        folder = self.rejected / file.parent.name
        folder.mkdir(exist_ok=True)
        file.rename(folder / file.name)
        if not any(file.parent.iterdir()):
            file.parent.rmdir()


def _by_age(paths: Iterable[Path]) -> list[Path]:
    """Sorted by time of change; what has gone meanwhile is left out."""
    aged = []
    for path in paths:
        with suppress(FileNotFoundError):
            aged.append((path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(aged)]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
