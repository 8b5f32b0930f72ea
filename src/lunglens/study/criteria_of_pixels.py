"""The criteria for which films are read: "duplicates" (copies of each other), "lungs", and what another study knows."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lunglens.study.config.study import DuplicatesCriterion, LungsCriterion
from lunglens.study.criteria import Context, Verdict
from lunglens.study.duplicates import find_duplicates, tie_groups
from lunglens.study.folder import DESCRIPTORS, MEASURED, Study, below
from lunglens.study.prepare import prepare_films
from lunglens.study.sources.registry import Problem

_TIES = ["path", "source", "patient_id", "group_id", "case_url"]


def by_copies(table: pd.DataFrame, criterion: DuplicatesCriterion, context: Context) -> Verdict:
    """Finds duplicates among the films, ties them into groups, and drops copies if the criterion says so."""
    pairs = find_duplicates(table, context.folder / DESCRIPTORS, context.console)
    copies = pairs[pairs["kind"].isin(["exact", "near"])]
    words = f"{len(copies)} pairs of copies, films of a patient or case in one group"
    sides = {side: pairs[side].map(lambda name: below(name, context.data)) for side in ("first", "second")}
    return Verdict(
        _surplus(table, copies) if criterion.drop else pd.Series("", index=table.index, dtype=object),
        words + (", first copy kept" if criterion.drop else ""),
        ties=True,
        learned=tie_groups(table, pairs).to_frame("group_id"),
        tables={"duplicates.csv": pairs.assign(**sides)},
    )


def by_lungs(table: pd.DataFrame, criterion: LungsCriterion, context: Context) -> Verdict:
    """Drops films that cannot be read, and those with less lung than the criterion wants."""
    images = dict(zip(table["image_id"], table["path"].map(Path), strict=True))
    films = prepare_films(images, context.folder, context.lungs, context.lungs.parameters.postprocess)
    shown = track(films, "segmenting", total=len(images), console=context.console)
    measured = pd.DataFrame([asdict(film) for film in shown], index=table.index, columns=[*MEASURED, "error"])
    area, unreadable = measured["lung_px"].astype("Int64"), measured["error"].notna()
    small = (area < criterion.min_area_px).fillna(False).astype(bool)
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[small] = area[small].map(lambda pixels: f"lungs of {pixels} px")
    reasons[unreadable] = "cannot be read"
    return Verdict(
        reasons,
        f"readable, processed lung mask of at least {criterion.min_area_px:,} px at 512x512",
        ties=True,
        learned=measured[MEASURED],
        problems=tuple(
            Problem(image, None, None, error)
            for image, error in zip(table["image"], measured["error"], strict=True)
            if isinstance(error, str)
        ),
    )


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
    return Verdict(reasons, words, unknown)


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


def _films(study: Study) -> pd.DataFrame:
    """A study's films at 512x512: enough to recognise copies, and there when the data sets no longer are."""
    paths = [str(study.folder.resolve() / film) for film in study.table["film"]]
    films = study.table.assign(path=paths)
    # A film of an unknown patient ties its copies too.
    films["group_id"] = films["group_id"].where(films["group_id"] != "", "film-" + films["image_id"])
    return films
