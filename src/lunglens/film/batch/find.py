"""Which files are films: those that are named, and those below folders whose first bytes say so."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lunglens.errors import LungLensError
from lunglens.film.batch.journal import JOURNAL, unmarked_files
from lunglens.film.batch.names import same_name
from lunglens.film.reading.facts import FILM_ENDINGS
from lunglens.film.reading.kinds import HEAD_BYTES, no_film
from lunglens.text import readable

_OnPassedOver = Callable[[str, str], None]
# A file of these kinds is never a film, whatever it is called.
_NEVER = {"DICOMDIR", "DICOM without image", "result of LungLens"}


def find_films(paths: Iterable[Path], on_passed_over: _OnPassedOver = lambda _path, _why: None) -> list[Path]:
    """Files as named, and the films below folders, each once; a folder behind links is looked into once.

    Below a folder, a file is a film by its first bytes (`lunglens.film.reading.kinds`), or by a film's ending, so that
    a damaged film is told as failed. Hidden files and folders are not looked at; nor are results of LungLens, which are
    known by a mark in them, those of version 0.1.0 by the journal beside them.

    Args:
        paths: files and folders.
        on_passed_over: called with the path of each file that is no film, and why, in words to be counted by.

    Raises:
        LungLensError: a path is not there.
    """
    found: dict[str, Path] = {}
    folders: set[str] = set()
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists() raises where a name is too long
            raise LungLensError(f"{readable(path)}: not found; give files or folders")
        for film in _films_below(str(path), folders, on_passed_over) if path.is_dir() else [str(path)]:
            found.setdefault(os.path.realpath(film), Path(film))
    return list(found.values())


def _films_below(folder: str, folders: set[str], on_passed_over: _OnPassedOver) -> Iterator[str]:
    """Depth first, in the order of names. With a stack: folders may be nested deeper than Python's calls may be."""
    stack = [_entries(folder, folders, on_passed_over)]
    while stack:
        path, is_ours = next(stack[-1], ("", False))
        if not path:
            stack.pop()
            continue
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - a million of them: Path objects would double the time
            if stat.S_ISDIR(mode):
                stack.append(_entries(path, folders, on_passed_over))
                continue
            why = "result of LungLens" if is_ours else _why_not(path) if stat.S_ISREG(mode) else "no regular file"
        except OSError:
            why = "unreadable"
        if why is None:
            yield path
        else:
            on_passed_over(path, why)


def _entries(folder: str, folders: set[str], on_passed_over: _OnPassedOver) -> Iterator[tuple[str, bool]]:
    """Path of each entry that is not hidden, and whether it is an unmarked result; nothing of a folder seen before."""
    real = os.path.realpath(folder)
    if real in folders:
        return
    folders.add(real)
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        on_passed_over(folder, "unreadable")
        return
    ours = unmarked_files(Path(folder)) if JOURNAL in names else set()
    for name in names:
        if not name.startswith("."):
            yield os.path.join(folder, name), bool(ours) and same_name(name) in ours  # noqa: PTH118


def _why_not(path: str) -> str | None:
    """Why a file is no film; None where it is one."""
    is_called_so = os.path.splitext(path)[1].lower() in FILM_ENDINGS  # noqa: PTH122
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            why = no_film(stream.read(HEAD_BYTES), os.fstat(stream.fileno()).st_size)
    except OSError:
        return None if is_called_so else "unreadable"  # the reader says of a film why it cannot be read
    return None if is_called_so and why not in _NEVER else why
