"""Brixia scores of a model against two radiologists': the sums film by film, and the zones' grades."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, RULE, WIDTH_IN
from lunglens.evaluate.severity import GRADES, Scores, confusion
from lunglens.film.severity import MOST, ZONES

_MOST = MOST * len(ZONES)


def sums_figure(called: Scores, senior: Scores, junior: Scores, metrics: dict[str, Any]) -> Figure:
    """Left the model's sum against the radiologists' mean, a dot a film, right one radiologist against the other.

    Args:
        called, senior, junior: (N, 6) zone scores.
        metrics: `consensus` and `readers` as `agreement` gives them, and `within`, half of the interval's width.
    """
    figure = Figure(figsize=(WIDTH_IN, 4.3), layout="constrained")
    ours, readers = figure.subplots(1, 2)
    truth, within = ((senior + junior) / 2).sum(axis=1), metrics["within"]
    line = np.array([0, _MOST])
    ours.fill_between(line, line - within, line + within, color=BLUE, alpha=0.08, linewidth=0)
    _dots(ours, truth, called.sum(axis=1), BLUE, metrics["consensus"]["pearson"])
    ours.set(xlabel="two radiologists' mean sum", ylabel="model's sum, out of fold")
    shift = np.random.default_rng(0).uniform(-0.25, 0.25, (2, len(senior)))  # whole numbers would hide one another
    _dots(readers, senior.sum(axis=1) + shift[0], junior.sum(axis=1) + shift[1], ORANGE, metrics["readers"]["pearson"])
    readers.set(xlabel="senior radiologist's sum", ylabel="junior radiologist's sum")
    return figure


def grades_figure(called: Scores, senior: Scores, junior: Scores) -> Figure:
    """Three confusion tables of the zones' grades 0..3: the model against each radiologist, and both of them."""
    figure = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
    pairs = (("senior", senior, "model", called), ("junior", junior, "model", called))
    for axes, (rows, true, columns, other) in zip(
        figure.subplots(1, 3), (*pairs, ("senior", senior, "junior", junior)), strict=True
    ):
        counts = confusion(other, true)
        _table(axes, counts)
        axes.set(xlabel=f"{columns}'s grade", ylabel=f"{rows}'s grade")
    return figure


def _dots(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, pearson: float) -> None:
    axes.plot([0, _MOST], [0, _MOST], color=INK, linewidth=0.8)
    axes.plot(x, y, ".", color=colour, markersize=5, alpha=0.55, markeredgewidth=0)
    axes.set(xlim=(-0.6, _MOST + 0.6), ylim=(-0.6, _MOST + 0.6), aspect="equal", xticks=range(0, 19, 3))
    axes.set_yticks(range(0, 19, 3))
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_title(f"{len(x)} films, correlation {pearson:.2f}", loc="left", fontsize=9, color=MUTED)


def _table(axes: Axes, counts: NDArray[np.int64]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(GRADES, GRADES):
        colour = "#ffffff" if shares[row, column] > 0.55 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set(xticks=range(GRADES), yticks=range(GRADES))
    axes.tick_params(length=0)
