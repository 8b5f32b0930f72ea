"""A film and what is laid over it, as pictures of their own: for the viewer, which mixes them, and for the report."""

import numpy as np
from PIL import Image

from lunglens.film.finding import Analyzed, Refused
from lunglens.film.heatmap import view_on_film
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import outline_alpha
from lunglens.film.preprocess import Floats, resize, stretch
from lunglens.film.severity import MOST

SHOWN_PX = 2048  # long side of the film
THUMB_PX = 128
_LAYER_PX = 1024  # of what is laid over it: as fine as the networks' own grids, four times over


def layers_of(finding: Analyzed | Refused) -> dict[str, Image.Image]:
    """film: gray; lungs: their outline; heat: its colours; grades: those of infiltrates, place by place; seen: what the
    classifier saw, in its place.

    All as they are usually displayed, whatever way round the film is stored. A refused film has no layers.
    """
    film = finding.to_display.apply(finding.radiograph.pixels)
    shown = stretch(resize(film, *size_within(film.shape, SHOWN_PX)))
    pictures = {"film": _gray(1 - shown if finding.inverted else shown)}
    if isinstance(finding, Refused):
        return pictures
    height, width = size_within(film.shape, _LAYER_PX)
    line = outline_alpha(finding.lung_square, height, width, 2, dashed="lungs" in finding.withheld)
    pictures["lungs"] = _layer(np.broadcast_to(np.array(colours.OUTLINE, np.float32), (height, width, 3)), line)
    heat = finding.heat_at(height, width)
    if heat is not None:
        pictures["heat"] = _coloured(heat)
    if finding.severity is not None and finding.severity.places is not None:
        pictures["grades"] = _coloured(resize(finding.severity.places / np.float32(MOST), height, width))
    pictures["seen"] = _gray(view_on_film(finding.classifier_view, finding.view_box, (height, width)))
    return pictures


def thumbnail(finding: Analyzed | Refused) -> Image.Image:
    """The film, gray, as `layers_of` has it but of THUMB_PX at most; of every so manieth pixel, which takes no time."""
    pixels = finding.radiograph.pixels
    step = max(1, max(pixels.shape) // (4 * THUMB_PX))
    film = finding.to_display.apply(pixels[::step, ::step])
    shown = stretch(resize(film, *size_within(film.shape, THUMB_PX)))
    return _gray(1 - shown if finding.inverted else shown)


def layer_names(finding: Analyzed | Refused) -> list[str]:
    """The keys of `layers_of`, in order, without drawing."""
    if isinstance(finding, Refused):
        return ["film"]
    graded = finding.severity is not None and finding.severity.places is not None
    return ["film", "lungs", *["heat"] * (finding.heat_map is not None), *["grades"] * graded, "seen"]


def size_within(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Height and width of a picture of a film of (H, W), no larger than the film."""
    scale = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _gray(pixels: Floats) -> Image.Image:
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def _coloured(heat: Floats) -> Image.Image:
    """Heat (H, W), 0..1, from nothing over dark to yellow."""
    heat = np.clip(heat, 0, 1)
    return _layer(colours.inferno()[np.rint(heat * 255).astype(np.intp)], np.sqrt(heat))


def _layer(colour: Floats, alpha: Floats) -> Image.Image:
    """(H, W, 3) colours 0..255 and (H, W) opacity 0..1 as an RGBA picture."""
    pixels = np.concatenate([colour, np.clip(alpha, 0, 1)[..., None] * 255], axis=2)
    return Image.fromarray(np.rint(pixels).astype(np.uint8), "RGBA")
