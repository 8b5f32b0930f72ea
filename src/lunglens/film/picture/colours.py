"""The panel's colours, and how heat is laid over a film. Nothing is told by red against green."""

import numpy as np
from numpy.typing import NDArray

from lunglens.film.preprocess import Floats

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]

BACKGROUND: Colour = (14, 17, 22)
TILE: Colour = (5, 7, 10)
RULE: Colour = (42, 49, 60)
TRACK: Colour = (36, 42, 52)
TEXT: Colour = (230, 237, 243)
MUTED: Colour = (145, 155, 167)
OUTLINE: Colour = (64, 224, 255)
BLUE: Colour = (88, 166, 255)
AMBER: Colour = (232, 176, 72)
AMBER_BOX: Colour = (29, 25, 18)

# Inferno (S. van der Walt and N. Smith, CC0) at ten even steps: its lightness rises evenly from black to pale yellow.
_INFERNO = (0x000004, 0x1B0C42, 0x4B0C6B, 0x781C6D, 0xA52C60, 0xCF4446, 0xED6925, 0xFB9A06, 0xF7D03C, 0xFCFFA4)
_MAX_ALPHA = 0.8


def inferno() -> Floats:
    """The colour map: (256, 3) float32, 0..255, from cold to hot."""
    anchors = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in _INFERNO], np.float32)
    at = np.linspace(0, 1, len(anchors))
    table = [np.interp(np.linspace(0, 1, 256), at, channel) for channel in anchors.T]
    return np.stack(table, axis=1).astype(np.float32)


def gray_colours(film: Floats) -> Floats:
    """(H, W) 0..1 -> (H, W, 3) float32, 0..255."""
    return np.repeat(np.clip(film, 0, 1)[..., None] * np.float32(255), 3, axis=2)


def heat_colours(base: Floats, heat: Floats) -> Floats:
    """Lay heat (H, W), 0..1, over colours (H, W, 3), 0..255: opaque where hot; where there is none the base stays."""
    heat = np.clip(heat, 0, 1)
    colours = inferno()[np.rint(heat * 255).astype(np.intp)]
    return blend(base, colours, heat_alpha(heat))


def heat_alpha(heat: Floats) -> Floats:
    """How opaque heat 0..1 is laid over a film, 0..1."""
    return np.asarray(np.float32(_MAX_ALPHA) * np.sqrt(heat) * np.clip(heat * 5, 0, 1), np.float32)


def blend(base: Floats, colour: Floats | Colour, alpha: Floats) -> Floats:
    """Mix `colour` (one, or (H, W, 3)) into base (H, W, 3), 0..255, with alpha (H, W), 0..1."""
    weight = alpha[..., None]
    return np.asarray(base * (1 - weight) + np.asarray(colour, np.float32) * weight, np.float32)
