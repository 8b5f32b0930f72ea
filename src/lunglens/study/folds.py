"""Folds: who trains and who tests; stratified as in the paper (section 4.2), and no patient on both sides.

A study's `folds.csv` has a row an image: image_id, class, source, group_id, fold. `fold` is a number, "external"
(always tested on, never trained on) or "unused".
"""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from lunglens.errors import DataError
from lunglens.evaluate.predictions import EXTERNAL, UNUSED
from lunglens.files import Record, save_csv, write_record
from lunglens.study.folder import Study

FORMAT = 2
VALIDATION_SHARE = 0.1
COLUMNS = ["image_id", "class", "source", "group_id", "fold"]
MissingPatient = Literal["refuse", "leave-out", "one-film-one-patient"]


@dataclass(frozen=True)
class FoldSettings:
    """How to fold.

    by: "patient" draws `folds` stratified folds of whole groups, "source" holds out one source after the other.
    external: sources that are only tested on. missing_patient: what to do with films whose patient is unknown; version
    0.1.0 wrote its values with blanks.
    """

    by: Literal["patient", "source"] = "patient"
    folds: int = 10
    external: tuple[str, ...] = ()
    missing_patient: Annotated[MissingPatient, BeforeValidator(lambda words: str(words).replace(" ", "-"))] = "refuse"
    seed: int = 0


class _Leaks(Record):
    """What folds drawn by image, as is often done, would leak on the same films.

    patients: groups of two or more films. leaking: those of them that a split by image puts on both sides of some fold.
    tested_films_with_patient_in_training: films tested by a model that has seen their patient.
    """

    patients: int
    leaking: int
    films: int
    tested_films_with_patient_in_training: int


class FoldsRecord(Record):
    """`folds.json`; `study` is the study's fingerprint."""

    format: int = 1
    study: str
    settings: FoldSettings
    split_by_image: _Leaks


def make_folds(table: pd.DataFrame, settings: FoldSettings) -> pd.DataFrame:
    """Fold the films of a study.

    Args:
        table: a study's manifest (image_id, class, source, group_id).
        settings: how.

    Returns:
        a row an image: image_id, class, source, group_id, fold.

    Raises:
        DataError: patients are missing and nothing was said about them, a class has fewer groups than there are folds,
            or a source to hold out is not in the study.
    """
    films = _with_groups(table, settings.missing_patient)
    absent = set(settings.external) - set(films["source"])
    if absent:
        raise DataError(f"{', '.join(sorted(absent))}: not a source of this study; it has {_names(films['source'])}")
    films["fold"] = UNUSED
    external = films["source"].isin(settings.external)
    films.loc[external, "fold"] = EXTERNAL
    # A patient who is in an external source too is neither trained on nor part of a fold.
    tied = films["group_id"].isin(set(films.loc[external, "group_id"])) & ~external
    inside = films[~external & ~tied & (films["group_id"] != "")]
    number = _by_source(inside) if settings.by == "source" else _by_patient(inside, settings)
    films.loc[inside.index, "fold"] = number.astype(str)
    for fold in fold_names(films):
        lost = set(inside["class"]) - set(films.loc[training_rows(films, fold), "class"])
        if lost:
            raise DataError(
                f"when fold {fold} is held out, no film of class {', '.join(sorted(lost))} is left to train on"
            )
    return films[COLUMNS]


def fold_names(folds: pd.DataFrame) -> list[str]:
    """The numbered folds, in order."""
    return sorted(set(folds["fold"]) - {EXTERNAL, UNUSED}, key=int)


def training_rows(folds: pd.DataFrame, fold: str) -> pd.Series:
    """True for the films that are trained on when `fold` is tested: other folds, without the tested groups.

    Raises:
        DataError: nothing is left to train on, or a group would be on both sides.
    """
    tested = folds["fold"].isin([fold, EXTERNAL])
    rows = ~tested & (folds["fold"] != UNUSED) & ~folds["group_id"].isin(set(folds.loc[tested, "group_id"]))
    if not rows.any():
        raise DataError(f"fold {fold}: no film is left to train on")
    assert_apart(folds.loc[rows, "group_id"], folds.loc[tested, "group_id"])
    return rows


def parts_of(table: pd.DataFrame, fold: str, seed: int) -> pd.Series:
    """Each film's part when `fold` is tested: train, validation, test (the fold and external films) or unused.

    Validation is a tenth of the training patients of each class (paper, algorithms 1 and 2), at least one of each.
    """
    parts = pd.Series(UNUSED, index=table.index, dtype=object)
    parts[table["fold"].isin([fold, EXTERNAL])] = "test"
    rows = training_rows(table, fold)
    parts[rows] = "train"
    chosen: set[str] = set()
    for name, films in table[rows].groupby("class", sort=True):
        groups = np.array(sorted(set(films["group_id"]) - chosen), dtype=object)
        np.random.default_rng([seed, *str(name).encode()]).shuffle(groups)
        wanted = max(1, round(VALIDATION_SHARE * len(groups))) if len(groups) > 1 else 0
        chosen.update(groups[:wanted])
    parts[rows & table["group_id"].isin(chosen)] = "validation"
    return parts


