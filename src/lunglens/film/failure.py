"""What becomes of a film whose reading or analysis has raised an error; errors that nobody foresaw are noted."""

import secrets
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lunglens.errors import LungLensError, NotAChestRadiographError
from lunglens.film.about import __version__
from lunglens.text import readable

ERRORS = ".lunglens-errors.log"


def failure_of(error: Exception) -> tuple[Literal["refused", "failed"], str] | None:
    """Status and reason; None where nobody foresaw the error: its text may hold what the file says of a patient."""
    if isinstance(error, LungLensError):
        return ("refused" if isinstance(error, NotAChestRadiographError) else "failed"), readable(error)
    if isinstance(error, MemoryError):
        return "failed", "not enough memory for this image"
    return None


def note_error(error: Exception, out: Path) -> str:
    """Append where an error has happened to the log in `out`; the reason that a reader gets, with a reference to it.

    What is written is the kind of each error and the lines of code that led to it, never its text, which may hold what
    the file says of the patient.

    Raises:
        OSError: the log cannot be written.
    """
    reference = secrets.token_hex(4)
    lines = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} LungLens {__version__} reference {reference}\n"]
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    for found in reversed(links):
        # Of an endless recursion the ends are enough.
        frames = traceback.extract_tb(found.__traceback__)
        shown = [*frames[:10], *frames[10:][-30:]]
        lines += [*traceback.format_list(shown), f"{type(found).__module__}.{type(found).__qualname__}\n"]
    with (out / ERRORS).open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.writelines([*lines, "\n"])
    return f"an unforeseen error ({type(error).__name__}), reference {reference} in {ERRORS}; please report it"
