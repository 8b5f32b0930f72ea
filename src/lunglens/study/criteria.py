"""The criteria that a film's metadata decides, one after the other, with what each drops and why.

A table has a row a film (`lunglens.study.manifest`), its columns `class` ("" where no rule fits) and `image` (its path
relative to the data folder). A criterion changes nothing: what it has found stands in its verdict.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from lunglens.errors import ConfigurationError
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.reading.facts import ADULT_YEARS, UNDER_AGE
from lunglens.study.config.study import (
    AgeCriterion,
    CapCriterion,
    ClassRule,
    DiagnosisCriterion,
    EquipmentCriterion,
    ExclusionCriterion,
    ModalityCriterion,
    SampleCriterion,
    StudyConfig,
    UnfitCriterion,
    ViewCriterion,
)
from lunglens.study.sources.registry import Problem


@dataclass(frozen=True)
class Context:
    """What criteria need beside the films.

    seed: of random choices. exclusions: image -> reason. folder: the study in the making, whose `descriptors`, `films`
    and `masks` are filled on the way. data: the data folder. lungs: segments the films. console: for progress.
    """

    seed: int
    exclusions: Mapping[str, str]
    folder: Path
    data: Path
    lungs: ModelPackage
    console: Console


@dataclass(frozen=True, eq=False)
class Verdict:
    """Of one criterion: why each film is dropped ("" keeps it), and which films are kept although it cannot tell.

    unknown_kept: None where it can always tell. ties: whether dropped films still tie others to their patient, as
    copies and films without lungs do. learned: columns of the films that the criterion has found out. tables: file
    name -> table for the study folder.
    """

    reasons: pd.Series
    words: str
    unknown_kept: pd.Series | None = None
    ties: bool = False
    learned: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def assign_classes(table: pd.DataFrame, rules: Iterable[ClassRule]) -> pd.Series:
    """Each film's class, "" where no rule fits."""
    classes = pd.Series("", index=table.index, dtype=object)
    parts = table["diagnosis"].fillna("").map(_parts)
    for rule in rules:
        wanted = {name.casefold() for name in rule.diagnoses}
        fits = table["label"].isin(rule.labels) | parts.map(lambda names, wanted=wanted: bool(names & wanted))
        classes[fits & table["source"].isin(rule.sources) & (classes == "")] = rule.name
    return classes


def misspelt(table: pd.DataFrame, rules: Iterable[ClassRule]) -> list[str]:
    """What a class rule names and no film of its sources has, where it seems misspelt: a sentence each.

    A rule may well name spellings that only some versions of a data set have; so it is told of a name that is near to
    one of the films', and of a rule that fits no film.
    """
    lines = []
    for rule in rules:
        column, wanted = ("labels", rule.labels) if rule.labels else ("diagnoses", rule.diagnoses)
        films = table[table["source"].isin(rule.sources)]
        names = {name.casefold(): name for name in sorted(_published(films, column))}
        absent = [name for name in wanted if name.casefold() not in names]
        for name in absent:
            near = get_close_matches(name.casefold(), names, n=1, cutoff=0.6 if len(absent) == len(wanted) else 0.8)
            if near or len(absent) == len(wanted):
                hint = f'; did you mean "{names[near[0]]}"?' if near else "."
                where = ", ".join(rule.sources)
                lines.append(f'class {rule.name}: no film of {where} has "{name}" among its {column}{hint}')
    return lines


def _published(films: pd.DataFrame, column: str) -> set[str]:
    if column == "labels":
        return set(films["label"].dropna())
    cells = films["diagnosis"].dropna()
    return {part for cell in cells for part in (cell, *map(str.strip, cell.split("|")))}


def _parts(cell: str) -> set[str]:
    return {cell.casefold(), *map(str.strip, cell.casefold().split("|"))}


def _by_modality(table: pd.DataFrame, criterion: ModalityCriterion, _: Context) -> Verdict:
    """Drops films of another modality."""
    return _among(table["modality"], criterion.allowed, criterion.keep_unknown, "modality")


def _by_view(table: pd.DataFrame, criterion: ViewCriterion, _: Context) -> Verdict:
    """Drops views that are not allowed."""
    return _among(table["view"], criterion.allowed, criterion.keep_unknown, "view")


def _by_age(table: pd.DataFrame, criterion: AgeCriterion, _: Context) -> Verdict:
    """Drops films of patients younger than `min_years`, and those whose collection is of children as a whole."""
    age = table["age_years"].astype(float)
    reasons = age.map(lambda years: f"age {years:g}").astype(object).where(age < criterion.min_years, "")
    child = age.isna() & (table["exclude"] == UNDER_AGE) & (criterion.min_years >= ADULT_YEARS)
    reasons[child] = UNDER_AGE
    unknown = age.isna() & ~child
    return _with_unknown(reasons, unknown, criterion.keep_unknown, "age", f"age at least {criterion.min_years:g}")


