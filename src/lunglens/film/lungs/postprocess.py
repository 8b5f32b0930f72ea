"""From the UNet's probability map to lung fields and to the region that cuts the image (no torch)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Mask, resize

MASK_SIZE = 512  # every size in the paper's post-processing is meant at 512x512
_KERNEL = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class LungMask:
    """Lung fields at 512x512.

    fields: (512, 512) bool, the network's mask without small islands and holes: what is outlined and measured.
    region: (512, 512) bool, `fields` after dilation and closing: what cuts the image.
    probability: (512, 512) float32, 0..1, the network's output.
    """

    fields: Mask
    region: Mask
    probability: NDArray[np.float32]

    @property
    def region_area_px(self) -> int:
        """Area that the paper's quality threshold (50,000 px) is held against."""
        return int(self.region.sum())


def lung_mask(probability: NDArray[np.float32], settings: Postprocess) -> LungMask:
    """Post-process a probability map (H, W), 0..1, as the paper does (section 3.2): dilation, closing, regions."""
    probability = resize(probability, MASK_SIZE, MASK_SIZE)
    fields = _fill(drop_islands(probability >= settings.threshold, settings.min_island_fraction))
    return LungMask(fields, lung_region(fields, settings), probability)


def lung_region(fields: Mask, settings: Postprocess) -> Mask:
    """Dilation (8 iterations), then closing (2 iterations), with a 3x3 kernel."""
    region = grow(fields, settings.dilation_iterations)
    if settings.closing_iterations == 0:
        return region
    # Padding, because closing at the image's edge would otherwise erode what touches it.
    width = settings.closing_iterations + 1
    padded = np.pad(region, width)
    closed = ndimage.binary_closing(padded, _KERNEL, iterations=settings.closing_iterations)
    return np.asarray(closed[width:-width, width:-width])


def grow(mask: Mask, iterations: int) -> Mask:
    """Dilation by a 3x3 kernel, `iterations` times: one maximum over a square of 2 * iterations + 1."""
    if iterations == 0:
        return mask
    return np.asarray(ndimage.maximum_filter(mask, size=2 * iterations + 1, mode="constant", cval=False))


def drop_islands(mask: Mask, min_fraction: float) -> Mask:
    """Keep the connected regions of at least `min_fraction` of the largest one's area."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return np.asarray((areas >= min_fraction * areas.max())[labels] & mask)


def _fill(mask: Mask) -> Mask:
    """Fill holes: background that does not reach the border (ten times faster than scipy's binary_fill_holes)."""
    labels, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False
    return ~outside[labels]
