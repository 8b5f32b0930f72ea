"""The criteria that a film's metadata decides, one after the other, with what each drops and why.

A table has a row a film (`lunglens.study.manifest`), its columns `class` ("" where no rule fits) and `image` (its path
relative to the data folder).
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lunglens.errors import ConfigurationError
from lunglens.study.config.study import (
    AgeCriterion,
    CapCriterion,
    ClassRule,
    DoubtCriterion,
    EquipmentCriterion,
    ExclusionCriterion,
    FindingCriterion,
    ModalityCriterion,
    SampleCriterion,
    StudyConfig,
    ViewCriterion,
)


@dataclass(frozen=True)
class Context:
    """What criteria need beside the films: the study's seed, and the exclusion lists (image -> reason)."""

    seed: int
    exclusions: dict[str, str]


@dataclass(frozen=True, eq=False)
class Verdict:
    """Of one criterion: why each film is dropped ("" keeps it), and which films are kept although it cannot tell."""

    reasons: pd.Series
    unknown_kept: pd.Series
    words: str


def assign_classes(table: pd.DataFrame, rules: Iterable[ClassRule]) -> pd.Series:
    """Each film's class, "" where no rule fits."""
    classes = pd.Series("", index=table.index, dtype=object)
    parts = table["finding"].fillna("").map(lambda cell: {cell.casefold(), *map(str.strip, cell.casefold().split("|"))})
    for rule in rules:
        wanted = {finding.casefold() for finding in rule.findings}
        fits = table["label"].isin(rule.labels) | parts.map(lambda found, wanted=wanted: bool(found & wanted))
        classes[fits & table["source"].isin(rule.sources) & (classes == "")] = rule.name
    return classes


def by_modality(table: pd.DataFrame, criterion: ModalityCriterion, _: Context) -> Verdict:
    """Drops films of another modality."""
    return _among(table["modality"], criterion.allowed, criterion.keep_unknown, "modality")


def by_view(table: pd.DataFrame, criterion: ViewCriterion, _: Context) -> Verdict:
    """Drops views that are not allowed."""
    return _among(table["view"], criterion.allowed, criterion.keep_unknown, "view")


def by_age(table: pd.DataFrame, criterion: AgeCriterion, _: Context) -> Verdict:
    """Drops films of patients younger than `min_years`."""
    age = table["age_years"].astype(float)
    unknown = age.isna()
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[age < criterion.min_years] = age.map(lambda years: f"age {years:g}")
    return _with_unknown(reasons, unknown, criterion.keep_unknown, "age", f"age at least {criterion.min_years:g}")


def by_finding(table: pd.DataFrame, _: FindingCriterion, __: Context) -> Verdict:
    """Drops films of none of the classes."""
    finding = table["finding"].fillna("not stated")
    reasons = ("finding " + finding).where(table["class"] == "", "")
    return Verdict(reasons, _none(table), "finding of one of the classes")


def by_equipment(table: pd.DataFrame, criterion: EquipmentCriterion, _: Context) -> Verdict:
    """Drops films of which upstream says that devices are in the picture."""
    equipment = table["equipment"].astype("boolean")
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[equipment.fillna(False).astype(bool)] = "medical equipment"
    return _with_unknown(reasons, equipment.isna(), criterion.keep_unknown, "equipment", "no medical equipment")


def by_exclusion_list(table: pd.DataFrame, _: ExclusionCriterion, context: Context) -> Verdict:
    """Drops what a person has struck out; images are named by their path below the data folder, or by file name."""
    reason_of = context.exclusions
    name = table["image"].map(lambda image: Path(image).name)
    reasons = table["image"].map(reason_of).fillna(name.map(reason_of)).fillna("")
    return Verdict(reasons.astype(object), _none(table), f"not on the exclusion list ({len(reason_of)} entries)")


def by_doubt(table: pd.DataFrame, _: DoubtCriterion, __: Context) -> Verdict:
    """Drops films of which upstream or the index says why they are not fit."""
    reasons = table["exclude"].fillna("").astype(object)
    return Verdict(reasons, _none(table), "nothing speaks against the label")


def by_sample(table: pd.DataFrame, criterion: SampleCriterion, context: Context) -> Verdict:
    """Keeps a random choice of each source."""
    kept = _draw(table, table["source"], lambda _: criterion.images, context.seed)
    reasons = pd.Series("not drawn", index=table.index, dtype=object).where(~kept, "")
    return Verdict(reasons, _none(table), f"random choice of {criterion.images} films a source (seed {context.seed})")


def by_cap(table: pd.DataFrame, criterion: CapCriterion, context: Context) -> Verdict:
    """Keeps a random choice of each class that has a limit."""
    kept = _draw(table, table["class"], lambda name: criterion.most.get(name, len(table)), context.seed)
    reasons = pd.Series("over the class's limit", index=table.index, dtype=object).where(~kept, "")
    limits = ", ".join(f"{most} {name}" for name, most in criterion.most.items())
    return Verdict(reasons, _none(table), f"at most {limits}, drawn at random (seed {context.seed})")


JUDGES: dict[str, Callable[[pd.DataFrame, Any, Context], Verdict]] = {
    "modality": by_modality,
    "view": by_view,
    "age": by_age,
    "finding": by_finding,
    "equipment": by_equipment,
    "exclusion list": by_exclusion_list,
    "doubt": by_doubt,
    "sample": by_sample,
    "cap": by_cap,
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


def exclusions_of(config: StudyConfig, beside: Path) -> dict[str, str]:
    """Entries of every exclusion list that the criteria name, looked up beside the configuration file."""
    found: dict[str, str] = {}
    for criterion in config.criteria:
        if isinstance(criterion, ExclusionCriterion):
            found |= read_exclusions(beside / criterion.file)
    return found


def _among(values: pd.Series, allowed: tuple[str, ...], keep_unknown: bool, what: str) -> Verdict:
    unknown = values.isna()
    known = {value.casefold() for value in allowed}
    reasons = pd.Series("", index=values.index, dtype=object)
    other = ~unknown & ~values.fillna("").str.casefold().isin(known)
    reasons[other] = values[other].map(lambda value: f"{what} {value}")
    return _with_unknown(reasons, unknown, keep_unknown, what, f"{what} {' or '.join(allowed)}")


def _with_unknown(reasons: pd.Series, unknown: pd.Series, keep: bool, what: str, words: str) -> Verdict:
    if not keep:
        reasons[unknown] = f"{what} unknown"
    kept = unknown if keep else pd.Series(False, index=reasons.index)
    return Verdict(reasons, kept, f"{words}{', unknown is kept' if keep else ''}")


def _none(table: pd.DataFrame) -> pd.Series:
    return pd.Series(False, index=table.index)


def _draw(table: pd.DataFrame, strata: pd.Series, most: Callable[[str], int], seed: int) -> pd.Series:
    """True for at most so many rows of each stratum; the draw depends on the images' names, not on their order."""
    kept = pd.Series(False, index=table.index)
    for name, rows in table.sort_values("image").groupby(strata, sort=True):
        generator = np.random.default_rng([seed, *str(name).encode()])
        kept[generator.permutation(rows.index.to_numpy())[: most(str(name))]] = True
    return kept
