"""The same films through two classifiers side by side: trained on whole films and on films cut to the lungs.

Figures 9 and 12 of the paper, on one scale. Such a figure shows whole films of patients: it belongs into a run folder,
never into a repository or a public report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lunglens.evaluate.figures.style import INK, MUTED, STYLE, short
from lunglens.evaluate.heat import inside
from lunglens.files import write_atomically
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import outline_alpha
from lunglens.film.preprocess import Floats, Mask, resize

TOP = 10.0  # the hottest colour: ten times the heat that the pixel would have were all of it spread evenly
COLUMNS = ("Film and lungs", "Trained on whole films", "Trained on films cut to the lungs")
_TILE_PX, _DPI = 420, 150
_TILE_IN, _GAP_IN, _EDGE_IN, _HEAD_IN, _WORDS_IN, _SCALE_IN = 2.8, 0.15, 0.15, 0.4, 0.75, 0.6
_SHADE = 96  # the gray under the colour bar, as of a film


@dataclass(frozen=True, eq=False)
class HeatCase:
    """One film and its two heat-maps.

    title: what is said of the film. film: (H, W), 0..1. lungs: (h, w) bool, of the whole film.
    uncut, cut: heat (h, w), >= 0, of the whole film, by the classifier trained on whole films and on cut ones.
    uncut_probability, cut_probability: of the positive class, 0..1.
    """

    title: str
    film: Floats
    lungs: Mask
    uncut: Floats
    cut: Floats
    uncut_probability: float
    cut_probability: float


def write_heat_figure(path: Path, cases: Sequence[HeatCase], positive: str) -> None:
    """Save `heat_figure` as PNG, whole or not at all.

    Raises:
        ValueError: no case.
        OSError: the folder cannot be written.
    """
    with mpl.rc_context(STYLE):
        figure = heat_figure(cases, positive)
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=_DPI))


def heat_figure(cases: Sequence[HeatCase], positive: str) -> Figure:
    """A row a film: the film with the outline of its lungs, and both maps with their numbers in words.

    A colour means the same in every map: how many times more heat a pixel has than if it were spread evenly over the
    film, from 0 to `TOP` and more.

    Args:
        cases: at least one.
        positive: name of the class that the heat and the probabilities are of.
    """
    if not cases:
        raise ValueError("no case to draw")
    sizes = [_size(case.film) for case in cases]
    width = 2 * _EDGE_IN + 3 * _TILE_IN + 2 * _GAP_IN
    height = _HEAD_IN + sum(high for high, _ in sizes) + len(cases) * _WORDS_IN + _SCALE_IN
    figure = Figure(figsize=(width, height), facecolor="white")

    def place(left: float, top: float, wide: float, high: float) -> Axes:
        return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))

    top = _HEAD_IN
    for case, (high, wide) in zip(cases, sizes, strict=True):
        panels = [place(_EDGE_IN + column * (_TILE_IN + _GAP_IN), top, wide, high) for column in range(3)]
        if case is cases[0]:
            for axes, title in zip(panels, COLUMNS, strict=True):
                axes.set_title(title, loc="left", fontsize=9.5, color=INK)
        _film(panels[0], case)
        _map(panels[1], case, case.uncut, f"{positive}: {case.uncut_probability:.2f}")
        _map(panels[2], case, case.cut, f"{positive}: {case.cut_probability:.2f}")
        top += high + _WORDS_IN
    _scale(place(_EDGE_IN + _TILE_IN + _GAP_IN, top, 2 * _TILE_IN - 0.4, 0.13))
    return figure


def relative_heat(heat: Floats) -> Floats:
    """Heat (h, w) as multiples of its mean, so that maps of different classifiers share a scale; 0 where there is none.

    >>> relative_heat(np.array([[0, 2]], np.float32)).tolist()
    [[0.0, 2.0]]
    """
    mean = float(heat.mean())
    return np.asarray(heat / mean, np.float32) if mean > 0 else np.zeros_like(heat, dtype=np.float32)


def heat_words(heat: Floats, lungs: Mask) -> str:
    """How much of the heat lies in the lungs, against their share of the film, in words."""
    share, area = inside(heat, lungs)
    if np.isnan(share):
        return "no heat: nothing speaks for this class"
    times = f": {share / area:.1f} times that" if area > 0 else ""
    return f"{100 * share:.0f} % of the heat lies in the lungs,\nwhich cover {100 * area:.0f} % of the film{times}"


def _size(film: Floats) -> tuple[float, float]:
    """Height and width of a film's tile in inches, its aspect ratio kept."""
    return film.shape[0] * _TILE_IN / max(film.shape), film.shape[1] * _TILE_IN / max(film.shape)


def _film(axes: Axes, case: HeatCase) -> None:
    base = _base(case.film)
    height, width = base.shape[:2]
    line = outline_alpha(case.lungs, height, width, 2)
    _show(axes, colours.blend(base, colours.OUTLINE, line), short(case.title, 44))


def _map(axes: Axes, case: HeatCase, heat: Floats, said: str) -> None:
    base = _base(case.film)
    height, width = base.shape[:2]
    shown = np.clip(resize(relative_heat(heat), height, width) / TOP, 0, 1)
    faint = outline_alpha(case.lungs, height, width, 1) * np.float32(0.6)
    picture = colours.blend(colours.heat_colours(base, shown), colours.OUTLINE, faint)
    _show(axes, picture, f"{said}\n{heat_words(heat, case.lungs)}")


def _base(film: Floats) -> Floats:
    """The film at the size of a tile, its aspect ratio kept, as colours 0..255."""
    scale = _TILE_PX / max(film.shape)
    height, width = (max(1, round(side * scale)) for side in film.shape)
    return colours.gray_colours(resize(film, height, width))


def _show(axes: Axes, picture: Floats, words: str) -> None:
    axes.imshow(_pixels(picture), aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(words, loc="left", fontsize=8, color=MUTED)


def _scale(axes: Axes) -> None:
    ramp = np.repeat(np.linspace(0, 1, 400, dtype=np.float32)[None], 12, axis=0)
    bar = colours.heat_colours(np.full((*ramp.shape, 3), _SHADE, np.float32), ramp)
    axes.imshow(_pixels(bar), aspect="auto", extent=(0, TOP, 0, 1))
    axes.set_xticks([0, 1, TOP / 2, TOP], ["none", "even", f"{TOP / 2:.0f} x", f"{TOP:.0f} x and more"], fontsize=8)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(
        "heat of a pixel against heat spread evenly over the film; one scale for all", loc="left", fontsize=8
    )


def _pixels(picture: Floats) -> NDArray[np.uint8]:
    return np.rint(picture).clip(0, 255).astype(np.uint8)