def _by_diagnosis(table: pd.DataFrame, _: DiagnosisCriterion, __: Context) -> Verdict:
    """Drops films of none of the classes."""
    reasons = ("diagnosis " + table["diagnosis"].fillna("not stated")).where(table["class"] == "", "")
    return Verdict(reasons, "diagnosis of one of the classes")


def _by_equipment(table: pd.DataFrame, criterion: EquipmentCriterion, _: Context) -> Verdict:
    """Drops films of which upstream says that devices are in the picture."""
    equipment = table["equipment"].astype("boolean")
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[equipment.fillna(False).astype(bool)] = "medical equipment"
    return _with_unknown(reasons, equipment.isna(), criterion.keep_unknown, "equipment", "no medical equipment")


def _by_exclusion_list(table: pd.DataFrame, _: ExclusionCriterion, context: Context) -> Verdict:
    """Drops what a person has struck out; images are named by their path below the data folder, or by file name."""
    reason_of = context.exclusions
    name = table["image"].map(lambda image: Path(image).name)
    reasons = table["image"].map(reason_of).fillna(name.map(reason_of)).fillna("")
    return Verdict(reasons.astype(object), f"not on the exclusion list ({len(reason_of)} entries)")


def _by_unfit(table: pd.DataFrame, _: UnfitCriterion, __: Context) -> Verdict:
    """Drops films of which upstream or the index says why they are not fit."""
    return Verdict(table["exclude"].fillna("").astype(object), "nothing speaks against the label")


def _by_sample(table: pd.DataFrame, criterion: SampleCriterion, context: Context) -> Verdict:
    """Keeps a random choice of each source."""
    kept = _draw(table, table["source"], lambda _: criterion.images, context.seed)
    reasons = pd.Series("not drawn", index=table.index, dtype=object).where(~kept, "")
    return Verdict(reasons, f"random choice of {criterion.images} films a source (seed {context.seed})")


def _by_cap(table: pd.DataFrame, criterion: CapCriterion, context: Context) -> Verdict:
    """Keeps a random choice of each class that has a limit."""
    kept = _draw(table, table["class"], lambda name: criterion.most.get(name, len(table)), context.seed)
    reasons = pd.Series("over the class's limit", index=table.index, dtype=object).where(~kept, "")
    limits = ", ".join(f"{most} {name}" for name, most in criterion.most.items())
    return Verdict(reasons, f"at most {limits}, drawn at random (seed {context.seed})", ties=True)


Judge = Callable[[pd.DataFrame, Any, Context], Verdict]

BY_METADATA: dict[str, Judge] = {
    "modality": _by_modality,
    "view": _by_view,
    "age": _by_age,
    "diagnosis": _by_diagnosis,
    "equipment": _by_equipment,
    "exclusion-list": _by_exclusion_list,
    "unfit": _by_unfit,
    "sample": _by_sample,
    "cap": _by_cap,
}


def read_exclusions(path: Path) -> dict[str, str]:
    """Image -> reason.

    Raises:
        ConfigurationError: the list is missing, or is no CSV with the columns image and reason.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
            names = set(rows[0]) if rows else {"image", "reason"}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: the exclusion list cannot be read: {error}; see lunglens review") from error
    if not {"image", "reason"} <= names:
        raise ConfigurationError(f"{path}: the exclusion list needs the columns image and reason")
    return {(row["image"] or "").strip(): (row["reason"] or "").strip() or "excluded by hand" for row in rows}


def exclusions_of(config: StudyConfig, config_folder: Path) -> dict[str, str]:
    """Entries of every exclusion list that the criteria name, looked up in the folder of the configuration file."""
    lists = [criterion.file for criterion in config.criteria if isinstance(criterion, ExclusionCriterion)]
    return {image: reason for file in lists for image, reason in read_exclusions(config_folder / file).items()}


def _among(values: pd.Series, allowed: tuple[str, ...], keep_unknown: bool, what: str) -> Verdict:
    unknown = values.isna()
    names = {value.casefold() for value in allowed}
    reasons = pd.Series("", index=values.index, dtype=object)
    other = ~unknown & ~values.fillna("").str.casefold().isin(names)
    reasons[other] = values[other].map(lambda value: f"{what} {value}")
    return _with_unknown(reasons, unknown, keep_unknown, what, f"{what} {' or '.join(allowed)}")


def _with_unknown(reasons: pd.Series, unknown: pd.Series, keep: bool, what: str, words: str) -> Verdict:
    if not keep:
        reasons[unknown] = f"{what} unknown"
    return Verdict(reasons, words + (", unknown is kept" if keep else ""), unknown if keep else None)


def _draw(table: pd.DataFrame, strata: pd.Series, most: Callable[[str], int], seed: int) -> pd.Series:
    """True for at most so many rows of each stratum; the draw depends on the images' names, not on their order."""
    kept = pd.Series(False, index=table.index)
    for name, rows in table.sort_values("image").groupby(strata, sort=True):
        generator = np.random.default_rng([seed, *str(name).encode()])
        kept[generator.permutation(rows.index.to_numpy())[: most(str(name))]] = True
    return kept
