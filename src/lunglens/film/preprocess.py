"""Radiograph pixels -> what the networks see. Training and analysis call these same functions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lunglens.film.parameters import View

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

STRETCH_PERCENTILES = (0.5, 99.5)


def resize(pixels: Floats, height: int, width: int) -> Floats:
    """Resize (H, W) to (height, width) with anti-aliased linear interpolation; the aspect ratio is not kept."""
    if pixels.shape == (height, width):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def resize_mask(mask: NDArray[Any], height: int, width: int) -> Mask:
    """Resize a boolean (H, W) mask by interpolating it and cutting at one half."""
    return resize(mask.astype(np.float32), height, width) > 0.5


def stretch(pixels: Floats) -> Floats:
    """Map the 0.5th to 99.5th percentile linearly onto 0..1 and clip; a film of one value becomes 0.

    >>> stretch(np.arange(201, dtype=np.float32).reshape(3, 67))[0, [0, 1, 2]]
    array([0.        , 0.        , 0.00505051], dtype=float32)
    """
    low, high = np.percentile(pixels, STRETCH_PERCENTILES)
    if high <= low:
        return np.zeros_like(pixels, dtype=np.float32)
    return np.asarray(np.clip((pixels - low) / (high - low), 0.0, 1.0), np.float32)


def film_square(pixels: Floats, size: int) -> Floats:
    """The film squashed to (size, size) as in the paper (section 3.2), stretched to 0..1 in steps of 1/255.

    The steps make the 8-bit training cache and the analysis agree to the last bit.
    """
    return _quantize(stretch(resize(pixels, size, size)))


def rank_equalize(pixels: Floats, lungs: Mask) -> Floats:
    """Replace every value by its rank (0..1) among the values of the lung pixels.

    The result does not depend on any monotone change of brightness, contrast or gamma: what is left is structure.
    Ties get their middle rank. Without lung pixels the whole image is the reference.
    """
    reference = np.sort(pixels[lungs] if lungs.any() else pixels.ravel())
    # A film has at most 256 levels here: ranking them once each is four times faster than ranking every pixel.
    levels, level_of = np.unique(pixels, return_inverse=True)
    ranks = np.searchsorted(reference, levels, "left") + np.searchsorted(reference, levels, "right")
    return (ranks / (2.0 * len(reference))).astype(np.float32)[level_of]


def bounding_box(mask: Mask, margin: float) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the mask with a margin (share of the box's side), inside the image.

    An empty mask gives the whole image.

    >>> mask = np.zeros((100, 100), bool)
    >>> mask[20:40, 50:90] = True
    >>> bounding_box(mask, 0.1)
    (18, 46, 42, 94)
    """
    height, width = mask.shape
    if not mask.any():
        return 0, 0, height, width
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    pad_y, pad_x = round(margin * (bottom - top)), round(margin * (right - left))
    return max(top - pad_y, 0), max(left - pad_x, 0), min(bottom + pad_y, height), min(right + pad_x, width)


def classifier_view(film: Floats, lungs: Mask, view: View) -> tuple[Floats, Mask, tuple[int, int, int, int]]:
    """The classifier's image before the cut, its lung mask, and the box of the film that it shows.

    Args:
        film: (view.film_size, view.film_size), 0..1, from `film_square`.
        lungs: the processed lung mask, same shape.
        view: what of the film is shown.

    Returns:
        image and mask of (view.input_size, view.input_size), image 0..1 in steps of 1/255, and the box
        (top, left, bottom, right) in pixels of `film`.
    """
    if view.equalize == "lungs":
        film = rank_equalize(film, lungs)
    box = bounding_box(lungs, view.crop_margin) if view.crop else (0, 0, *film.shape)
    top, left, bottom, right = box
    image = _without_middle(resize(film[top:bottom, left:right], view.input_size, view.input_size), view.rectangle)
    mask = resize_mask(lungs[top:bottom, left:right], view.input_size, view.input_size)
    return _quantize(image), mask, box


def _without_middle(image: Floats, share: float) -> Floats:
    """Black over a square in the middle whose side is a share of the image's."""
    edge = round((1 - share) / 2 * len(image))
    if share:
        image = image.copy()
        image[edge : len(image) - edge, edge : len(image) - edge] = 0
    return image


def seen(image: Floats, lungs: Mask, view: View) -> Floats:
    """What the classifier sees: everything outside the lungs black (paper section 3.2, fig. 6), inside, or all."""
    if view.cut:
        return np.where(lungs, image, np.float32(0.0))
    return np.where(lungs, np.float32(0.0), image) if view.blackout else image


def network_input(image: Floats, lungs: Mask, view: View) -> Floats:
    """What the network is given of the view's image and mask (S, S): (1, view.channels, S, S), 0..1."""
    given = [seen(image, lungs, view), lungs.astype(np.float32)]
    return np.stack(given[: view.channels])[None]


def _quantize(pixels: Floats) -> Floats:
    return np.asarray(np.rint(pixels * 255.0) / 255.0, np.float32)
