"""The criterion "duplicates": copies and cases tie films into groups; copies can be left out."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lunglens.study.config.study import DuplicatesCriterion
from lunglens.study.criteria import Context, Verdict
from lunglens.study.duplicates import find_duplicates, tie_groups
from lunglens.study.folder import DESCRIPTORS, below

COPIES = ("exact", "near")


def by_copies(table: pd.DataFrame, criterion: DuplicatesCriterion, context: Context) -> Verdict:
    """Finds duplicates among the films, ties them into groups, and drops copies if the criterion says so."""
    pairs = find_duplicates(table, context.folder / DESCRIPTORS, context.console)
    copies = pairs[pairs["kind"].isin(COPIES)]
    words = f"{len(copies)} pairs of copies, films of a patient or case in one group"
    sides = {side: pairs[side].map(lambda name: below(name, context.data)) for side in ("first", "second")}
    return Verdict(
        _surplus(table, copies) if criterion.drop else pd.Series("", index=table.index, dtype=object),
        pd.Series(False, index=table.index),
        words + (", first copy kept" if criterion.drop else ""),
        ties=True,
        learned=tie_groups(table, pairs).to_frame("group_id"),
        tables={"duplicates.csv": pairs.assign(**sides)},
    )


def _surplus(table: pd.DataFrame, copies: pd.DataFrame) -> pd.Series:
    """Why each film goes: it repeats another one, or copies of it are in two classes, and who knows which is right."""
    place = pd.Series(np.arange(len(table)), index=table["path"])
    first, second = place[copies["first"]].to_numpy(), place[copies["second"]].to_numpy()
    links = coo_array((np.ones(len(copies)), (first, second)), shape=(len(table), len(table)))
    film_of = pd.Series(connected_components(links, directed=False)[1], index=table.index)
    classes = table["class"].where(table["class"] != "")
    conflict = classes.groupby(film_of).transform("nunique") > 1
    ordered = table.assign(film=film_of).sort_values("image")
    original = ordered.groupby("film")["image"].transform("first")
    reasons = pd.Series("", index=table.index, dtype=object)
    repeated = original != table["image"]
    reasons[repeated] = "copy of " + original[repeated]
    reasons[conflict] = "copies of it are in two classes"
    return reasons
