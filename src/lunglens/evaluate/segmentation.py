"""Measures of lung fields over a cross-validation: by fold, pooled, by source, and whether post-processing helps."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.classification import DIGITS, TOO_FEW, mean_of_folds
from lunglens.evaluate.expected_dice import expected_of
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.predictions import EXTERNAL, Floats, cross_validated, fold_order, groups_of
from lunglens.evaluate.run_record import Gain, LungMeasures, LungMetrics

_SHARES = ("covered", "inside")  # which 0.1.0 did not measure, and which post-processing trades for one another
_OVERLAPS = ("dice", "iou")
_DISTANCES = ("hd95_px", "assd_px", "hd95_mm", "assd_mm")  # the smaller, the better
_FIRST = (*_OVERLAPS, *_DISTANCES)
MEASURES = (*_OVERLAPS, *_SHARES, *_DISTANCES)
UNKNOWN_SPACING = "no film states the size of its pixels"


def read_lung_predictions(path: Path) -> pd.DataFrame:
    """Read `predictions.csv` of a run on lungs: path, source, group_id, fold as text, measures and `raw_` measures.

    Also `mask_rule`, by which a film's mask is drawn; all masks of 0.1.0 were fields.

    Raises:
        DataError: the file is missing, is no such table, or a film has no Dice.
    """
    texts = ["path", "source", "group_id", "fold", "mask_rule", "mask_path", "predicted"]
    try:
        numbers = ["expected_dice", *(f"{raw}{name}" for name in MEASURES for raw in ("", "raw_"))]
        types = dict.fromkeys(texts, str) | dict.fromkeys(numbers, float)
        empty = {name: [""] for name in numbers}
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=empty)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no predictions here; finish the cross-validation first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; make it again with crossval") from error
    missing = {*texts[:4], *_FIRST} - set(table)
    if missing or table.empty or table[[*_OVERLAPS, "hd95_px", "assd_px"]].isna().any(axis=None):
        lack = "it has no row" if table.empty else "numbers are missing"
        what = f"column {min(missing)} is missing" if missing else lack
        raise DataError(f"{path}: {what}; make it again with crossval")
    return table if "mask_rule" in table else table.assign(mask_rule="fields")


def lung_metrics_of(predictions: pd.DataFrame, seed: int = 0) -> LungMetrics:
    """The content of `metrics.json` of a run on lungs; nothing in it is NaN.

    Args:
        predictions: as `read_lung_predictions` returns them; empty mm where the spacing is unknown.
        seed: of the bootstrap.

    Returns:
        `folds`: `n`, and for each measure mean, sd, median ... over the fold's films. `mean_of_folds`: mean and sd of
        the folds' means. `pooled`, `by_source`, `external` (by source), `by_rule`: the same with `mean_95_ci` by group.
        `post_processing`, where there are `raw_` measures: see `gain`. Two rules are never mixed: see `LungMetrics`.
    """
    inside = cross_validated(predictions)
    external = predictions[predictions["fold"] == EXTERNAL]
    first = inside[inside["mask_rule"] == inside["mask_rule"].min()]  # "fields" before "region"
    folds = {name: lung_measures(first[first["fold"] == name]) for name in fold_order(first["fold"])}
    known = [name for name in MEASURES if name in first]
    return LungMetrics(
        folds=folds,
        mean_of_folds=mean_of_folds({name: [found.summary(name).mean for found in folds.values()] for name in known}),
        pooled=lung_measures(first, seed) if len(first) else None,
        by_source=_by_source(inside, seed),
        external=_by_source(external, seed),
        by_rule=measures_by_rule(inside, seed),
        post_processing={name: gain(first, name, seed) for name in known if f"raw_{name}" in first},
    )


def measures_by_rule(table: pd.DataFrame, seed: int = 0) -> dict[str, dict[str, LungMeasures]]:
    """Rule of the masks -> "all", and each source -> measures of its films."""
    rules = table.groupby("mask_rule", sort=True)
    return {str(rule): {"all": lung_measures(rows, seed)} | _by_source(rows, seed) for rule, rows in rules}


def _by_source(table: pd.DataFrame, seed: int) -> dict[str, LungMeasures]:
    return {str(name): lung_measures(rows, seed) for name, rows in table.groupby("source", sort=True)}


def lung_measures(table: pd.DataFrame, seed: int | None = None) -> LungMeasures:
    """Numbers of films and groups, and a summary of each measure over the films that have it."""
    groups = groups_of(table.assign(image_id=table["path"]))
    found: dict[str, Any] = {"n": len(table), "groups": len(set(groups))}
    for name in filter(table.columns.__contains__, MEASURES):
        values = table[name].to_numpy(float)
        known = ~np.isnan(values)
        found[name] = _summary(values[known])
        if seed is not None:
            found[name]["mean_95_ci"] = _interval(values[known], groups[known], seed)
            if name not in _DISTANCES:
                found[name]["worst_twentieth_mean"] = _worst_twentieth(values)
        if not known.any():
            found[name]["undefined"] = UNKNOWN_SPACING
        elif seed is not None and found[name]["mean_95_ci"] is None:
            found[name]["undefined"] = TOO_FEW
    if seed is not None and "expected_dice" in table and len(table) > 1:
        found["expected"] = expected_of(table)
    return LungMeasures.model_validate(found)


def gain(table: pd.DataFrame, name: str, seed: int) -> Gain:
    """What post-processing changes in a measure, film by film.

    Returns:
        `n`; `raw_mean`, `mean` without and with it; `change` = mean of (with - without) and its interval by group;
        `verdict`: "helps", "hurts" (the interval leaves 0 out; a distance helps by becoming smaller) or "undecided".
    """
    both = table[table[name].notna() & table[f"raw_{name}"].notna()]
    with_it, without = both[name].to_numpy(float), both[f"raw_{name}"].to_numpy(float)
    if both.empty:
        unknown = dict.fromkeys(["raw_mean", "mean", "change", "change_95_ci"])
        return Gain.model_validate({"n": 0, **unknown, "verdict": "undecided", "undefined": UNKNOWN_SPACING})
    between = _interval(with_it - without, groups_of(both.assign(image_id=both["path"])), seed)
    sign = 1 if name in _OVERLAPS else -1
    decided = between is not None and between[0] * between[1] > 0
    return Gain(
        n=len(both),
        raw_mean=round(float(without.mean()), DIGITS),
        mean=round(float(with_it.mean()), DIGITS),
        change=round(float((with_it - without).mean()), DIGITS),
        change_95_ci=between,
        verdict=("helps" if between and sign * between[0] > 0 else "hurts") if decided else "undecided",
    )


def _worst_twentieth(values: Floats) -> float:
    """The mean of the smallest twentieth, of one value at least."""
    return round(float(np.sort(values)[: max(1, round(len(values) / 20))].mean()), DIGITS)


def _summary(values: Floats) -> dict[str, Any]:
    names = ("mean", "sd", "minimum", "percentile_5", "median", "percentile_95", "maximum")
    if not len(values):
        return {"n": 0, **dict.fromkeys(names)}
    sd = values.std(ddof=1) if len(values) > 1 else None
    found = (values.mean(), sd, values.min(), *np.percentile(values, [5, 50, 95]), values.max())
    rounded = (None if value is None else round(float(value), DIGITS) for value in found)
    return {"n": len(values), **dict(zip(names, rounded, strict=True))}


def _interval(values: Floats, groups: Any, seed: int) -> list[float] | None:
    if len(set(groups)) < 2:
        return None
    return bootstrap(lambda rows: float(values[rows].mean()), groups, seed, digits=DIGITS)
