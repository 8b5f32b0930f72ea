"""What every data set's reader is made of: what is known about the set, and how its rows are read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from lunglens.film.reading.facts import ADULT_YEARS, FRONTAL_VIEWS, UNDER_AGE
from lunglens.study.rows import Row


@dataclass(frozen=True)
class Problem:
    """Something in a published data set that could not be taken as it is; reading goes on."""

    file: str
    row: int | None  # as a spreadsheet counts: the header is row 1
    column: str | None
    message: str

    def __str__(self) -> str:
        place = [f"row {self.row}" if self.row else "", f"column {self.column!r}" if self.column else ""]
        return f"{self.file}: {', '.join(part for part in place if part)}{': ' if any(place) else ''}{self.message}"


Problems = list[Problem]
Reader = Callable[[Path, Problems], Iterator[Row]]


def unfit(view: str | None, modality: str | None, years: float | None) -> str | None:
    """Why a film is not one for the study: not an X-ray, not frontal, under 18; what is not known is no reason."""
    if modality is not None and modality != "X-ray":
        return f"modality {modality}"
    if view is not None and not view.upper().startswith(FRONTAL_VIEWS):
        return f"view {view}"
    return UNDER_AGE if years is not None and years < ADULT_YEARS else None


@dataclass(frozen=True)
class Download:
    """Where a publisher offers the data set for download.

    `urls` are git repositories or files; `bytes` is the room needed, as far as the publisher or a download tells;
    `sums` holds upstream's checksums where there are any: file name -> "md5:..." or "sha256:...".
    """

    kind: Literal["git", "http"]
    urls: tuple[str, ...]
    bytes: int
    sums: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """A public data set: how to read its published layout, and what to know before trusting a score on it.

    `download` is None where the publisher wants a registration first; `access` says in words how to get it; `hides` is
    what a score may measure instead of the disease; `before_covid`: all of its films were made before 2020, so none
    can be of COVID-19. All but the reader stands in `catalogue.toml`.
    """

    name: str
    title: str
    read: Reader
    licence: str
    citation: str
    url: str
    size: str
    access: str
    hides: str
    before_covid: bool = False
    download: Download | None = None
