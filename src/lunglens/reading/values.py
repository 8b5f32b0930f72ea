"""What all formats share: the size check, and the way from values to gray in 0..1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import UnreadableImageError

MIN_SIDE = 64


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Raise UnreadableImageError unless the image is at least MIN_SIDE px each way and max_pixels px at most."""
    if rows * columns > max_pixels:
        raise UnreadableImageError(
            f"{columns} x {rows} px are more than the {max_pixels} allowed. Raise the pixel limit if you trust it."
        )
    if min(rows, columns) < MIN_SIDE:
        raise UnreadableImageError(
            f"{columns} x {rows} px are too few. Give the full image, at least {MIN_SIDE} px each way."
        )


def scale(array: NDArray[Any], notes: list[str], full_scale: int | None = None) -> NDArray[np.float32]:
    """Values to 0..1: by their full scale where integers have one, else by min..max where they leave 0..1."""
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(np.float32) / np.float32(full_scale or 256**array.dtype.itemsize - 1)
    if not np.isfinite(array).all():
        raise UnreadableImageError("some values are not finite. Replace them.")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return array.astype(np.float32)
    notes.append("values scaled by their minimum and maximum")
    # Halves, because high - low of extreme doubles overflows.
    span = (high / 2 - low / 2) or 1.0
    return np.asarray(np.clip((array / 2 - low / 2) / span, 0, 1), np.float32)


def luma(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.asarray([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    return np.asarray(np.clip(colour @ weights, 0, 1), np.float32)
