"""How good a lung mask is likely to be, from the network's own map alone."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lunglens.film.language import say
from lunglens.film.lungs.postprocess import LungMask
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.preprocess import Mask


def expected_dice(probability: NDArray[np.float32], mask: Mask) -> float:
    """Dice, 0..1, that a mask is to be expected to have if each pixel is lung with its probability.

    2 sum(p m) / (sum(p) + sum(m)): soft Dice confidence (Borges et al. 2024, arXiv:2402.10665). What was dropped as an
    island or filled as a hole lowers it too.

    Args:
        probability: (H, W), 0..1.
        mask: (H, W).

    >>> round(expected_dice(np.array([[0.9, 0.6, 0.1, 0.0]], np.float32), np.array([[True, True, False, False]])), 4)
    0.8333
    """
    total = float(probability.sum(dtype=np.float64)) + float(mask.sum())
    return 2 * float(probability[mask].sum(dtype=np.float64)) / total if total else 1.0


def doubts(mask: LungMask, parameters: LungsParameters) -> Iterator[str]:
    """A warning where a mask's expected Dice is below what its package holds for doubtful."""
    least = parameters.doubtful_below or []
    told = [expected_dice(*pair) for pair in zip(mask.maps, (mask.fields, mask.region), strict=False)]
    low = [
        say("{dice:.2f} of the {mask} (doubtful below {limit:.2f})", dice=dice, mask=name, limit=limit)
        for name, dice, limit in zip(parameters.masks, told, least, strict=False)
        if dice < limit
    ]
    if low:
        both = low[0] if len(low) == 1 else say("{one} and {other}", one=low[0], other=low[1])
        yield say("torn or doubtful lungs: expected Dice {masks}", masks=both)
