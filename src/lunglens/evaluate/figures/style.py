"""What the figures share: their look, and how they are saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lunglens.evaluate.run_record import Measures
from lunglens.files import write_atomically

INK, MUTED, RULE, UNKNOWN_GRAY = "#1c2733", "#5b6875", "#d9dfe6", "#c3cad2"
# Told apart by people who see red and green alike too (checked for deuteranopia); grey is kept for "unknown".
CLASS_COLOURS = ("#1b5e9e", "#e08a2e", "#2f8f7f", "#8a5a9e", "#b5485d", "#8c7a3d")
BLUE, ORANGE = CLASS_COLOURS[:2]
PALE = "#9fb0c0"
BAND = 0.22  # opacity

WIDTH_IN = 8.6
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "lunglens",
    "text.parse_math": False,  # names may hold a "$"
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "hatch.color": "#ffffff",
}


def save_svg(path: Path, draw: Callable[..., Figure | None], *what: Any) -> list[Path]:
    """Call `draw(*what)` in the house's style and save what it returns as SVG, its text as text.

    Returns:
        the file, or nothing where there is nothing to draw; a figure of an earlier time is then removed.
    """
    nothing = {"Date": None, "Creator": None}  # the same bytes for the same numbers
    return _save(path, draw, what, format="svg", metadata=nothing)


def save_png(path: Path, draw: Callable[..., Figure | None], *what: Any) -> list[Path]:
    """As `save_svg`, as pixels, for where SVG is not shown."""
    return _save(path, draw, what, format="png", dpi=160, facecolor="white")


def save_pdf(path: Path, draw: Callable[..., Figure | None], *what: Any) -> list[Path]:
    """As `save_svg`, as PDF, for LaTeX."""
    return _save(path, draw, what, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _save(path: Path, draw: Callable[..., Figure | None], what: tuple[Any, ...], **how: Any) -> list[Path]:
    with mpl.rc_context(STYLE):
        figure = draw(*what)
        if figure is None:
            path.unlink(missing_ok=True)
            return []
        write_atomically(path, lambda temporary: figure.savefig(temporary, **how))
    return [path]


def percent(value: float | None, digits: int = 2) -> str:
    """A share 0..1 as "98.53"; "-" where it is undefined."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def spread(value: float | None, interval: list[float] | None, digits: int = 3) -> str:
    """A value and its 95 % interval: "0.970 (0.961 to 0.978)"."""
    if value is None:
        return "undefined"
    return f"{value:.{digits}f}" + (f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})" if interval else "")


def percents(found: Measures, measure: str, digits: int = 2) -> str:
    """A measure and its 95 % interval in percent: "98.53 (96.10 to 99.02)"."""
    ends = found.interval(measure)
    between = f" ({percent(ends[0], digits)} to {percent(ends[1], digits)})" if ends else ""
    return percent(found.value(measure), digits) + between


def p_value(value: float) -> str:
    """Of a test, with four decimals: "0.0123"; a small one as "< 0.0001"."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Both axes from 0 to 1, equally long."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel=x, ylabel=y)
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def short(text: str, most: int = 34) -> str:
    """Text that any figure takes: what cannot be printed is "?", the middle of a long one is left out."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    half = (most - 1) // 2
    return clean if len(clean) <= most else f"{clean[:half]}…{clean[-half:]}"
