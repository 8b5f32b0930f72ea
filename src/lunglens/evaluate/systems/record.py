"""`sweep.json`: which runs a sweep has made, and what is known of the system that each is of."""

from pathlib import Path
from typing import Literal

from lunglens.files import Record, read_record

SWEEP = "sweep.json"
AGAIN = "call sweep again"
Shown = Literal["film", "lungs", "surroundings"]


class Printed(Record):
    """A printed result; shares of 1. setting, meaning: what exactly it is."""

    setting: str
    meaning: str
    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    auc: float | None = None
    f1: float | None = None
    kappa: float | None = None
    test_images: int | None = None


class Origin(Record):
    """Where a system comes from, as in the `[system]` table of its preset. number: row of the paper's table 1."""

    number: int
    title: str
    authors: str
    year: int
    citation: str
    sureness: str
    quoted: str
    misquote: str = ""


class SweptRun(Record):
    """One run.

    folder: below the sweep's. study, system, shown, seed: which combination; seed None: the configuration's own.
    label: what tables call it. began: the weights that it started from: none, imagenet, lite (ImageNet's of a smaller
    network in the original's place) or file.
    """

    folder: str
    study: str
    system: str
    label: str
    shown: Shown
    seed: int | None = None
    began: str
    origin: Origin | None = None
    printed: Printed | None = None


class Swept(Record):
    """The file; the first system is the one that the others are held against."""

    format: Literal[1] = 1
    runs: tuple[SweptRun, ...]


def read_swept(folder: Path) -> Swept:
    """`sweep.json` of a sweep's folder.

    Raises:
        DataError: it is missing or damaged.
    """
    return read_record(folder / SWEEP, Swept, AGAIN)
