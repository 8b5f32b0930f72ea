"""Figures of a run on lungs: Dice by source, and measures by fold."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.evaluate.figures.classifier import bars
from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, RULE, WIDTH_IN, short
from lunglens.evaluate.predictions import EXTERNAL, Floats
from lunglens.evaluate.run_record import LungMetrics

_SHOWN = {
    "dice": ("Dice", "{:.3f}"),
    "iou": ("IoU", "{:.3f}"),
    "hd95_px": ("HD95, px", "{:.1f}"),
    "assd_px": ("average surface distance, px", "{:.2f}"),
}


def dice_figure(predictions: pd.DataFrame) -> Figure | None:
    """Every film's Dice, a row a source; films far below all others are counted at the left edge instead."""
    kinds = predictions.assign(external=predictions["fold"] == EXTERNAL).groupby(["external", "source"], sort=True)
    rows = [(str(source), bool(external), table["dice"].to_numpy(float)) for (external, source), table in kinds]
    if not rows:
        return None
    left = left_edge(predictions["dice"].to_numpy(float))
    figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.85 * len(rows)), layout="constrained")
    axes = figure.subplots()
    _boxes(axes, [values for _, _, values in rows])
    generator = np.random.default_rng(0)
    for place, (_, external, values) in enumerate(rows):
        jitter = place + generator.uniform(0.05, 0.4, len(values))
        colour = ORANGE if external else BLUE
        axes.plot(values, jitter, ".", color=colour, alpha=0.5, markersize=3.5, markeredgewidth=0)
        below = values[values < left]
        if len(below):
            text = f"\u25c4 {len(below)} below {left:.2f}, lowest {below.min():.3f}"
            axes.annotate(text, (left, place), (3, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8)
    labels = [
        f"{short(name)}{', never seen' * external}\nmean {v.mean():.4f}, n={len(v)}" for name, external, v in rows
    ]
    axes.set_yticks(range(len(rows)), labels)
    axes.set(xlim=(left, 1 + 0.02 * (1 - left)), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel("Dice (a point a film; box: quartiles and median, whiskers: 5th to 95th percentile)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    return figure


def left_edge(dice: Floats) -> float:
    """Where the axis begins, a multiple of 0.05: below all films but at most a hundredth of them."""
    return max(0.0, math.floor(20 * (float(np.percentile(dice, 1, method="lower")) - 0.01)) / 20)


def _boxes(axes: Axes, values: list[Floats]) -> None:
    axes.boxplot(
        values,
        positions=[place - 0.18 for place in range(len(values))],
        orientation="horizontal",
        widths=0.26,
        whis=(5, 95),
        showfliers=False,
        medianprops={"color": INK, "linewidth": 1.6},
        boxprops={"color": INK, "linewidth": 0.9},
        whiskerprops={"color": INK, "linewidth": 0.9},
        capprops={"color": INK, "linewidth": 0.9},
        manage_ticks=False,
    )


def lung_folds_figure(metrics: LungMetrics) -> Figure | None:
    """A panel a measure, a bar a fold: the mean over its films; the line is the mean of the folds."""
    folds = metrics.folds
    if not folds:
        return None
    figure = Figure(figsize=(WIDTH_IN, 4.4), layout="constrained")
    for axes, (name, (title, number)) in zip(figure.subplots(2, 2).flat, _SHOWN.items(), strict=True):
        mean = metrics.mean_of_folds[name]
        bars(axes, {fold: found.summary(name).mean for fold, found in folds.items()}, number, mean.mean)
        sd = "" if mean.sd is None else f", SD {number.format(mean.sd)}"
        axes.set_title(f"{title}: mean {number.format(mean.mean)}{sd}", loc="left", fontsize=9)
    figure.supxlabel("fold", color=MUTED, fontsize=9)
    return figure
