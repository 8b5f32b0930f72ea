"""Classifiers side by side on the same films and folds (table 7 of the paper), and whether they differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from lunglens.errors import DataError
from lunglens.evaluate.classification import MEASURES, auc, mean_of_folds, measures
from lunglens.evaluate.intervals import bootstrap_draws, interval
from lunglens.evaluate.predictions import (
    Codes,
    Floats,
    calls,
    codes_and_scores,
    cross_validated,
    fold_order,
    groups_of,
    read_predictions,
)
from lunglens.evaluate.run_record import ClassifierRun, MeanOfFolds, Measures, StudyName, read_classifier_run
from lunglens.film.about import MARGIN

COSTS = ("parameters", "gflops", "cpu_ms")


@dataclass(frozen=True, eq=False)
class Entry:
    """One run.

    name: tells it from the others. folder: its name on disk. run: its `run.json`.
    pooled: measures over all folds' films with 95 % intervals by group; folds: measures a fold; mean: over the folds.
    """

    name: str
    folder: str
    run: ClassifierRun
    pooled: Measures
    folds: dict[str, Measures]
    mean: dict[str, MeanOfFolds]


@dataclass(frozen=True)
class Difference:
    """A measure of the first model less that of the second, on the same films.

    value: None where the measure is undefined. ci: 95 % bootstrap interval by group.
    reversed_share: share of the draws in which the difference is zero or has the other sign; None where value is 0.
    """

    value: float | None
    ci: list[float] | None
    reversed_share: float | None


@dataclass(frozen=True)
class Pair:
    """Two models on the same films.

    only_first, only_second: films that only one of them calls rightly. p: McNemar's exact test on these two counts;
    p_holm: the same, corrected for the number of pairs (Holm 1979). first_not_inferior, second_not_inferior: whether
    the 95 % interval of the AUROCs' difference leaves out that the one is worse by the margin or more.
    """

    first: str
    second: str
    accuracy: Difference
    auroc: Difference
    only_first: int
    only_second: int
    p: float
    p_holm: float
    first_not_inferior: bool | None
    second_not_inferior: bool | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` finds.

    margin: of AUROC, that one may be worse by. settings: keys of the configuration in which the runs differ -> a value
    a run.
    """

    study: StudyName
    classes: list[str]
    films: int
    groups: int
    entries: list[Entry]
    pairs: list[Pair]
    margin: float
    settings: dict[str, list[Any]]


