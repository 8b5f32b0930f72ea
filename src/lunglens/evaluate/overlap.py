"""How well predicted lungs agree with masks drawn by people."""

from lunglens.film.preprocess import Mask


def dice(predicted: Mask, truth: Mask) -> float:
    """2 |A and B| / (|A| + |B|), 0..1; two empty masks agree perfectly.

    >>> import numpy as np
    >>> dice(np.array([True, False]), np.array([True, True]))
    0.6666666666666666
    """
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else 1.0


def share_inside(inner: Mask, outer: Mask) -> float:
    """Share of `inner` that lies in `outer`, 0..1; an empty `inner` lies nowhere (0)."""
    area = int(inner.sum())
    return int((inner & outer).sum()) / area if area else 0.0
