"""What the server and the node ask of an analysing process, and what it answers."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from lunglens.film.drift import numbers_of
from lunglens.film.failure import failure_of
from lunglens.film.finding import Analyzed, Refused

log = logging.getLogger("lunglens.serve")

FILM = "film"  # the upload itself, in its folder; it is removed when its analysis is


Export = Literal["pictures", "dicom", "stored"]  # what is made of an answered film when it is asked for


class Task(NamedTuple):
    """What to do with a film in its folder.

    "analyse" and exports: for the server. "results": all DICOM results of a film, for the node; "tell": a report that
    says that it has none, and the `reason`.
    """

    kind: Literal["analyse", "pictures", "dicom", "stored", "results", "tell"]
    folder: Path
    reason: str = ""


class Answer(NamedTuple):
    """What became of a task.

    status: "analyzed", "refused", "failed" or (of exports and tell) "done"; "again": it is not the film's
    fault. reason: why it is not the first. ended: what kept the process from answering, "death", "time" or "start".
    study: of kind results, the hashed number of the film's study. numbers: what drift is told from.
    """

    status: str
    reason: str | None = None
    ended: Literal["", "death", "time", "start"] = ""
    study: str = ""
    numbers: Mapping[str, float] | None = None

    @classmethod
    def of(cls, finding: Analyzed | Refused) -> "Answer":
        """Of a film that could be read."""
        reason = finding.reason if isinstance(finding, Refused) else None
        return cls(finding.status, reason, numbers=numbers_of(finding.record()))


def failure(error: Exception) -> Answer:
    """What is answered of a film whose analysis has raised this."""
    foreseen = failure_of(error)
    if foreseen is None:
        log.error("an analysis has failed: %s", type(error).__name__)
        return Answer("failed", "it could not be analysed: the program has met what it does not know")
    status, reason = foreseen
    return Answer(status, reason.removeprefix(f"{FILM}: "))
