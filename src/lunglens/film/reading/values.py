"""What all formats share: the size check, and the way from values to gray in 0..1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import UnreadableImageError

_MIN_SIDE = 64


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Raise UnreadableImageError unless the image is at least _MIN_SIDE px each way and max_pixels px at most."""
    if rows * columns > max_pixels:
        raise UnreadableImageError(
            f"{columns} x {rows} px are more than the {max_pixels} allowed. Raise the pixel limit if you trust it."
        )
    if min(rows, columns) < _MIN_SIDE:
        raise UnreadableImageError(
            f"{columns} x {rows} px are too few. Give the full image, at least {_MIN_SIDE} px each way."
        )


def scale(values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers of any type and shape -> 0..1 between their own least and greatest; of one value: 1 above zero, else 0.

    What container holds the values says nothing: 12 bits in a file of 16 are the same film.

    Raises UnreadableImageError for values that are not finite.
    """
    # float32 holds every integer of 16 bits, and is twice as fast.
    values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    # Halves, because high - low of extreme doubles overflows.
    low, high = float(values.min()) / 2, float(values.max()) / 2
    if not np.isfinite([low, high]).all():
        raise UnreadableImageError("some values are not finite. Replace them.")
    if not high - low > 0:
        return np.full(values.shape, high > 0, np.float32)
    return np.asarray(np.clip((values / 2 - low) / (high - low), 0, 1), np.float32)


def luma(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luma (H, W) of RGB (H, W, 3) on the same scale (ITU-R BT.601)."""
    return np.asarray(colour @ np.asarray([0.299, 0.587, 0.114], np.float32), np.float32)
