"""What a film's results are called: safe on every file system, never another film's or the user's own file."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from lunglens.film.dicom import DICOM_FILES
from lunglens.film.reading.facts import FILM_ENDINGS, JSRT_ENDING
from lunglens.text import readable, storable

_PICTURES = (".panel.png", ".lungs.png", ".region.png")
SUFFIXES = (".json", *_PICTURES, ".report.html", ".report.pdf", *(f".{name}" for name in DICOM_FILES))
_MOST_BYTES = 255  # of a file name on all usual file systems
_DROPPED = FILM_ENDINGS | {JSRT_ENDING}
_ROOM = 32  # for the longest of SUFFIXES, and to spare
# Devices, whatever follows their name (Windows), and what its file systems do not take.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Hidden files, options of commands, formulas of spreadsheets.
_ODD_BEGINNING = re.compile(r"[.\s\-=+@'\uff1d\uff0b\uff0d\uff20]")


def result_names(
    films: list[Path],
    claimed: Mapping[str, str] | None = None,
    there: Iterable[str] = (),
    most_bytes: int = _MOST_BYTES,
) -> list[str]:
    """A file name for each film: its stem, or stem and a short hash of the path where that is taken.

    Args:
        films: as given.
        claimed: name -> the film (`identity`) that an earlier run has given it to, "" where that is unknown.
        there: names of the files in the folder of the results; no name leads to one of them unless it is claimed.
        most_bytes: of a file name in that folder.
    """
    claimed = claimed or {}
    owner_of = {same_name(name): film for name, film in claimed.items()}
    name_of = {film: name for name, film in claimed.items() if film}
    taken = {same_name(name) for name in there}
    stems = [_safe(film, most_bytes - _ROOM) for film in films]
    times = Counter(same_name(stem) for stem in stems)

    def is_free(name: str, film: str) -> bool:
        owner = owner_of.get(same_name(name))
        if owner is None:
            return not any(same_name(name + suffix) in taken for suffix in SUFFIXES)
        return owner in ("", film)

    names = []
    for film, stem in zip(films, stems, strict=True):
        who, tries = identity(film), 0
        name = name_of.get(who, stem)
        while not is_free(name, who) or (tries == 0 and who not in name_of and times[same_name(stem)] > 1):
            name, tries = f"{stem}-{_short_hash(who + tries * '+')}", tries + 1
        owner_of[same_name(name)] = who
        names.append(name)
    return names


def identity(film: Path) -> str:
    """A film's absolute path, as text that a journal can hold."""
    return storable(os.path.abspath(film))  # noqa: PTH100 - Path.absolute() leaves ".." in


def key_of(film: Path, how: str) -> str:
    """A text that changes with the film's file, its size, its time of change, and how it is done."""
    try:
        stat = film.stat()
        state = f"{stat.st_size} {stat.st_mtime_ns}"
    except OSError:
        state = "unreadable"
    return _short_hash(f"{identity(film)} {state} {how}", 24)


def same_name(name: str) -> str:
    """What is alike of two names that some file system takes for one: case, composed and decomposed letters."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _short_hash(text: str, length: int = 8) -> str:
    """The first digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _safe(film: Path, most_bytes: int) -> str:
    """The film's name, without the ending of a picture, as a name that every file system takes."""
    # What follows the last dot of a UID, or of film.001, tells it from its neighbours.
    text = _FORBIDDEN.sub("_", readable(film.stem if film.suffix.lower() in _DROPPED else film.name))
    text = re.sub(r"[.\s]$", "_", text) or "_"
    if _ODD_BEGINNING.match(text) or _DEVICES.match(text):
        text = f"_{text}"
    if len(text.encode()) <= most_bytes:
        return text
    return f"{text.encode()[: most_bytes - 9].decode('utf-8', 'ignore')}-{_short_hash(identity(film))}"
