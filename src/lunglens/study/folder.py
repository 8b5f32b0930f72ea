"""The study folder on disk: its records, its tables, its fingerprint, and reading it back.

Format 2 calls the published diagnosis `diagnosis`, where format 1 (version 0.1.0) said `finding`, and may have columns
of one's own after the fixed ones; a folder of format 1 is read as one of format 2.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field, ValidationError

from lunglens.errors import DataError
from lunglens.files import Record, read_json, read_record, sha256_of
from lunglens.film.parameters import Postprocess
from lunglens.study.config.study import StudyConfig, criterion_kind

FORMAT = 2
DESCRIPTORS = "descriptors"  # what was computed of each film to find copies; only while a study is made
MEASURED = ["width_px", "height_px", "bits", "border_px", "lung_px", "sha256"]
COLUMNS = ["image_id", "class", "source", "path", "patient_id", "group_id", "view", "modality", "age_years", "sex"]
COLUMNS += ["diagnosis", "uncertain", "equipment", "case_url", "original_width_px", "original_height_px", "acquisition"]
COLUMNS += ["licence", "citation", *MEASURED, "film", "mask", "cut"]
TEXTS = ["image_id", "class", "source", "path", "patient_id", "group_id", "view", "diagnosis", "finding", "case_url"]
AGAIN = "make it again with curate"


class StudyRecord(Record):
    """`study.json`.

    classes: of two, the first is the positive one. fingerprint: of the manifest and all pictures. without: sources of
    the configuration that were left out because they are not here. postprocess: by which the masks were made.
    apart_from: fingerprints of other studies whose films and patients this one has not.
    """

    format: int
    name: str
    classes: tuple[str, ...]
    fingerprint: str
    data_root: str = ""
    lungs_model: str = ""
    postprocess: Postprocess = Postprocess()
    without: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)


class Begun(Record):
    """`config.json`: everything that decides what becomes of a study; a run goes on only where it is the same.

    exclusions: image -> reason. lungs: name and checksums of the model.
    """

    format: int = 1
    config: StudyConfig
    exclusions: dict[str, str]
    lungs: tuple[str, dict[str, str]]
    without: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()

    def same(self, other: "Begun") -> bool:
        """Whether both describe one study, whatever version wrote them."""
        return self.model_copy(update={"format": other.format}) == other


class Step(Record):
    """An entry of `counts.json`: what a criterion was, and how many films were left, class -> source -> films."""

    step: str
    kind: str
    words: str
    kept: dict[str, dict[str, int]]
    dropped: int
    unknown_kept: int


@dataclass(frozen=True, eq=False)
class Study:
    """A curated study: its folder, what `study.json` says, and its manifest.

    The manifest has a row a film, the columns `COLUMNS`, `label` and `opacity` (studies of earlier versions have
    neither), then those carried from tables of one's own.
    """

    folder: Path
    record: StudyRecord
    table: pd.DataFrame

    @property
    def name(self) -> str:
        """As the configuration has it."""
        return self.record.name

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over the manifest and every picture."""
        return self.record.fingerprint

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the configuration; of two, the first is the positive one."""
        return list(self.record.classes)


def load_study(folder: Path) -> Study:
    """Read a study folder.

    Raises:
        DataError: it is not there, was not finished, is damaged, or is of another format.
    """
    if not (folder / "study.json").exists():
        raise DataError(f"{folder}: no finished study (study.json is missing); make one with curate")
    record = read_record(folder / "study.json", StudyRecord, AGAIN)
    try:
        table = pd.read_csv(folder / "manifest.csv", dtype=_types(folder), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: the study is damaged ({error}); {AGAIN}") from error
    if record.format == 1:
        table = table.rename(columns={"finding": "diagnosis"})
    if record.format not in {1, FORMAT} or list(table.columns[: len(COLUMNS)]) != COLUMNS:
        raise DataError(f"{folder}: a study of another format than {FORMAT}; {AGAIN}")
    return Study(folder, record, table.fillna({"group_id": ""}))


def read_steps(folder: Path) -> list[Step]:
    """A study's `counts.json`.

    Raises:
        DataError: it is missing or damaged.
    """
    path = folder / "counts.json"
    try:
        steps = [Step.model_validate(entry) for entry in read_json(path, AGAIN)]
    except (TypeError, ValidationError) as error:
        raise DataError(f"{path}: of another format ({error}); {AGAIN}") from error
    return [step.model_copy(update={"kind": criterion_kind(step.kind)}) for step in steps]


def fingerprint(folder: Path, table: pd.DataFrame) -> str:
    """Hex SHA-256 over the manifest and every picture of a study: equal studies have equal fingerprints."""
    digest = hashlib.sha256((folder / "manifest.csv").read_bytes())
    for name in sorted([*table["film"], *table["mask"], *table["cut"]]):
        digest.update(f"{name} {sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()


def below(name: str, data: Path) -> str:
    """A path relative to the data folder; one that lies elsewhere stays as it is."""
    path = Path(name)
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else name


def _types(folder: Path) -> dict[str, Any]:
    """Texts are read as texts; columns of one's own too, which may look like numbers and lose zeros."""
    with (folder / "manifest.csv").open(encoding="utf-8") as stream:
        own = pd.read_csv(stream, nrows=0).columns[len(COLUMNS) :]
    return dict.fromkeys([*TEXTS, *own], str)
