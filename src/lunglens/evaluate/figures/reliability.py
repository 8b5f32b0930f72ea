"""Of two classes, in folds and on films never trained on: what is said against what is so, and what acting is worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.evaluate.calibration import reliability
from lunglens.evaluate.figures.style import BLUE, MUTED, ORANGE, RULE, WIDTH_IN
from lunglens.evaluate.predictions import EXTERNAL, cross_validated
from lunglens.evaluate.reviewer import decision_curve

_BINS = 10
_PREVALENCE = 0.1


def reliability_figure(predictions: pd.DataFrame, classes: Sequence[str]) -> Figure | None:
    """Left: share of films of the first class against its mean probability, in ten bins. Right: decision curves.

    Decision curves (Vickers and Elkin 2006, doi:10.1177/0272989X06295361) are at a prevalence of one in ten. None with
    more than two classes, or where all films are of one class.
    """
    sets = {
        "all folds": (cross_validated(predictions), BLUE),
        "never trained on": (predictions[predictions["fold"] == EXTERNAL], ORANGE),
    }
    drawn = {words: (films, colour) for words, (films, colour) in sets.items() if films["class"].nunique() == 2}
    if len(classes) != 2 or not drawn:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    said_and_so, worth = figure.subplots(1, 2, width_ratios=[1, 1.25])
    said_and_so.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
    for words, (films, colour) in drawn.items():
        positive = (films["class"] == classes[0]).to_numpy()
        score = films[f"p_{classes[0]}"].to_numpy(float)
        bins = reliability(score, positive, _BINS)
        said, so = [row.said for row in bins], [row.so for row in bins]
        said_and_so.plot(said, so, "o-", color=colour, label=words, markersize=4)
        curve = decision_curve(positive, score, _PREVALENCE)
        worth.plot(curve.thresholds, curve.model, color=colour, label=f"on the model, {words}")
    worth.plot(curve.thresholds, curve.everyone, color=MUTED, linewidth=0.9, label="on everybody")
    worth.axhline(0, color=MUTED, linewidth=0.9, linestyle="--", label="on nobody")
    _finish(said_and_so, f"said: probability of {classes[0]}", "so: share of the films", (-0.02, 1.02), (-0.02, 1.02))
    said_and_so.set_aspect("equal")
    top = _PREVALENCE * 1.05
    _finish(worth, "probability from which one would act", "net benefit a patient", (0, 0.6), (-0.02, top))
    return figure


def _finish(axes: Axes, x: str, y: str, wide: tuple[float, float], high: tuple[float, float]) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(*wide)
    axes.set_ylim(*high)
    axes.set_yticks(np.linspace(0, np.floor(high[1] * 10) / 10, 6))
    axes.grid(color=RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
