"""Where a package's weights come from: the films, by name, size and label, and how many of each."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd


def today() -> str:
    """The date, UTC, ISO 8601."""
    return datetime.now(UTC).date().isoformat()


def films_fingerprint(table: pd.DataFrame) -> str:
    """SHA-256 over names and sizes of a manifest's files, their labels and groups.

    For trainings that read data sets and no study; a study has a fingerprint of its films' bytes.
    """
    digest = hashlib.sha256()
    for row in table.sort_values("path").itertuples():
        path = Path(str(row.path))
        digest.update(f"{row.source}/{path.name} {path.stat().st_size} {row.label} {row.group_id}\n".encode())
    return digest.hexdigest()


def provenance(table: pd.DataFrame, config: dict[str, Any]) -> dict[str, Any]:
    """Date, fingerprint, films of each source x label x part, and the configuration."""
    counts = (table["source"] + " " + table["label"] + " " + table["part"]).value_counts().sort_index()
    return {
        "date": today(),
        "data_fingerprint": films_fingerprint(table),
        "images": {str(key): int(count) for key, count in counts.items()},
        "config": config,
    }
