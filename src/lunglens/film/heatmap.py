"""Heat-maps: from the classifier's view back onto the film, and how much of the heat lies in the lungs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lunglens.film.preprocess import Floats, Mask, resize

# Evidence in log odds that is drawn in full colour: if the whole lungs looked like that place, 150 to 1 for the class.
FULL_HEAT = 5.0


def heat_share(heat: Floats, region: Mask) -> float | None:
    """Share (0..1) of the heat (h, w) inside the region (S, S); None where there is no heat at all."""
    fine = np.clip(resize(heat, *region.shape), 0, None)
    total = float(fine.sum())
    return float(fine[region].sum()) / total if total > 0 else None


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Heat on a film at whatever size it is asked for: hardly anybody looks at all the pixels that a film has.

    square: (S, S) float32, on the film squashed to a square. region: (S, S) bool, where alone it lies; None: anywhere.
    """

    square: Floats
    region: Mask | None = None

    def at(self, height: int, width: int) -> Floats:
        """(height, width), exactly 0 outside the region."""
        if self.region is None:
            return resize(self.square, height, width)
        found = np.zeros((height, width), np.float32)
        if self.region.any():
            edges = (np.asarray(self.region.any(axis=1 - axis)) for axis in (0, 1))
            rows, columns = (_reach(is_in, size) for is_in, size in zip(edges, found.shape, strict=True))
            # 254, so that what is in by one half exactly is out, as for floats.
            mask = _part(self.region.astype(np.uint8) * np.uint8(254), rows, columns, found.shape) > 127
            np.multiply(_part(self.square, rows, columns, found.shape), mask, out=found[slice(*rows), slice(*columns)])
        return found

    @property
    def strongest(self) -> float:
        """The largest value where heat may lie; 0 where it may lie nowhere."""
        within = self.square if self.region is None else self.square[self.region]
        return float(within.max(initial=0))

    def turned(self, turn: Callable[[NDArray[Any]], NDArray[Any]]) -> "HeatMap":
        """The heat of the film that `turn` makes of this one."""
        return HeatMap(turn(self.square), None if self.region is None else turn(self.region))


def heat_of_activation(heat: Floats, box: tuple[int, int, int, int], film_size: int) -> HeatMap:
    """The heat (h, w), >= 0, as 0..1 with 1 at its strongest, 0 outside what the classifier saw.

    Args:
        heat: in the classifier's view.
        box: (top, left, bottom, right) of that view in the film squashed to `film_size`.
        film_size: side of the squashed film.
    """
    top, left, bottom, right = box
    square = np.zeros((film_size, film_size), np.float32)
    square[top:bottom, left:right] = resize(heat, bottom - top, right - left)
    peak = float(square.max())
    return HeatMap(square / peak if peak > 0 else square)


def heat_of_evidence(evidence: Floats, region: Mask, box: tuple[int, int, int, int]) -> HeatMap:
    """The evidence (h, w) of a network that pools by the region, in its own unit, 0 outside the region.

    Between the places of the coarse map each counts by its share of the region: what lies outside lends nothing.

    Args:
        evidence: in the classifier's view.
        region: (S, S), of the film squashed to S.
        box: (top, left, bottom, right) of the view in it.
    """
    top, left, bottom, right = box
    within = Image.fromarray(region[top:bottom, left:right].astype(np.float32))
    share = np.asarray(within.resize(evidence.shape[::-1], Image.Resampling.BOX))
    fine, cover = (resize(each, bottom - top, right - left) for each in (evidence * share, share))
    square = np.zeros(region.shape, np.float32)
    square[top:bottom, left:right] = fine / np.maximum(cover, np.float32(1e-6))
    return HeatMap(square, region)


def _reach(is_in: NDArray[np.bool_], size: int) -> tuple[int, int]:
    """From where to where on `size` px what is in reaches, with what resizing mixes into it on either side."""
    at, scale = np.flatnonzero(is_in), size / len(is_in)
    margin = 2 + 2 * len(is_in) // size
    return max(0, int((at[0] - margin) * scale)), min(size, int((at[-1] + 1 + margin) * scale) + 1)


def _part(
    picture: NDArray[Any], rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]
) -> NDArray[Any]:
    """What `resize` to `shape` would give in these rows and columns alone: lungs are but half of a film."""
    down, right = picture.shape[0] / shape[0], picture.shape[1] / shape[1]
    box = (columns[0] * right, rows[0] * down, columns[1] * right, rows[1] * down)
    size = (columns[1] - columns[0], rows[1] - rows[0])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, box=box))


def view_on_film(view: Floats, box: tuple[float, float, float, float], shape: tuple[int, int]) -> Floats:
    """What the classifier saw, (S, S), where it lies on a film of (H, W): black outside.

    Args:
        view: 0..1.
        box: (top, left, bottom, right), shares 0..1 of the film's height and width.
        shape: (H, W) to lay it on.
    """
    height, width = shape
    top, bottom = (round(edge * height) for edge in (box[0], box[2]))
    left, right = (round(edge * width) for edge in (box[1], box[3]))
    film = np.zeros(shape, np.float32)
    film[top:bottom, left:right] = resize(view, bottom - top, right - left)
    return film
