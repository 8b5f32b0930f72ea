"""The figures of a comparison of classifiers: their confusion matrices, and their measures with intervals."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from lunglens.evaluate.compare import Comparison, Entry
from lunglens.evaluate.figures.style import BLUE, INK, RULE, WIDTH_IN, short

_PER_LINE = 4
_LEAST_SPAN = 2.0  # percentage points across a panel: smaller differences are not to look large
_MEASURES = {"accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity", "auroc": "AUROC"}
_SHADES = LinearSegmentedColormap.from_list("share", ["#ffffff", BLUE])


def confusion_figure(comparison: Comparison) -> Figure:
    """The paper's figure 14: a confusion matrix a model, over all folds; counts, and shares of the true class."""
    entries, size = comparison.entries, len(comparison.classes)
    wide = min(_PER_LINE, len(entries))
    high = -(-len(entries) // wide)
    side = 0.62 * size  # in, of a matrix
    figure = Figure(figsize=(1.5 + wide * (side + 0.3), high * (side + 0.9)), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(entries):
            axes.set_visible(False)
            continue
        _matrix(axes, entries[place], comparison.classes)
        if place % wide:
            axes.set_yticklabels([])
    figure.supxlabel("called", fontsize=9)
    figure.supylabel("true class", fontsize=9)
    return figure


def measures_figure(comparison: Comparison) -> Figure:
    """Accuracy, sensitivity, specificity and AUROC of every model, each a dot on its 95 % interval by group."""
    entries = comparison.entries
    figure = Figure(figsize=(WIDTH_IN, 1.0 + 0.34 * len(entries)), layout="constrained")
    panels = figure.subplots(1, len(_MEASURES), sharex=True, sharey=True)
    for axes, (name, title) in zip(panels, _MEASURES.items(), strict=True):
        _dots(axes, entries, name)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xlabel("%")
    figure.axes[0].set_yticks(range(len(entries)), [short(entry.name) for entry in entries])
    figure.axes[0].invert_yaxis()
    low, high = figure.axes[0].get_xlim()
    figure.axes[0].set_xlim(min(low, high - _LEAST_SPAN), high)
    return figure


def _matrix(axes: Axes, entry: Entry, classes: list[str]) -> None:
    counts = np.array(entry.pooled.confusion)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    axes.imshow(shares, vmin=0, vmax=1, cmap=_SHADES)
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.5 else INK
        text = f"{count}\n{100 * shares[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    labels = [short(name, 16) for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(short(entry.name, 22), fontsize=9)


def _dots(axes: Axes, entries: list[Entry], name: str) -> None:
    for place, entry in enumerate(entries):
        value, ends = entry.pooled.value(name), entry.pooled.interval(name)
        if value is None:
            continue
        if ends is not None:
            axes.plot([100 * end for end in ends], [place, place], color=BLUE, linewidth=2, alpha=0.45)
        axes.plot(100 * value, place, "o", color=BLUE, markersize=5)
        axes.annotate(
            f"{100 * value:.2f}", (100 * value, place), (0, 5), textcoords="offset points", ha="center", fontsize=7.5
        )
    axes.set_ylim(-0.7, len(entries) - 0.5)
    axes.margins(x=0.16)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
