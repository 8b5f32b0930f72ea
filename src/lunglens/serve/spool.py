"""The DICOM node's spool: films that have come and results that wait, on disk, so that a kill loses nothing.

    SPOOL/receiving/         what is just coming, or just going: emptied at each start
    SPOOL/incoming/<id>/     a film that nobody has analysed: `film`, and `film.json` (who has sent it, hashed numbers)
    SPOOL/outgoing/<id>/     the same folder once its results lie in it: *.dcm, each deleted when it is delivered
    SPOOL/uncommitted/<id>/  the same folder, for a receiver that is asked for storage commitment, once it has them all:
                             each result a *.stored until it is committed (`uncommitted.py`)
    SPOOL/quarantine/<id>/   films that cannot be analysed, results that cannot be sent, and what is none of ours

A film's folder goes from one place to the next by one renaming. An id is random and says nothing of the patient; the
folders are the owner's alone. Beside each folder in quarantine, `<id>.txt` says why.
"""

import hashlib
import logging
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lunglens.files import sha256_of, write_atomically, write_bytes
from lunglens.serve.facts import FACTS, Facts
from lunglens.serve.task import FILM

log = logging.getLogger("lunglens.node")
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_OLD_FILM = re.compile(r"([0-9a-f]{32})\.\d+\.dcm", re.ASCII)  # as version 0.1.0 has left it in incoming

_STORED = ".stored"  # the receiver has it, and has not committed to keep it
_STRAY = "it is none of the node's files"


class DamagedResultError(Exception):
    """A file in outgoing is not what was written there."""


