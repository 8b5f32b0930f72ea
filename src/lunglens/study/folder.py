"""The study folder on disk: its tables, its fingerprint, and reading it back."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lunglens.errors import DataError
from lunglens.files import sha256_of

FORMAT = 1
MEASURED = ["width_px", "height_px", "bits", "border_px", "lung_px", "sha256"]
COLUMNS = ["image_id", "class", "source", "path", "patient_id", "group_id", "view", "modality", "age_years", "sex"]
COLUMNS += ["finding", "uncertain", "equipment", "case_url", "original_width_px", "original_height_px", "acquisition"]
COLUMNS += ["licence", "citation", *MEASURED, "film", "mask", "cut"]
TEXTS = ["image_id", "class", "source", "path", "patient_id", "group_id", "view", "finding", "case_url"]


@dataclass(frozen=True, eq=False)
class Study:
    """A curated study: its folder, what `study.json` says, and its manifest (a row a film, `COLUMNS`)."""

    folder: Path
    description: dict[str, Any]
    table: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the configuration; of two, the first is the positive one."""
        return list(self.description["classes"])


def load_study(folder: Path) -> Study:
    """Read a study folder.

    Raises:
        DataError: it is not there, was not finished, is damaged, or is of another format.
    """
    try:
        description = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        table = pd.read_csv(
            folder / "manifest.csv", dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""]
        )
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no finished study ({error.filename} is missing); make one with curate") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: the study is damaged ({error}); make it again with curate") from error
    if description.get("format") != FORMAT or list(table.columns) != COLUMNS:
        raise DataError(f"{folder}: a study of another format than {FORMAT}; make it again with curate")
    return Study(folder, description, table.fillna({"group_id": ""}))


def fingerprint(folder: Path, table: pd.DataFrame) -> str:
    """Hex SHA-256 over the manifest and every picture of a study: equal studies have equal fingerprints."""
    digest = hashlib.sha256((folder / "manifest.csv").read_bytes())
    for name in sorted([*table["film"], *table["mask"], *table["cut"]]):
        digest.update(f"{name} {sha256_of(folder / name)}\n".encode())
    return digest.hexdigest()
