"""What is said against what is so: reliability diagrams of two classes, in folds and on films never trained on."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from lunglens.evaluate.calibration import reliability
from lunglens.evaluate.figures.style import BLUE, MUTED, ORANGE, RULE, WIDTH_IN
from lunglens.evaluate.predictions import EXTERNAL, cross_validated

_BINS = 10


def reliability_figure(predictions: pd.DataFrame, classes: Sequence[str]) -> Figure | None:
    """Share of films of the first class against its mean probability, in ten bins of equally many films.

    None with more than two classes, or where all films are of one class.
    """
    sets = {
        "all folds": (cross_validated(predictions), BLUE),
        "never trained on": (predictions[predictions["fold"] == EXTERNAL], ORANGE),
    }
    drawn = {words: (films, colour) for words, (films, colour) in sets.items() if films["class"].nunique() == 2}
    if len(classes) != 2 or not drawn:
        return None
    figure = Figure(figsize=(WIDTH_IN / 2, WIDTH_IN / 2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
    for words, (films, colour) in drawn.items():
        said, so = films[f"p_{classes[0]}"].to_numpy(float), (films["class"] == classes[0]).to_numpy()
        bins = reliability(said, so, _BINS)
        axes.plot([row.said for row in bins], [row.so for row in bins], "o-", color=colour, label=words, markersize=4)
    axes.set_xlabel(f"said: probability of {classes[0]}")
    axes.set_ylabel("so: share of the films")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.grid(color=RULE, linewidth=0.6)
    axes.legend(frameon=False, loc="upper left")
    return figure
