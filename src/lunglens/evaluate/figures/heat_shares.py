"""Share of the heat inside the lungs, film by film: trained on whole films against trained on cut ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, RULE, WIDTH_IN, percent, short

_COLOURS = {"uncut": ORANGE, "cut": BLUE}
_WORDS = {"uncut": "trained on whole films", "cut": "trained on cut films"}


def shares_figure(table: pd.DataFrame, found: dict[str, Any], classes: Sequence[str]) -> Figure:
    """A row a class and classifier: a dot a film, the mean with its interval, and the lungs' mean share of the film.

    Args:
        table: `heat.csv` of `lunglens explain`: class, heat_in_lungs_uncut, heat_in_lungs_cut.
        found: its `heat.json`.
        classes: in the order to draw.
    """
    rows = [(name, side) for name in classes for side in _COLOURS]
    figure = Figure(figsize=(WIDTH_IN, 1.2 + 0.62 * len(rows)), layout="constrained")
    axes = figure.subplots()
    generator = np.random.default_rng(0)
    for place, (name, side) in enumerate(rows):
        values = table.loc[table["class"] == name, f"heat_in_lungs_{side}"].dropna().to_numpy(float)
        spread = generator.uniform(-0.26, 0.26, len(values))
        axes.plot(values, place + spread, ".", color=_COLOURS[side], markersize=3, alpha=0.35, markeredgewidth=0)
        summary = found["classes"][name][side]
        low, high = summary["heat_share_95_ci"] or [summary["heat_share"]] * 2
        axes.plot([low, high], [place, place], color=INK, linewidth=2.4, solid_capstyle="butt")
        axes.plot(summary["heat_share"], place, "D", color=INK, markersize=5)
        axes.plot(
            [summary["area_share"]] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1, linestyle=(0, (2, 2))
        )
        said = f"{percent(summary['heat_share'], 0)} % of the heat, lungs {percent(summary['area_share'], 0)} %"
        axes.annotate(said, (1.015, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(rows)), [f"{short(name)},\n{_WORDS[side]}" for name, side in rows])
    axes.set(xlim=(-0.01, 1.01), ylim=(len(rows) - 0.5, -0.5), xlabel="share of a film's heat that lies in its lungs")
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.tick_params(length=0)
    axes.set_title(
        "Diamond: mean and 95 % interval by patient. Dashed: the lungs' share of the film (heat spread evenly).",
        loc="left",
        fontsize=9,
        color=MUTED,
    )
    return figure