def assert_apart(training: pd.Series, held_out: pd.Series) -> None:
    """The check before every training: no group on both sides, and every film has one.

    Raises:
        DataError: names a group that is on both sides, or says that groups are missing.
    """
    if (training == "").any() or (held_out == "").any() or training.isna().any() or held_out.isna().any():
        raise DataError("films without group_id (patient): they cannot be split by patient; add one or leave them out")
    both = sorted(set(training) & set(held_out))
    if both:
        raise DataError(f"group {both[0]} and {len(both) - 1} more are on both sides of the split")


def leaks_of_image_split(table: pd.DataFrame, folds: int, seed: int) -> _Leaks:
    """What folds drawn by image would leak on the same films."""
    known = table[table["group_id"] != ""]
    folds = min(folds, int(known["class"].value_counts().min()))
    number = pd.Series(-1, index=known.index)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, tested) in enumerate(splitter.split(known, known["class"])):
        number.iloc[tested] = fold
    sides = number.groupby(known["group_id"]).transform("nunique")
    size = known.groupby("group_id").size()
    return _Leaks(
        patients=int((size > 1).sum()),
        leaking=int(known.loc[sides > 1, "group_id"].nunique()),
        films=len(known),
        tested_films_with_patient_in_training=int((sides > 1).sum()),
    )


def _with_groups(table: pd.DataFrame, missing: str) -> pd.DataFrame:
    films = table[["image_id", "class", "source", "group_id"]].fillna({"group_id": ""}).reset_index(drop=True)
    unknown = films["group_id"] == ""
    if unknown.any() and missing == "refuse":
        where = ", ".join(f"{source}: {n}" for source, n in films.loc[unknown, "source"].value_counts().items())
        raise DataError(
            f"{int(unknown.sum())} films have no patient ({where}); folds would leak. Leave them out "
            "(--missing-patient leave-out) or, if you know it to be so, count each as a patient of its own "
            "(--missing-patient one-film-one-patient)"
        )
    if missing == "one-film-one-patient":
        films.loc[unknown, "group_id"] = "film-" + films.loc[unknown, "image_id"]
    return films


def _by_patient(table: pd.DataFrame, settings: FoldSettings) -> pd.Series:
    groups = table.groupby("class")["group_id"].nunique()
    if table.empty or groups.min() < settings.folds:
        least = f"{groups.idxmin()} has {groups.min()}" if len(groups) else "there is none"
        raise DataError(f"{settings.folds} folds need as many patients of each class; {least}: give fewer --folds")
    ordered = table.sort_values("image_id")
    number = pd.Series(-1, index=ordered.index)
    # Stratified by class and source, so that every fold has its share of each.
    strata = ordered["class"] + " " + ordered["source"]
    few = strata.groupby(strata).transform("size") < settings.folds
    strata = strata.where(~few, ordered["class"])
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for fold, (_, tested) in enumerate(splitter.split(ordered, strata, ordered["group_id"])):
        number.iloc[tested] = fold
    return number


def _by_source(table: pd.DataFrame) -> pd.Series:
    names = sorted(set(table["source"]))
    if len(names) < 2:
        raise DataError(f"holding out one source after the other needs two or more; there is {_names(table['source'])}")
    return table["source"].map({name: index for index, name in enumerate(names)})


def _names(sources: pd.Series) -> str:
    return ", ".join(sorted(set(sources))) or "none"


def write_folds(study: Study, settings: FoldSettings) -> tuple[pd.DataFrame, _Leaks]:
    """Fold a study into its `folds.csv`, with the settings and the leaks of a split by image in `folds.json`.

    Returns:
        films and groups of every fold, and what a split by image would leak.
    """
    folds = make_folds(study.table, settings)
    leaks = leaks_of_image_split(folds, settings.folds, settings.seed)
    save_csv(folds, study.folder / "folds.csv")
    record = FoldsRecord(format=FORMAT, study=study.fingerprint, settings=settings, split_by_image=leaks)
    write_record(study.folder / "folds.json", record)
    return fold_counts(folds), leaks


def read_folds(study: Study) -> pd.DataFrame:
    """A study's `folds.csv`.

    Raises:
        DataError: it is missing, or belongs to another state of the study.
    """
    path = study.folder / "folds.csv"
    if not path.exists():
        raise DataError(f"{study.folder}: has no folds; make them: lunglens folds {study.folder}")
    folds = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(folds.columns) != COLUMNS or set(folds["image_id"]) != set(study.table["image_id"]):
        raise DataError(f"{path}: does not fit the study; make the folds again: lunglens folds {study.folder}")
    return folds


def fold_counts(folds: pd.DataFrame) -> pd.DataFrame:
    """Films of every class and groups in every fold."""
    films = folds.pivot_table(index="fold", columns="class", values="image_id", aggfunc="count", fill_value=0)
    return films.assign(groups=folds.groupby("fold")["group_id"].nunique()).astype(np.int64)
