"""The criterion "duplicates": copies and cases tie films into groups; copies can be left out."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lunglens.study.config.study import DuplicatesCriterion
from lunglens.study.criteria import Verdict
from lunglens.study.duplicates import find_duplicates, tie_groups

COPIES = ("exact", "near")


def by_copies(
    table: pd.DataFrame, criterion: DuplicatesCriterion, cache: Path, console: Console
) -> tuple[Verdict, pd.Series, pd.DataFrame]:
    """Find duplicates among the films.

    Returns:
        which films go (none unless `criterion.drop`), every film's group, and the pairs found.
    """
    pairs = find_duplicates(table, cache, console)
    groups = tie_groups(table, pairs)
    copies = pairs[pairs["kind"].isin(COPIES)]
    reasons = _surplus(table, copies) if criterion.drop else pd.Series("", index=table.index, dtype=object)
    words = f"{len(copies)} pairs of copies, films of a patient or case in one group"
    words += ", first copy kept" if criterion.drop else ""
    return Verdict(reasons, pd.Series(False, index=table.index), words), groups, pairs


def _surplus(table: pd.DataFrame, copies: pd.DataFrame) -> pd.Series:
    """Why each film goes: it repeats another one, or copies of it are in two classes, and who knows which is right."""
    place = pd.Series(np.arange(len(table)), index=table["path"])
    first, second = place[copies["first"]].to_numpy(), place[copies["second"]].to_numpy()
    links = coo_array((np.ones(len(copies)), (first, second)), shape=(len(table), len(table)))
    film_of = pd.Series(connected_components(links, directed=False)[1], index=table.index)
    known = table["class"].where(table["class"] != "")
    conflict = known.groupby(film_of).transform("nunique") > 1
    ordered = table.assign(film=film_of).sort_values("image")
    original = ordered.groupby("film")["image"].transform("first")
    reasons = pd.Series("", index=table.index, dtype=object)
    repeated = original != table["image"]
    reasons[repeated] = "copy of " + original[repeated]
    reasons[conflict] = "copies of it are in two classes"
    return reasons
