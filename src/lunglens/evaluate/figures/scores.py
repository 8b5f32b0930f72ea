"""ROC and precision-recall curves: every fold, and all folds pooled with a 95 % band by group."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from lunglens.evaluate.figures.style import BAND, BLUE, ORANGE, PALE, RULE, WIDTH_IN, short, spread, unit_square
from lunglens.evaluate.intervals import bootstrap_draws
from lunglens.evaluate.predictions import (
    EXTERNAL,
    Codes,
    Floats,
    codes_and_scores,
    cross_validated,
    fold_order,
    groups_of,
)
from lunglens.evaluate.run_record import ClassifierMetrics, Measures

GRID = np.linspace(0, 1, 101)
REPEATS = 300  # of the bands; the intervals of the areas are those of metrics.json

_Points = tuple[Floats, Floats]


def roc_figure(predictions: pd.DataFrame, classes: Sequence[str], metrics: ClassifierMetrics) -> Figure | None:
    """Sensitivity against 1 - specificity, a panel a class (of two classes: the positive one)."""
    return _figure(predictions, classes, metrics, "auroc")


def precision_recall_figure(
    predictions: pd.DataFrame, classes: Sequence[str], metrics: ClassifierMetrics
) -> Figure | None:
    """Positive predictive value against sensitivity, a panel a class (of two classes: the positive one)."""
    return _figure(predictions, classes, metrics, "auprc")


def roc_points(positive: NDArray[np.bool_], score: Floats) -> _Points:
    """1 - specificity and sensitivity at every threshold, from (0, 0) to (1, 1); both classes must be there."""
    x, y, _ = roc_curve(positive, score, drop_intermediate=False)
    return x, y


def precision_recall_points(positive: NDArray[np.bool_], score: Floats) -> _Points:
    """Recall (ascending, from 0) and precision at every threshold; at recall 0 the precision of the first one."""
    precision, recall, _ = precision_recall_curve(positive, score)
    return recall[::-1], np.append(precision[-2], precision[-2::-1])


def roc_on_grid(points: _Points) -> Floats:
    """Sensitivity at each of `GRID`, on straight lines between the points."""
    x, y = points
    left = np.minimum(np.searchsorted(x, GRID, side="right") - 1, len(x) - 2)
    width = x[left + 1] - x[left]
    share = np.divide(GRID - x[left], width, out=np.ones_like(GRID), where=width > 0)
    return np.asarray(y[left] + share * (y[left + 1] - y[left]))


def precision_on_grid(points: _Points) -> Floats:
    """Precision where the recall of each of `GRID` is first reached."""
    return np.asarray(points[1][np.searchsorted(points[0], GRID - 1e-12)])


_KINDS: dict[str, tuple[Callable[..., _Points], Callable[[_Points], Floats], str, str, str]] = {
    "auroc": (roc_points, roc_on_grid, "1 - specificity", "sensitivity", "default"),
    "auprc": (precision_recall_points, precision_on_grid, "sensitivity (recall)", "PPV (precision)", "steps-pre"),
}


def _figure(predictions: pd.DataFrame, classes: Sequence[str], metrics: ClassifierMetrics, kind: str) -> Figure | None:
    truth, _ = codes_and_scores(cross_validated(predictions), classes)
    columns = [0] if len(classes) == 2 else list(range(len(classes)))
    drawn = [index for index in columns if _both(truth == index)]
    if not drawn:
        return None
    rows, wide = -(-len(drawn) // 2), min(2, len(drawn))
    figure = Figure(figsize=(WIDTH_IN if wide > 1 else 4.8, 5.1 * rows), layout="constrained")
    panels = figure.subplots(rows, wide, squeeze=False).flatten()
    for axes in panels[len(drawn) :]:
        axes.set_visible(False)
    for axes, index in zip(panels, drawn, strict=False):
        _panel(axes, predictions, classes, index, metrics, kind)
    return figure


def _panel(
    axes: Any, predictions: pd.DataFrame, classes: Sequence[str], index: int, metrics: ClassifierMetrics, kind: str
) -> None:
    points_of, on_grid, x, y, style = _KINDS[kind]
    inside = cross_validated(predictions)
    truth, scores = codes_and_scores(inside, classes)
    positive, score, folds = truth == index, scores[:, index], inside["fold"].to_numpy()
    label: str | None = "each fold"
    for name in fold_order(folds):
        rows = folds == name
        if _both(positive[rows]):
            line = points_of(positive[rows], score[rows])
            axes.plot(*line, color=PALE, linewidth=0.6, drawstyle=style, label=label)
            label = None
    band = _band(positive, score, groups_of(inside), lambda *one: on_grid(points_of(*one)))
    if band is not None:
        axes.fill_between(GRID, *band, color=BLUE, alpha=BAND, linewidth=0)
    area = _area(metrics.pooled, classes, index, kind)
    line = points_of(positive, score)
    axes.plot(*line, color=BLUE, linewidth=2, drawstyle=style, label=f"all folds (95 % band): {area}")
    external = predictions[predictions["fold"] == EXTERNAL]
    outside, outside_scores = codes_and_scores(external, classes)
    if _both(outside == index):
        area = _area(metrics.external.get("all"), classes, index, kind)
        line = points_of(outside == index, outside_scores[:, index])
        axes.plot(
            *line, color=ORANGE, linewidth=1.6, linestyle=(0, (4, 2)), drawstyle=style, label=f"never seen: {area}"
        )
    chance = [0, 1] if kind == "auroc" else [float(positive.mean())] * 2
    axes.plot([0, 1], chance, color=RULE, linewidth=1, zorder=0)
    unit_square(axes, x, y)
    axes.set_title(
        f"{short(classes[index])} against {short(classes[1]) if len(classes) == 2 else 'the rest'}",
        loc="left",
        fontsize=9,
    )
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.14), frameon=False, fontsize=8)


def _band(
    positive: NDArray[np.bool_], score: Floats, groups: NDArray[Any], curve: Callable[..., Floats]
) -> Floats | None:
    if len(set(groups)) < 2:
        return None

    def measure(rows: Codes) -> Floats:
        return curve(positive[rows], score[rows]) if _both(positive[rows]) else np.full(len(GRID), np.nan)

    draws = bootstrap_draws(measure, groups, repeats=REPEATS)
    draws = draws[~np.isnan(draws).any(axis=1)]
    return np.percentile(draws, [2.5, 97.5], axis=0) if len(draws) >= REPEATS / 2 else None


def _area(measures: Measures | None, classes: Sequence[str], index: int, kind: str) -> str:
    if measures is None:
        return ""
    found = (measures.one_vs_rest or {}).get(classes[index], measures)
    return f"{kind.upper()} {spread(found.value(kind), found.interval(kind))}"


def _both(positive: NDArray[np.bool_]) -> bool:
    return bool(positive.any() and not positive.all())