class Spool:
    """The folders of one node; only one process may use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("receiving", "incoming", "outgoing", "uncommitted", "quarantine")
        self.receiving, self.incoming, self.outgoing, self.uncommitted, self.quarantine = map(folder.joinpath, names)
        self._left: set[bytes] = set()
        for path in (folder, *map(folder.joinpath, names)):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        self.sweep(0)

    def sweep(self, seconds: float) -> None:
        """Delete what has been coming or going for longer than this without a change."""
        with os.scandir(self.receiving) as entries:
            for entry in entries:
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= seconds:
                        _delete(Path(entry.path))

    def receive(self, film: Path, facts: Facts) -> str:
        """Keep a film that lies in `receiving`; when this returns it is on disk.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        name = uuid.uuid4().hex
        folder = self.receiving / name
        folder.mkdir()
        film.rename(folder / FILM)
        _sync(folder / FILM)
        facts.write(folder)
        _move(folder, self.incoming / name)
        return name

    def waiting(self) -> list[Path]:
        """Folders of the films to analyse, the oldest first; whatever else lies there is put into quarantine."""
        films = []
        for path in self._seen(self.incoming):
            if is_id(path.name) and _is_folder(path) and _is_file(path / FILM):
                films.append(path)
            elif (old := _OLD_FILM.fullmatch(path.name)) and _is_file(path):
                with suppress(OSError):
                    films.append(self._adopt(path, old[1]))
            else:
                self.put_aside(path, _STRAY)
        return _by_age(films)

    def count(self) -> int:
        """How many films wait, nearly: it looks at nothing closely."""
        return len(_entries(self.incoming))

    def free(self) -> int:
        """Free bytes of the disk."""
        return shutil.disk_usage(self.folder).free

    def begin(self, folder: Path) -> None:
        """Delete what a process that was killed has left beside the film."""
        for path in _entries(folder):
            if path.name not in (FILM, FACTS):
                _delete(path)

    def answer(self, folder: Path, facts: Facts, receivers: Sequence[str] = ("",)) -> None:
        """Put a film whose results lie in its folder into the outbox, once for each who is to get them."""
        receivers = [facts.receiver] if facts.again else receivers
        results = sorted(path for path in folder.glob("*.dcm") if path.name not in facts.delivered)
        for path in folder.glob("*.dcm"):
            if path.name in facts.delivered:
                path.unlink()
        facts.files = {path.name: sha256_of(path) for path in results}
        for receiver in receivers[1:]:
            self._copy(folder, replace(facts, receiver=receiver))
        facts.receiver = receivers[0]
        facts.write(folder)
        _move(folder, self.outgoing / folder.name)

    def _copy(self, folder: Path, facts: Facts) -> None:
        """For one more receiver; after a kill the same copy is made again, and not a second one."""
        name = hashlib.sha256(f"{folder.name} {facts.receiver}".encode()).hexdigest()[:32]
        copy = self.receiving / name
        if (self.outgoing / name).exists():
            return
        copy.mkdir(exist_ok=True)
        for path in (folder / FILM, *(folder / file for file in facts.files)):
            (copy / path.name).unlink(missing_ok=True)
            shutil.copyfile(path, copy / path.name)
            _sync(copy / path.name)
        facts.write(copy)
        _move(copy, self.outgoing / name)

    def undelivered(self, receivers: Sequence[str] | None = None) -> list[Path]:
        """Files to send to these (None: to all), the oldest film's first; what is none goes into quarantine."""
        files: list[Path] = []
        for folder in _by_age(self._seen(self.outgoing)):
            if not _is_folder(folder):
                self.put_aside(folder, _STRAY)
                continue
            facts = Facts.read(folder)
            if receivers is not None and facts.receiver not in receivers:
                continue
            listed, results = facts.files, []
            for path in sorted(self._seen(folder)):
                if path.suffix == ".dcm" and _is_file(path) and (not listed or path.name in listed):
                    results.append(path)
                elif path.name not in (FILM, FACTS) and path.suffix != _STORED:
                    self.put_aside(path, _STRAY)
            if not self.to_send(folder):  # killed between the last file and its folder
                with suppress(OSError):
                    self._all_sent(folder)
            files += results
        return files

    def count_undelivered(self) -> int:
        """How many files are to be sent, while others may be sending them."""
        return sum(len(self.to_send(folder)) for folder in _entries(self.outgoing))

    def without_receiver(self, receivers: Collection[str]) -> None:
        """Put into quarantine what is for none of these."""
        for folder in self._seen(self.outgoing):
            if _is_folder(folder) and (receiver := Facts.read(folder).receiver) not in ("", *receivers):
                self.put_aside(folder, f"{receiver}, for whom it is, gets no results any more")

    def content(self, result: Path) -> bytes:
        """The bytes of a result, as they were written.

        Raises:
            DamagedResultError: they have changed since.
        """
        content, sums = result.read_bytes(), Facts.read(result.parent).files
        if sums and sums.get(result.name) != hashlib.sha256(content).hexdigest():
            raise DamagedResultError
        return content

    def again(self, result: Path) -> bool:
        """Put a damaged result's film back to be analysed anew; False where there is no film, or it was tried."""
        folder, facts = result.parent, Facts.read(result.parent)
        if not _is_file(folder / FILM) or facts.again:
            return False
        facts.again = True
        there = {path.with_suffix(".dcm").name for path in (*self.to_send(folder), *self.kept(folder))}
        facts.delivered = [name for name in facts.files if name not in there]
        facts.write(folder)
        _move(folder, self.incoming / folder.name)  # `begin` deletes what else lies in it
        return True

    def delivered(self, file: Path, is_kept: bool = False) -> None:
        """Forget a file that the receiver has taken, or keep it until it is committed to; the last moves its film."""
        try:
            if is_kept:
                file.rename(file.with_suffix(_STORED))
            else:
                file.unlink()
            if not self.to_send(file.parent):
                self._all_sent(file.parent)
        except OSError as error:
            self._leave(file, f"a delivered result cannot be moved or deleted: {error.strerror}")

    def _all_sent(self, folder: Path) -> None:
        if self.kept(folder):
            _move(folder, self.uncommitted / folder.name)
        else:
            self.forget(folder)

    def stored(self) -> list[Path]:
        """Folders whose results the receiver has, the oldest film's first."""
        return _by_age(path for path in _entries(self.uncommitted) if is_id(path.name) and _is_folder(path))

    def to_send(self, folder: Path) -> list[Path]:
        """Results in a folder that the receiver has not taken."""
        return [path for path in _entries(folder) if path.suffix == ".dcm"]

    def kept(self, folder: Path) -> list[Path]:
        """Results in a folder that the receiver has taken and not committed to."""
        return sorted(path for path in _entries(folder) if path.suffix == _STORED and _is_file(path))

    def unkeep(self, file: Path) -> Path:
        """Have a stored result sent again, with its folder; its new name."""
        return file.rename(file.with_suffix(".dcm"))

    def send_again(self, folder: Path) -> None:
        """Put a folder back among those with something to send."""
        _move(folder, self.outgoing / folder.name)

    def forget(self, folder: Path) -> None:
        """Delete a film's folder; a kill leaves no half of it."""
        going = self.receiving / f"{folder.name}-{uuid.uuid4().hex}"
        folder.rename(going)
        _delete(going)

    def keep_film(self, folder: Path, reason: str) -> None:
        """Keep a film that cannot be analysed in quarantine, too; its folder stays where it is."""
        aside = self.quarantine / folder.name
        aside.mkdir(exist_ok=True)
        kept = aside / f"{FILM}.dcm"
        if not kept.exists():
            try:
                os.link(folder / FILM, kept)
            except OSError:  # not every file system has links
                write_atomically(kept, lambda path: shutil.copyfile(folder / FILM, path))
        self._say(aside, reason)

    def put_aside(self, path: Path, reason: str) -> None:
        """Put whatever it is into quarantine; what cannot even be renamed is left, and logged once."""
        aside = self.quarantine / (path.parent.name if is_id(path.parent.name) else uuid.uuid4().hex)
        try:
            aside.mkdir(exist_ok=True)
            path.rename(aside / path.name)
            self._say(aside, reason)
        except FileNotFoundError:
            return  # it has gone meanwhile
        except OSError as error:
            self._leave(path, f"something cannot be put into quarantine: {error.strerror}")
        else:
            log.warning("%s: put into quarantine: %s", aside.name, reason)  # its name may hold a patient's

    def _seen(self, folder: Path) -> list[Path]:
        return [path for path in _entries(folder) if os.fsencode(path) not in self._left]

    def _leave(self, path: Path, reason: str) -> None:
        """Look at it no more until the node is started again, and say so once."""
        if os.fsencode(path) not in self._left:
            self._left.add(os.fsencode(path))
            log.error("%s; it is left where it is", reason)

    def quarantined(self) -> int:
        """How many things lie in quarantine."""
        return sum(path.suffix != ".txt" for path in _entries(self.quarantine))

    def _say(self, aside: Path, reason: str) -> None:
        write_bytes(aside.with_name(f"{aside.name}.txt"), f"{reason}\n".encode())

    def _adopt(self, film: Path, name: str) -> Path:
        folder = self.receiving / name
        folder.mkdir(exist_ok=True)
        film.rename(folder / FILM)
        _move(folder, self.incoming / name)
        return self.incoming / name


def is_id(name: str) -> bool:
    """Whether a folder's name is one that we have given."""
    return _ID.fullmatch(name) is not None


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_file(path: Path) -> bool:
    """A regular one, and no link to one."""
    return stat.S_ISREG(_mode(path))


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _by_age(folders: Iterable[Path]) -> list[Path]:
    """Sorted by their films' time of change; what has gone meanwhile is left out."""
    aged = []
    for path in folders:
        with suppress(OSError):
            film = path / FILM
            aged.append(((film if _is_file(film) else path).lstat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(aged)]


def _delete(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _move(folder: Path, target: Path) -> None:
    """Rename, so that it outlives a loss of power."""
    _sync(folder)
    folder.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
