"""The figures of a comparison of classifiers: their confusion matrices, and their measures with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.evaluate.figures.classifier import SHADES, write_counts
from lunglens.evaluate.figures.style import BLUE, RULE, WIDTH_IN, short
from lunglens.evaluate.run_record import Measures

_PER_LINE = 4
_LEAST_SPAN = 2.0  # percentage points across a panel: smaller differences are not to look large
_MEASURES = {"accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity", "auroc": "AUROC"}


def confusion_figure(models: Mapping[str, Measures]) -> Figure:
    """The paper's figure 14: a confusion matrix a model, over all folds; counts, and shares of the true class."""
    size = len(next(iter(models.values())).classes)
    wide = min(_PER_LINE, len(models))
    high = -(-len(models) // wide)
    side = 0.62 * size  # in, of a matrix
    figure = Figure(figsize=(1.5 + wide * (side + 0.3), high * (side + 0.9)), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False)
    for axes in panels.flat[len(models) :]:
        axes.set_visible(False)
    for place, (axes, (name, measures)) in enumerate(zip(panels.flat, models.items(), strict=False)):
        _matrix(axes, name, measures)
        if place % wide:
            axes.set_yticklabels([])
    figure.supxlabel("called", fontsize=9)
    figure.supylabel("true class", fontsize=9)
    return figure


def measures_figure(models: Mapping[str, Measures]) -> Figure:
    """Accuracy, sensitivity, specificity and AUROC of every model, each a dot on its 95 % interval by group."""
    figure = Figure(figsize=(WIDTH_IN, 1.0 + 0.34 * len(models)), layout="constrained")
    panels = figure.subplots(1, len(_MEASURES), sharex=True, sharey=True)
    for axes, (name, title) in zip(panels, _MEASURES.items(), strict=True):
        _dots(axes, list(models.values()), name)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xlabel("%")
    figure.axes[0].set_yticks(range(len(models)), [short(name) for name in models])
    figure.axes[0].invert_yaxis()
    low, high = figure.axes[0].get_xlim()
    figure.axes[0].set_xlim(min(low, high - _LEAST_SPAN), high)
    return figure


def _matrix(axes: Axes, name: str, measures: Measures) -> None:
    axes.imshow(write_counts(axes, np.array(measures.confusion)), vmin=0, vmax=1, cmap=SHADES)
    labels = [short(name, 16) for name in measures.classes]
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(short(name, 22), fontsize=9)


def _dots(axes: Axes, models: Sequence[Measures], name: str) -> None:
    for place, measures in enumerate(models):
        value, ends = measures.value(name), measures.interval(name)
        if value is None:
            continue
        if ends is not None:
            axes.plot([100 * end for end in ends], [place, place], color=BLUE, linewidth=2, alpha=0.45)
        axes.plot(100 * value, place, "o", color=BLUE, markersize=5)
        axes.annotate(
            f"{100 * value:.2f}", (100 * value, place), (0, 5), textcoords="offset points", ha="center", fontsize=7.5
        )
    axes.set_ylim(-0.7, len(models) - 0.5)
    axes.margins(x=0.16)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
