"""What the figures of a cross-validation share: their look, and how they are saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.files import write_atomically
from lunglens.report.study.figures import CLASS_COLOURS, INK, MUTED, RULE, STYLE, WIDTH_IN, short

BLUE, ORANGE = CLASS_COLOURS[:2]
PALE = "#9fb0c0"
BAND = 0.22  # opacity

__all__ = [
    "BAND",
    "BLUE",
    "INK",
    "MUTED",
    "ORANGE",
    "PALE",
    "RULE",
    "WIDTH_IN",
    "percent",
    "save_svg",
    "short",
    "spread",
]


def save_svg(path: Path, draw: Callable[..., Figure | None], *what: Any) -> list[Path]:
    """Call `draw(*what)` in the house's style and save what it returns as SVG, its text as text.

    Returns:
        the file, or nothing where there is nothing to draw; a figure of an earlier time is then removed.
    """
    with mpl.rc_context(STYLE):
        figure = draw(*what)
        if figure is None:
            path.unlink(missing_ok=True)
            return []
        nothing = {"Date": None, "Creator": None}  # the same bytes for the same numbers
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="svg", metadata=nothing))
    return [path]


def percent(value: float | None, digits: int = 2) -> str:
    """A share 0..1 as "98.53"; "-" where it is undefined."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def spread(value: float | None, interval: list[float] | None, digits: int = 3) -> str:
    """A value and its 95 % interval: "0.970 (0.961 to 0.978)"."""
    if value is None:
        return "undefined"
    return f"{value:.{digits}f}" + (f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})" if interval else "")


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Both axes from 0 to 1, equally long."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel=x, ylabel=y)
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
