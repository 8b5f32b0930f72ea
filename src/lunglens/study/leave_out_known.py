"""Films that another study does not know, so that what was trained on that study can be tested on them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from lunglens.study.criteria import Verdict
from lunglens.study.duplicates import find_duplicates, tie_groups
from lunglens.study.folder import Study

_TIES = ["path", "source", "patient_id", "group_id", "case_url"]


def by_apart(table: pd.DataFrame, studies: Sequence[Study], cache: Path, console: Console) -> Verdict:
    """Drops films that are tied to a film of the studies: a copy, the same patient, the same published case.

    Of films whose patient is unknown only copies can be told; those that stay are counted as unknown.

    Args:
        table: the films in question, and others that tie them (columns path, source, patient_id, group_id, case_url).
        studies: what is to be kept away from.
        cache: keeps what was computed of each file.
        console: for progress.
    """
    theirs = pd.concat([_films(study) for study in studies], ignore_index=True)
    both = pd.concat([table[_TIES], theirs[_TIES]], ignore_index=True)
    groups = tie_groups(both, find_duplicates(both, cache, console))
    theirs_too = set(groups[len(table) :]) - {""}
    tied = groups[: len(table)].isin(theirs_too).to_numpy()
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[tied] = "tied to a film of another study"
    names = ", ".join(str(study.name) for study in studies)
    words = f"no copy, patient or case of the study {names} ({len(theirs)} films); of unknown patients, no copy"
    unknown = (table["group_id"].fillna("") == "") & (reasons == "")
    return Verdict(reasons, unknown, words)


def _films(study: Study) -> pd.DataFrame:
    """A study's films at 512x512: enough to recognise copies, and there when the data sets no longer are."""
    paths = [str(study.folder.resolve() / film) for film in study.table["film"]]
    films = study.table.assign(path=paths)
    # A film of an unknown patient ties its copies too.
    films["group_id"] = films["group_id"].where(films["group_id"] != "", "film-" + films["image_id"])
    return films
