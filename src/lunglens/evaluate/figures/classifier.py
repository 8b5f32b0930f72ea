"""Figures of a classifier's run: confusion matrices, measures by fold, and cross-validated against external."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, RULE, WIDTH_IN, percent, short, spread
from lunglens.evaluate.run_record import ClassifierMetrics, Measures

SHOWN = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
}
SHADES = LinearSegmentedColormap.from_list("white to blue", ["#ffffff", BLUE])


def best_and_worst(folds: dict[str, Measures]) -> tuple[str, str]:
    """The folds of highest and lowest accuracy; of equal ones that of the higher (lower) AUROC, then the first."""

    def rank(name: str) -> tuple[float, float]:
        return folds[name].accuracy or 0.0, folds[name].auroc or 0.0

    return max(folds, key=rank), min(folds, key=rank)


def confusion_figure(metrics: ClassifierMetrics) -> Figure | None:
    """The confusion matrices of the best and the worst fold (the paper's figure 13) and of all films."""
    classes, folds = metrics.classes, metrics.folds
    if metrics.pooled is None:
        return None
    best, worst = best_and_worst(folds)
    panels = [("all folds", metrics.pooled)]
    if len(folds) > 1:
        panels = [(f"best: fold {best}", folds[best]), (f"worst: fold {worst}", folds[worst]), *panels]
    figure = Figure(figsize=(0.3 + 2.75 * len(panels), 3.6), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, found) in zip(grid, panels, strict=True):
        _matrix(axes, np.array(found.confusion), classes, labelled=axes is grid[0])
        axes.set_title(f"{title}\naccuracy {percent(found.accuracy)} %", fontsize=9)
    return figure


def folds_figure(metrics: ClassifierMetrics) -> Figure | None:
    """A panel a measure, a bar a fold; the line is the mean of the folds."""
    folds = metrics.folds
    if not folds:
        return None
    figure = Figure(figsize=(WIDTH_IN, 7.2), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(4, 2).flat, SHOWN.items(), strict=True):
        values = {fold: found.value(name) for fold, found in folds.items()}
        mean = metrics.mean_of_folds[name]
        sd = "" if mean.sd is None else f", SD {percent(mean.sd)}"
        in_percent = {fold: None if value is None else 100 * value for fold, value in values.items()}
        bars(axes, in_percent, "{:.1f}", None if mean.mean is None else 100 * mean.mean)
        axes.set_ylim(0, 104)
        axes.set_yticks([0, 50, 100])
        axes.set_title(f"{title} %: mean {percent(mean.mean)}{sd}", loc="left", fontsize=9)
    figure.supxlabel("fold", color=MUTED, fontsize=9)
    return figure


def bars(axes: Axes, values: dict[str, float | None], number: str, mean: float | None) -> None:
    """A bar a fold with its value, "-" where it is undefined, and a line at the mean."""
    heights = [0.0 if value is None else value for value in values.values()]
    axes.bar(range(len(values)), heights, 0.82, color=BLUE)
    if mean is not None:
        axes.axhline(mean, color=INK, linewidth=0.8, zorder=1.5)
    style: dict[str, Any] = {
        "textcoords": "offset points",
        "fontsize": 7,
        "rotation": 90,
        "ha": "center",
        "va": "bottom",
    }
    for place, (value, height) in enumerate(zip(values.values(), heights, strict=True)):
        text = "-" if value is None else number.format(value)
        if height > 0.45 * max(heights):  # room for the number inside, where no line crosses it
            axes.annotate(text, (place, 0), (0, 4), color="white", **style)
        else:
            backed = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.annotate(text, (place, height), (0, 3), color=MUTED, bbox=backed, **style)
    axes.set_xticks(range(len(values)), [short(name, 10) for name in values], fontsize=8)
    axes.tick_params(length=0)


def gap_figure(metrics: ClassifierMetrics) -> Figure | None:
    """AUROC with its interval: all folds pooled, within sources of several classes, and on films never trained on."""
    rows = [("cross-validated, all folds", metrics.pooled, BLUE)] if metrics.pooled else []
    rows += [(f"cross-validated, within {name}", found, BLUE) for name, found in metrics.by_source.items()]
    rows += [
        (f"never seen: {'all films' if name == 'all' else name}", found, ORANGE)
        for name, found in metrics.external.items()
    ]
    rows = [row for row in rows if row[1].auroc is not None]
    if not rows:
        return None
    figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    lowest = 0.5
    for place, (_, found, colour) in enumerate(rows):
        area = found.auroc or 0.0
        low, high = found.auroc_95_ci or [area, area]
        lowest = min(lowest, low)
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(area, place, "o", color=colour, markersize=6)
        axes.annotate(
            f"{spread(area, found.auroc_95_ci)}  n={found.n}",
            (1.015, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=MUTED,
            annotation_clip=False,
        )
    axes.axvline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axes.set(xlim=(lowest - 0.02, 1.005), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel(
        f"{'AUROC' if len(metrics.classes) == 2 else 'mean AUROC, each class against the rest'} (0.5: chance)"
    )
    axes.set_yticks(range(len(rows)), [short(name, 62) for name, _, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    return figure


def write_counts(axes: Axes, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Write the counts of a confusion matrix and their shares of the true class into its cells; the shares."""
    totals = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.5 else INK
        text = f"{count}\n{100 * shares[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    return shares


def _matrix(axes: Axes, counts: Any, classes: Sequence[str], *, labelled: bool) -> None:
    shares = write_counts(axes, counts)
    edges = np.arange(len(counts) + 1) - 0.5
    axes.pcolormesh(edges, edges, shares, cmap=SHADES, vmin=0, vmax=1)  # vectors, where imshow would be a picture
    axes.set(aspect="equal", ylim=(edges[-1], edges[0]))
    names = [short(name, 14) for name in classes]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(range(len(names)), names if labelled else [""] * len(names), fontsize=8, rotation=90, va="center")
    axes.set(xlabel="called", ylabel="true class" if labelled else "")
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(True)
