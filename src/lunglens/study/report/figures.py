"""The drawings of the report of a data set: SVG data URIs, the same byte for byte for the same numbers."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from lunglens.evaluate.figures.style import CLASS_COLOURS, INK, MUTED, RULE, STYLE, UNKNOWN_GRAY, WIDTH_IN, short
from lunglens.study.report.data import DECADES, UNKNOWN, Numbers

_VALUE_COLOURS = ("#24507a", "#5c93bf", "#a9cbe3", "#7d6b9d", "#b9a6cf", "#d8c58f")
_MARKERS = ("o", "s", "^", "D", "v", "P")  # a source each
_MOST_BARS = 18


def colour_of(name: str, classes: Sequence[str]) -> str:
    """The colour of a class, the same in every figure and table."""
    return CLASS_COLOURS[list(classes).index(name) % len(CLASS_COLOURS)] if name in classes else UNKNOWN_GRAY


def findings_figure(findings: Numbers) -> str:
    """The paper's figure 2: how often each finding was published, by modality; the rarest are summed."""
    rows = list(findings["rows"])
    if len(rows) > _MOST_BARS:
        rows = [*rows[: _MOST_BARS - 1], _summed(rows[_MOST_BARS - 1 :])]
    modalities = sorted({name for row in rows for name in row["by_modality"]}, key=lambda name: (name == UNKNOWN, name))
    modalities.sort(key=lambda name: name != "X-ray")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.25 * len(rows)), layout="constrained")
        axes = figure.subplots()
        _stacked_bars(
            axes,
            [short(row["finding"], 44) for row in rows],
            {name: [row["by_modality"].get(name, 0) for row in rows] for name in modalities},
        )
        for place, row in enumerate(rows):
            axes.annotate(
                str(row["n"]), (row["n"], place), (4, 0), textcoords="offset points", va="center", color=MUTED
            )
        axes.set_xlabel("images")
        return _svg(figure)


def ages_figure(strata: Sequence[Numbers], classes: Sequence[str]) -> str:
    """Ages by decade, a panel a class and source; those of unknown age have a bar of their own."""
    labels = [*(f"{start}-{start + 9}" for start in DECADES[:-1]), f"{DECADES[-1]}+"]
    unknown_at = len(labels) + 0.6
    with mpl.rc_context(STYLE):
        columns = min(2, len(strata))
        lines = -(-len(strata) // columns)
        figure = Figure(figsize=(WIDTH_IN, 2.1 * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(strata) :]:
            axes.set_visible(False)
        for axes, stratum in zip(grid.flat, strata, strict=False):
            heights = list(stratum["ages"]["decades"].values())
            bars = axes.bar(range(len(labels)), heights, 0.86, color=colour_of(stratum["class"], classes))
            rest = axes.bar(unknown_at, stratum["ages"]["unknown"], 0.86, color=UNKNOWN_GRAY, hatch="////", linewidth=0)
            for container in (bars, rest):
                axes.bar_label(container, fmt=lambda n: f"{n:.0f}" if n else "", color=MUTED, fontsize=7.5)
            axes.set_xticks([*range(len(labels)), unknown_at], [*labels, "unknown"], fontsize=7, rotation=40)
            axes.set_yticks([])
            axes.margins(y=0.16)
            axes.spines["left"].set_visible(False)
            axes.set_title(_label(stratum), loc="left", fontsize=9)
        return _svg(figure)


def shares_figure(strata: Sequence[Numbers], key: str) -> str:
    """Shares of the values of `key` ("sexes", "views"), a bar a class and source, unknown last and grey."""
    totals: dict[str, int] = {}
    for stratum in strata:
        for name, n in stratum[key].items():
            totals[name] = totals.get(name, 0) + n
    unknown = totals.pop(UNKNOWN, 0)
    ordered = sorted(totals, key=lambda name: (-totals[name], name))
    named, rest = ordered[: len(_VALUE_COLOURS) - 1], ordered[len(_VALUE_COLOURS) - 1 :]
    series = {short(name, 20): [100 * stratum[key].get(name, 0) / stratum["n"] for stratum in strata] for name in named}
    if rest:
        series["others"] = [100 * sum(stratum[key].get(name, 0) for name in rest) / stratum["n"] for stratum in strata]
    if unknown:
        series[UNKNOWN] = [100 * stratum[key].get(UNKNOWN, 0) / stratum["n"] for stratum in strata]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 0.85 + 0.34 * len(strata)), layout="constrained")
        axes = figure.subplots()
        _stacked_bars(axes, [_label(stratum) for stratum in strata], series, numbers=True)
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the images")
        return _svg(figure)


