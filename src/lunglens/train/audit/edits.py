"""Edits of a film that leave the lungs as they are: letters, electrodes, borders, exposure, compression, size."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lunglens.film.preprocess import Floats, Mask, resize, resize_mask

Edit = Callable[[Floats, Mask], tuple[Floats, Mask]]
_CORNER = 0.14  # of the side: where letters stand


def edits() -> Mapping[str, Edit]:
    """Name -> what it makes of a film (S, S), 0..1, bright = dense, and of its lung mask."""
    return {
        "laterality marker pasted": lambda film, lungs: (_letters(film, "L", 0.09, (0.86, 0.06)), lungs),
        "corners erased": lambda film, lungs: (_without_corners(film), lungs),
        "line of text": lambda film, lungs: (_letters(film, "PORTABLE AP 12:30", 0.035, (0.04, 0.93)), lungs),
        "electrodes": lambda film, lungs: (_electrodes(film), lungs),
        "black border": _bordered,
        "darker (gamma 1.4)": lambda film, lungs: (_power(film, 1.4), lungs),
        "brighter (gamma 0.7)": lambda film, lungs: (_power(film, 0.7), lungs),
        "JPEG of quality 30": lambda film, lungs: (_jpeg(film), lungs),
        "a quarter of the pixels a side": lambda film, lungs: (_coarse(film), lungs),
        "mirrored": lambda film, lungs: (film[:, ::-1], lungs[:, ::-1]),
    }


def _letters(film: Floats, text: str, height: float, place: tuple[float, float]) -> Floats:
    """White letters of a height, and at a place (x, y), in shares of the side."""
    side = len(film)
    layer = Image.new("L", (side, side))
    font = ImageFont.load_default(max(round(height * side), 6))
    ImageDraw.Draw(layer).text((place[0] * side, place[1] * side), text, fill=255, font=font)
    drawn = np.asarray(layer, np.float32) / 255
    return np.asarray(np.maximum(film, drawn * 0.98), np.float32)


def _without_corners(film: Floats) -> Floats:
    """Each corner filled with its own median, which takes letters out of it."""
    found, edge = film.copy(), round(_CORNER * len(film))
    for rows in (slice(None, edge), slice(-edge, None)):
        for columns in (slice(None, edge), slice(-edge, None)):
            found[rows, columns] = np.median(film[rows, columns])
    return found


def _electrodes(film: Floats) -> Floats:
    """Three buttons, each with its lead."""
    side = len(film)
    layer = Image.new("L", (side, side))
    draw, radius = ImageDraw.Draw(layer), 0.018 * side
    for x, y in ((0.2, 0.16), (0.8, 0.16), (0.24, 0.86)):
        draw.line((x * side, y * side, 0.5 * side, side), fill=150, width=max(round(0.006 * side), 1))
        draw.ellipse((x * side - radius, y * side - radius, x * side + radius, y * side + radius), fill=235)
    drawn = np.asarray(layer, np.float32) / 255
    return np.asarray(np.maximum(film, drawn), np.float32)


def _bordered(film: Floats, lungs: Mask) -> tuple[Floats, Mask]:
    """All of the film, a tenth smaller, on black."""
    edge = round(0.05 * len(film))
    inner = len(film) - 2 * edge
    return np.pad(resize(film, inner, inner), edge), np.pad(resize_mask(lungs, inner, inner), edge)


def _power(film: Floats, gamma: float) -> Floats:
    return np.asarray(film**gamma, np.float32)


def _jpeg(film: Floats) -> Floats:
    stream = io.BytesIO()
    Image.fromarray(np.rint(film * 255).astype(np.uint8)).save(stream, "JPEG", quality=30)
    with Image.open(stream) as image:
        return np.asarray(image, np.float32) / np.float32(255)


def _coarse(film: Floats) -> Floats:
    small = resize(film, len(film) // 4, len(film) // 4)
    return resize(small, *film.shape)
