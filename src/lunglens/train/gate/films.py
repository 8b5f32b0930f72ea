"""The films that the gate and the orientation learn from and are measured on."""

from pathlib import Path

import numpy as np
import pandas as pd

from lunglens.film.reading.facts import UNDER_AGE
from lunglens.study.manifest import manifest
from lunglens.study.sources import read_sources

CHILD_YEARS = 15  # from here on a film looks like an adult's: neither is taught


def gate_films(data: Path, per_source: int | None) -> pd.DataFrame:
    """Manifest rows with `kind`: frontal adult "film" (at most so many a source), "lateral", "CT" and "child"."""
    table = manifest(read_sources(data))
    young = (table["exclude"] == UNDER_AGE) & (table["age_years"].isna() | (table["age_years"] < CHILD_YEARS))
    kinds = {"CT": table["modality"] == "CT", "lateral": table["view"] == "L", "child": young}
    kinds["film"] = table["exclude"].isna()
    table["kind"] = np.select(list(kinds.values()), list(kinds), "")
    table = table[table["kind"] != ""]
    if per_source is None:
        return table.reset_index(drop=True)
    films = _draw(table[table["kind"] == "film"], per_source)
    return pd.concat([films, table[table["kind"] != "film"]]).sort_values("path", ignore_index=True)


def frontal_films(data: Path, per_source: int) -> pd.DataFrame:
    """At most so many frontal adult films of each source, drawn by a seed."""
    table = manifest(read_sources(data))
    return _draw(table[table["exclude"].isna()], per_source).sort_values("path", ignore_index=True)


def _draw(films: pd.DataFrame, per_source: int) -> pd.DataFrame:
    return films.groupby("source").sample(frac=1, random_state=0).groupby("source").head(per_source)
