"""The figure of a sweep: a line a system, what was printed, what ours do in folds, elsewhere and without lungs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.evaluate.figures.style import BLUE, CLASS_COLOURS, INK, MUTED, ORANGE, RULE, WIDTH_IN, short
from lunglens.evaluate.figures.systems.grids import name_of
from lunglens.evaluate.systems.films import ELSEWHERE, FOLDS, WITHIN
from lunglens.evaluate.systems.numbers import Row, Systems

_GREEN = CLASS_COLOURS[2]
_MARKS: dict[str, Any] = {
    "printed": {"marker": "D", "markerfacecolor": "white", "markeredgecolor": INK, "markersize": 5.5},
    "printed, (sensitivity + specificity) / 2": {
        "marker": "^",
        "markerfacecolor": "white",
        "markeredgecolor": INK,
        "markersize": 6,
    },
    "in folds": {"marker": "o", "color": BLUE, "markersize": 6},
    "within one collection": {"marker": "s", "color": _GREEN, "markersize": 5},
    "elsewhere": {
        "marker": "o",
        "markerfacecolor": "white",
        "markeredgecolor": ORANGE,
        "markeredgewidth": 1.8,
        "markersize": 6,
    },
    "in folds, lungs black": {"marker": "x", "color": MUTED, "markersize": 5.5, "markeredgewidth": 1.6},
}


@dataclass(frozen=True)
class _Line:
    """A system: accuracy and AUROC, each mark -> share; what is unknown is left out."""

    name: str
    began: str
    accuracy: dict[str, float]
    auroc: dict[str, float]


def systems_figure(systems: Systems) -> Figure | None:
    """Accuracy (as printed, ours) and AUROC (ours) of the first study's systems; None where no run is on that study.

    Ours are of whole films, as the originals', or of the first input where no run saw whole films.
    """
    lines = _lines(systems)
    if not lines:
        return None
    figure = Figure(figsize=(WIDTH_IN, 1.5 + 0.27 * len(lines)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, [line.accuracy for line in lines], "accuracy, %")
    _panel(right, [line.auroc for line in lines], "AUROC, %")
    right.axvline(50, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    left.set_yticks(range(len(lines)), [f"{short(line.name, 32)} · {line.began}" for line in lines])
    left.set_ylim(len(lines) - 0.5, -0.6)
    used = {mark for line in lines for mark in (*line.accuracy, *line.auroc)}
    handles = [
        left.plot([], [], linestyle="none", label=mark, **style)[0] for mark, style in _MARKS.items() if mark in used
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5)
    return figure


def _lines(systems: Systems) -> list[_Line]:
    study = systems.rows[0].swept.study
    rows = [row for row in systems.rows if row.swept.study == study]
    inputs = [row.swept.shown for row in rows]
    shown = "film" if "film" in inputs else inputs[0]
    black = {(r.swept.system, r.swept.seed): r for r in rows if r.swept.shown == "surroundings" != shown}
    return [_line(row, black.get((row.swept.system, row.swept.seed))) for row in rows if row.swept.shown == shown]


def _line(row: Row, black: Row | None) -> _Line:
    found: dict[str, dict[str, float]] = {"accuracy": {}, "auroc": {}}
    for mark, of, kind in (
        ("in folds", row, FOLDS),
        ("within one collection", row, WITHIN),
        ("elsewhere", row, ELSEWHERE),
        ("in folds, lungs black", black, FOLDS),
    ):
        part = None if of is None else of.first(kind)
        for measure, marks in found.items():
            value = None if part is None else part.measures.value(measure)
            if value is not None and not (measure == "accuracy" and kind == WITHIN):
                marks[mark] = value
    printed = row.swept.printed
    if printed is not None and printed.accuracy is not None:
        found["accuracy"]["printed"] = printed.accuracy
    elif printed is not None and printed.sensitivity is not None and printed.specificity is not None:
        found["accuracy"]["printed, (sensitivity + specificity) / 2"] = (printed.sensitivity + printed.specificity) / 2
    return _Line(name_of(row), row.swept.began, found["accuracy"], found["auroc"])


def _panel(axes: Axes, lines: Sequence[Mapping[str, float]], title: str) -> None:
    for place, marks in enumerate(lines):
        if marks:
            ends = 100 * min(marks.values()), 100 * max(marks.values())
            axes.plot(ends, [place, place], color=RULE, linewidth=1.6, zorder=1)
        for mark, share in marks.items():
            axes.plot(100 * share, place, linestyle="none", zorder=2, **_MARKS[mark])
    axes.set_title(title, loc="left", fontsize=9)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.05)
