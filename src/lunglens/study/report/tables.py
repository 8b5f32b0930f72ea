"""The tables of a study folder that its pages are made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lunglens.errors import DataError
from lunglens.study.folder import AGAIN, MEASURED, load_study, read_steps

_NUMBERS = ["age_years", "original_width_px", "original_height_px", *MEASURED[:-1]]  # the last is a hash


@dataclass(frozen=True, eq=False)
class StudyTables:
    """What a study folder says of its films.

    about: `study.json`. images: `manifest.csv`, empty cells None (texts) or NaN (numbers). counts: the steps of
    `counts.json`. diagnoses: source, diagnosis, modality, view, n of all that was read. problems: file, row, column,
    message.
    """

    folder: Path
    about: dict[str, Any]
    images: pd.DataFrame
    counts: list[dict[str, Any]]
    diagnoses: pd.DataFrame
    problems: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        """The classes in their order; of two, the first is the positive one."""
        return list(self.about["classes"])


def read_tables(folder: Path) -> StudyTables:
    """Read a study's tables (its pictures are read where they are needed).

    Raises:
        DataError: the folder holds no finished study, one of another format, or a table is missing or damaged.
    """
    study = load_study(folder)
    if study.table.empty:
        raise DataError(f"{folder / 'manifest.csv'}: holds no film; {AGAIN}")
    images = _unknown_as_none(study.table)
    images["group_id"] = images["group_id"].map(lambda name: name or None)
    for name in _NUMBERS:
        try:
            images[name] = pd.to_numeric(images[name]).astype(float)
        except ValueError as error:
            raise DataError(f"{folder / 'manifest.csv'}: column {name}: {error}; {AGAIN}") from error
    diagnoses = _diagnoses(folder)
    problems = _table(folder / "problems.csv", ["file", "row", "column", "message"])
    counts = [step.model_dump() for step in read_steps(folder)]
    return StudyTables(
        folder, study.record.model_dump(mode="json"), images, counts, diagnoses.astype({"n": int}), problems
    )


def _diagnoses(folder: Path) -> pd.DataFrame:
    if (folder / "findings.csv").exists():  # format 1
        old = _table(folder / "findings.csv", ["source", "finding", "modality", "view", "n"])
        return old.rename(columns={"finding": "diagnosis"})
    return _table(folder / "diagnoses.csv", ["source", "diagnosis", "modality", "view", "n"])


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        # A diagnosis may be called "None" or "NA" by its publisher; only an empty cell is unknown.
        table = pd.read_csv(path, dtype=object, keep_default_na=False, na_values=[""], encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {AGAIN}") from error
    if missing := [name for name in columns if name not in table]:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}; {AGAIN}")
    return _unknown_as_none(table)


def _unknown_as_none(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(object).where(table.notna(), None)
