"""From the UNet's probability maps to lung fields and to the region that cuts the image (no torch)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lunglens.film.lungs.sides import lung_sides
from lunglens.film.morphology import close, grow, label
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Mask, resize

MASK_SIZE = 512  # every size in the paper's post-processing is meant at 512x512


@dataclass(frozen=True, eq=False)
class LungMask:
    """Lungs at 512x512.

    fields: (512, 512) bool, the network's mask without small islands and holes: what is outlined and measured.
    region: (512, 512) bool, what cuts the image: `fields` after dilation and closing, or the network's second mask.
    maps: (C, 512, 512) float32, 0..1, the network's output, fields first.
    """

    fields: Mask
    region: Mask
    maps: NDArray[np.float32]

    @cached_property
    def sides(self) -> tuple[Mask, Mask]:
        """The (left, right) lung of `fields`, of a film as it is usually displayed."""
        return lung_sides(self.fields)

    @property
    def probability(self) -> NDArray[np.float32]:
        """(512, 512), 0..1, of the fields."""
        fields: NDArray[np.float32] = self.maps[0]
        return fields

    @property
    def region_area_px(self) -> int:
        """Area that the paper's quality threshold (50,000 px) is held against."""
        return int(self.region.sum())


def lung_mask(maps: NDArray[np.float32], settings: Postprocess) -> LungMask:
    """Post-process probability maps (C, H, W), 0..1, as the paper does (section 3.2): dilation, closing, regions."""
    maps = np.stack([resize(one, MASK_SIZE, MASK_SIZE) for one in maps])
    fields = mask_of(maps[0], settings.threshold, settings)
    whole = fields if settings.region == "dilated" else mask_of(maps[1], settings.region_threshold, settings)
    return LungMask(fields, lung_region(whole, settings), maps)


def mask_of(probability: NDArray[np.float32], threshold: float, settings: Postprocess) -> Mask:
    """What of a map is above the threshold, without small islands and holes."""
    return _fill(drop_islands(probability >= threshold, settings.min_island_fraction))


def lung_region(lungs: Mask, settings: Postprocess) -> Mask:
    """Dilation (the paper's: 8 iterations), then closing (2 iterations), with a 3x3 kernel."""
    return close(grow(lungs, settings.dilation_iterations), settings.closing_iterations)


def drop_islands(mask: Mask, min_fraction: float) -> Mask:
    """Keep the connected regions of at least `min_fraction` of the largest one's area."""
    labels, count = label(mask)
    if count <= 1:
        return mask
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return np.asarray((areas >= min_fraction * areas.max())[labels] & mask)


def _fill(mask: Mask) -> Mask:
    """Fill holes: background that does not reach the border."""
    labels, count = label(~mask)
    outside = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False
    return ~outside[labels]