def compare(runs: Sequence[Path], seed: int = 0, margin: float = MARGIN) -> Comparison:
    """Compare finished runs of `crossval classifier`.

    Measures are over all films of the folds, each predicted by the model that did not see it in training; external
    films are left out. Intervals and paired differences come from 1,000 draws of whole groups, the same for every run.

    Args:
        runs: their folders.
        seed: of the draws.
        margin: of AUROC; who is worse by less is not inferior.

    Raises:
        DataError: fewer than two runs, one is unfinished or damaged, or they do not have study, classes, folds and
            films in common.
    """
    if len({run.resolve() for run in runs}) < 2:
        raise DataError(f"{len(runs)} run given: name at least two different run folders to compare")
    descriptions = [read_classifier_run(run) for run in runs]
    for run, description in zip(runs[1:], descriptions[1:], strict=True):
        _check_same(runs[0], descriptions[0], run, description)
    classes = descriptions[0].classes
    tables = [_films(run, description) for run, description in zip(runs, descriptions, strict=True)]
    for run, table in zip(runs[1:], tables[1:], strict=True):
        _check_films(runs[0], tables[0], run, table)
    names = _names(runs, descriptions)
    entries = [
        _entry(name, run, description, table, seed)
        for name, run, description, table in zip(names, runs, descriptions, tables, strict=True)
    ]
    groups = groups_of(tables[0])
    configs = [_flat(description.config) for description in descriptions]
    return Comparison(
        study=descriptions[0].study,
        classes=classes,
        films=len(tables[0]),
        groups=len(set(groups)),
        entries=entries,
        pairs=_pairs(names, tables, classes, groups, seed, margin),
        margin=margin,
        settings=_differing(configs),
    )


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of several p-values, in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(value) for value in corrected]


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test: the discordant films fall to either side like a fair coin.

    >>> mcnemar(0, 5)
    0.0625
    """
    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def macro_auroc(truth: Codes, scores: Floats) -> float:
    """AUROC of the first of two classes; of more, the mean of each against the rest; NaN where one is missing."""
    columns = [0] if scores.shape[1] == 2 else range(scores.shape[1])
    return float(np.mean([auc(truth == index, scores[:, index]) for index in columns]))


def _check_same(first: Path, ours: ClassifierRun, second: Path, theirs: ClassifierRun) -> None:
    for key in ("study", "classes", "folds"):
        if getattr(ours, key) != getattr(theirs, key):
            both = [json.dumps(one.to_json()[key], ensure_ascii=False) for one in (ours, theirs)]
            raise DataError(f"{first} and {second}: other {key} ({both[0]} and {both[1]}); compare runs of one study")


def _films(run: Path, description: ClassifierRun) -> pd.DataFrame:
    """The films that were predicted out of fold, by image_id."""
    table = cross_validated(read_predictions(run / "predictions.csv", description.classes))
    if set(table["fold"]) != set(description.folds):
        absent = ", ".join(fold_order(set(description.folds) ^ set(table["fold"])))
        raise DataError(f"{run}: predictions.csv and run.json have other folds ({absent}); finish the run first")
    return table.sort_values("image_id", ignore_index=True)


def _check_films(first: Path, ours: pd.DataFrame, second: Path, theirs: pd.DataFrame) -> None:
    if list(ours["image_id"]) != list(theirs["image_id"]):
        only = sorted(set(ours["image_id"]) ^ set(theirs["image_id"]))
        raise DataError(f"{first} and {second}: {len(only)} films are in one run only ({only[0]}); they share no folds")
    for column in ("fold", "class", "group_id"):
        other = np.flatnonzero(ours[column].to_numpy() != theirs[column].to_numpy())
        if len(other):
            image = ours["image_id"].iloc[other[0]]
            raise DataError(
                f"{first} and {second}: {image} has another {column} in each; compare runs of the same folds"
            )


def _names(runs: Sequence[Path], descriptions: Sequence[ClassifierRun]) -> list[str]:
    """The model, with cut or uncut where runs differ in that, and the folder where that does not tell them apart."""
    names = [description.model for description in descriptions]
    if len({description.cut for description in descriptions}) > 1:
        names = [f"{name}, {'cut' if one.cut else 'uncut'}" for name, one in zip(names, descriptions, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} ({run.resolve().name})" for name, run in zip(names, runs, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} {number}" for number, name in enumerate(names, 1)]
    return names


def _entry(name: str, run: Path, description: ClassifierRun, table: pd.DataFrame, seed: int) -> Entry:
    classes = description.classes
    folds = {fold: measures(table[table["fold"] == fold], classes) for fold in fold_order(table["fold"])}
    pooled = measures(table, classes, seed)
    means = mean_of_folds({name: [fold.value(name) for fold in folds.values()] for name in MEASURES})
    return Entry(name, run.resolve().name, description, pooled, folds, means)


def _pairs(
    names: Sequence[str],
    tables: Sequence[pd.DataFrame],
    classes: Sequence[str],
    groups: NDArray[Any],
    seed: int,
    margin: float,
) -> list[Pair]:
    truth = codes_and_scores(tables[0], classes)[0]
    scores = [codes_and_scores(table, classes)[1] for table in tables]
    right = [calls(one) == truth for one in scores]

    def values(rows: Codes) -> list[float]:
        accuracies = [float(one[rows].mean()) for one in right]
        return [*accuracies, *(macro_auroc(truth[rows], one[rows]) for one in scores)]

    n = len(names)
    accuracy, area = np.split(np.array(values(np.arange(len(truth)))), 2)
    draws = bootstrap_draws(values, groups, seed) if len(set(groups)) > 1 else np.full((2, 2 * n), np.nan)
    accuracy_draws, area_draws = np.hsplit(draws, 2)
    found = list(combinations(range(n), 2))
    counts = [(int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())) for a, b in found]
    tests = [mcnemar(*count) for count in counts]
    pairs = []
    for (a, b), count, p, corrected in zip(found, counts, tests, holm(tests), strict=True):
        of_accuracy = _difference(accuracy[a] - accuracy[b], accuracy_draws[:, a] - accuracy_draws[:, b])
        of_area = _difference(area[a] - area[b], area_draws[:, a] - area_draws[:, b])
        low, high = of_area.ci or (None, None)
        good = None if low is None else low > -margin, None if high is None else high < margin
        pairs.append(Pair(names[a], names[b], of_accuracy, of_area, *count, p, corrected, *good))
    return pairs


def _difference(value: float, draws: Floats) -> Difference:
    if np.isnan(value):
        return Difference(None, None, None)
    defined = draws[~np.isnan(draws)]
    against = None
    if value != 0 and len(defined):
        against = round(float((defined * np.sign(value) <= 0).mean()), 4)
    return Difference(round(float(value), 6), interval(draws, 6), against)


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as `section.key` -> value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def _differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for config in configs for key in config)
    found = {key: [config.get(key) for config in configs] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}
