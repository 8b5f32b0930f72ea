"""Setting text within a width, and outlines of masks. Nothing here knows what a finding is."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from lunglens.film.morphology import smooth
from lunglens.film.preprocess import Floats, Mask, resize
from lunglens.text import ascii_line

_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_SECTORS = 80  # of dashes and gaps
_MAX_CHARACTERS = 600  # of one text: more could never be shown, and measuring it would take time


@lru_cache(maxsize=32)
def font(size: int) -> _Font:
    """Pillow's own scalable font at `size` px; it needs no file."""
    return ImageFont.load_default(size)


def plain(text: str) -> str:
    """One line of printable ASCII, which the font surely has; other characters become '?'."""
    return ascii_line(" ".join(text.split()))


def clip_middle(text: str, size: int, width: float) -> str:
    """`text` if it fits in `width` px, else its beginning and end around '...'."""
    if len(text) > _MAX_CHARACTERS:
        text = f"{text[: _MAX_CHARACTERS // 2]}...{text[-_MAX_CHARACTERS // 2 :]}"
    if font(size).getlength(text) <= width:
        return text

    def short(kept: int) -> str:
        return f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"

    too_many = bisect_left(range(len(text)), True, key=lambda kept: font(size).getlength(short(kept)) > width)
    return short(max(too_many - 1, 0))


def _clip_end(text: str, size: int, width: float) -> str:
    """`text` shortened until it and '...' fit in `width` px."""
    while text and font(size).getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def wrap(text: str, size: int, width: float, max_lines: int) -> list[str]:
    """`text` in at most `max_lines` lines, none wider than `width` px; what is left out shows as '...'."""
    lines = [""]
    for word in _pieces(text[:_MAX_CHARACTERS], size, width):
        candidate = f"{lines[-1]} {word}" if lines[-1] else word
        if font(size).getlength(candidate) <= width:
            lines[-1] = candidate
        else:
            lines.append(word)
    if len(lines) > max_lines or len(text) > _MAX_CHARACTERS:
        lines = lines[:max_lines]
        lines[-1] = _clip_end(lines[-1], size, width)
    return lines


def _pieces(text: str, size: int, width: float) -> list[str]:
    """The words of `text`, those wider than `width` px cut up."""
    pieces: list[str] = []
    for word in text.split():
        if font(size).getlength(word) <= width:
            pieces.append(word)
            continue
        start = 0
        for end in range(1, len(word) + 1):
            if end - start > 1 and font(size).getlength(word[start:end]) > width:
                pieces.append(word[start : end - 1])
                start = end - 1
        pieces.append(word[start:])
    return pieces


def fit_items(items: Sequence[str], size: int, width: float, max_lines: int, lines_each: int) -> list[list[str]]:
    """Wrap as many items as `max_lines` lines hold; where some are left over, the last line is 'and N more'."""
    fitted: list[list[str]] = []
    used = 0
    for number, item in enumerate(items):
        last = number == len(items) - 1
        room = max_lines - used - (0 if last else 1)
        lines = wrap(item, size, width, lines_each) if room > 0 else []
        if not lines or len(lines) > room:
            return [*fitted, [f"and {len(items) - number} more"]]
        fitted.append(lines)
        used += len(lines)
    return fitted


def outline_alpha(mask: Mask, height: int, width: int, line_width: float, *, dashed: bool = False) -> Floats:
    """The edge of a mask (H, W) as an anti-aliased line, dashed where it is doubtful: (height, width) float32, 0..1.

    A Gaussian turns a straight edge into the normal distribution function of the distance to it; reading that
    function backwards gives the distance below the size of a pixel.
    """
    scale = max(1.0, height / mask.shape[0], width / mask.shape[1])
    cover = np.clip((resize(mask.astype(np.float32), height, width) - 0.5) * scale + 0.5, 0, 1)
    soft = smooth(cover.astype(np.float32), 1.0, "edge")
    distances = np.linspace(-4, 4, 801)
    normal = [0.5 * (1 + math.erf(distance / math.sqrt(2))) for distance in distances]
    alpha = line_width / 2 + 0.5 - np.abs(np.interp(soft, normal, distances))
    return np.asarray(np.clip(alpha, 0, 1) * (_dashes(height, width) if dashed else 1), np.float32)


def _dashes(height: int, width: int) -> NDArray[np.bool_]:
    """Every other of the sectors round the middle."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(np.floor(np.arctan2(y, x) * _SECTORS / (2 * np.pi)) % 2 == 0)