def sizes_figure(strata: Sequence[Numbers], classes: Sequence[str]) -> str | None:
    """Width against height of the files and, where stated, of the originals; None where no size is known.

    A mark is a size, its area grows with the number of images.
    """
    titles = {"file": "the files", "original": "before the publisher scaled them, where stated"}
    panels = [which for which in titles if any(stratum["sizes"][which]["points"] for stratum in strata)]
    if not panels:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 4.3 + 0.2 * len(strata)), layout="constrained")
        for axes, which in zip(figure.subplots(1, 2), [*panels, None][:2], strict=True):
            if which is None:
                axes.set_visible(False)
                continue
            _sizes_panel(axes, strata, classes, which)
            axes.set_title(titles[which], loc="left", fontsize=9)
        handles = {
            text: mark for axes in figure.axes for mark, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        legend = figure.legend(handles.values(), handles.keys(), loc="outside lower left", frameon=False, fontsize=8.5)
        for mark in legend.findobj(PathCollection):
            mark.set_sizes([36])
        return _svg(figure)


def _sizes_panel(axes: Axes, strata: Sequence[Numbers], classes: Sequence[str], which: str) -> None:
    sources = list(dict.fromkeys(stratum["source"] for stratum in strata))
    longest = 0
    for stratum in strata:
        points = np.array(stratum["sizes"][which]["points"], float).reshape(-1, 3)
        if not len(points):
            continue
        longest = max(longest, int(points[:, :2].max()))
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=10 + 4 * np.minimum(points[:, 2], 60),
            marker=_MARKERS[sources.index(stratum["source"]) % len(_MARKERS)],
            facecolor=colour_of(stratum["class"], classes),
            edgecolor="white",
            linewidth=0.4,
            alpha=0.65,
            label=_label(stratum),
            rasterized=len(points) > 1500,
        )
    axes.plot([0, longest], [0, longest], color=RULE, linewidth=1, zorder=0)
    axes.annotate("square", (0.25 * longest, 0.25 * longest), (6, -8), textcoords="offset points", color=MUTED)
    axes.set(
        xlim=(0, 1.06 * longest), ylim=(0, 1.06 * longest), aspect="equal", xlabel="width, px", ylabel="height, px"
    )


def _stacked_bars(axes: Axes, labels: Sequence[str], series: dict[str, list[Any]], *, numbers: bool = False) -> None:
    """Horizontal bars, the first on top; a bar's parts in the order of `series`."""
    left = np.zeros(len(labels))
    for index, (name, values) in enumerate(series.items()):
        gray = name == UNKNOWN
        colour = UNKNOWN_GRAY if gray else _VALUE_COLOURS[index % len(_VALUE_COLOURS)]
        bars = axes.barh(
            range(len(labels)), values, 0.72, left, color=colour, label=name, linewidth=0, hatch="////" * gray
        )
        if numbers:
            ink = INK if gray or index in (2, 4, 5) else "white"
            axes.bar_label(bars, fmt=lambda n: f"{n:.0f}" if n >= 4 else "", label_type="center", color=ink, fontsize=8)
        left = left + np.array(values, float)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.figure.legend(loc="outside upper right", ncols=len(series), frameon=False, fontsize=8.5, handlelength=1.2)


def _summed(rows: Sequence[Numbers]) -> Numbers:
    names = {name for row in rows for name in row["by_modality"]}
    return {
        "finding": f"{len(rows)} further findings",
        "n": sum(row["n"] for row in rows),
        "by_modality": {name: sum(row["by_modality"].get(name, 0) for row in rows) for name in names},
    }


def _label(stratum: Numbers) -> str:
    return f"{short(stratum['class'], 18)} · {short(stratum['source'], 28)} (n={stratum['n']})"


def _svg(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, dpi=110)
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
