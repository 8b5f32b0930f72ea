"""Films that are tied: equal pixels, the same film in another form, the same patient, the same published case."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from lunglens.study.duplicates.describe import Description
from lunglens.study.duplicates.groups import case_pairs, patient_pairs
from lunglens.study.duplicates.near import near_pairs
from lunglens.study.duplicates.store import describe_all
from lunglens.study.sources.registry import Problems

KINDS = ("exact", "near", "patient", "case page")
COLUMNS = ["first", "second", "kind", "hash_distance", "correlation"]

Pair = tuple[str, str, str, float, float]


def find_duplicates(
    table: pd.DataFrame, cache: Path, console: Console, problems: Problems | None = None
) -> pd.DataFrame:
    """Pairs of films that belong on one side of every split, across all sources.

    Args:
        table: columns path, source, patient_id, case_url, as in `lunglens.study.manifest.Row`; a path once.
        cache: folder that keeps what was computed of each file; a killed run goes on from it.
        console: shows the progress.
        problems: files that cannot be compared are noted here; the others are.

    Returns:
        A row a pair, sorted: first, second (paths, first < second), kind (of KINDS; a pair can be of several),
        hash_distance (0 alike ... 2, of the fingerprints) and correlation (-1..1, after alignment), both NaN for
        patient and case page. Ties of more than two equal files, of patients and of cases are chained: each film with
        the next, not with all.

    Raises:
        DataError: the cache cannot be written.
    """
    noted: Problems = [] if problems is None else problems
    known = describe_all(sorted(table["path"]), cache, console, noted)
    exact, distinct = _exact_pairs(known)
    with console.status(f"comparing {len(distinct)} films"):
        pairs = exact + _near_pairs(known, distinct)
    pairs += [(*pair, "patient", np.nan, np.nan) for pair in patient_pairs(table)]
    pairs += [(*pair, "case page", np.nan, np.nan) for pair in case_pairs(table)]
    ties = pd.DataFrame(pairs, columns=COLUMNS)
    ties["kind"] = pd.Categorical(ties["kind"], KINDS)
    ties = ties.sort_values(["kind", "first", "second"], ignore_index=True)
    return ties.astype({"kind": str})


def _exact_pairs(known: Mapping[str, Description]) -> tuple[list[Pair], list[str]]:
    """Pairs with equal pixels, and one path for each different picture."""
    alike: dict[bytes, list[str]] = {}
    for path in sorted(known):
        alike.setdefault(known[path].pixel_hash, []).append(path)
    pairs = [(*pair, "exact", 0.0, 1.0) for paths in alike.values() for pair in pairwise(paths)]
    return pairs, sorted(paths[0] for paths in alike.values())


def _near_pairs(known: Mapping[str, Description], paths: list[str]) -> list[Pair]:
    if len(paths) < 2:
        return []
    found = near_pairs(np.stack([known[path].view for path in paths]))
    numbers = zip(found.pairs, np.round(found.distance, 4), np.round(found.correlation, 4), strict=True)
    return [(paths[i], paths[j], "near", float(distance), float(r)) for (i, j), distance, r in numbers]
