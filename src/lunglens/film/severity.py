"""How much of the lungs a COVID-19 pneumonia covers: an estimate of the Brixia score, from the film and its own lungs.

The score (Borghesi and Maroldi 2020, doi:10.1007/s11547-020-01200-3) gives each of six zones 0 (no abnormality), 1
(interstitial infiltrates), 2 (interstitial and alveolar, interstitial dominant) or 3 (alveolar dominant). A, B, C are
the upper, middle and lower zone of the patient's right lung, which lies on the film's left, and D, E, F those of the
left. The radiologists' borders are the aortic arch and the right inferior pulmonary vein; each lung in three equal
heights, as here, is what the score allows where these cannot be told.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lunglens.film.lungs.sides import lung_sides
from lunglens.film.morphology import smooth
from lunglens.film.preprocess import Floats, Mask, bounding_box, resize, stretch

ZONES = ("A", "B", "C", "D", "E", "F")
ZONE_WORDS = {
    letter: f"{side} {height}"
    for letter, (side, height) in zip(
        ZONES, ((side, height) for side in ("right", "left") for height in ("upper", "middle", "lower")), strict=True
    )
}
MOST = 3.0  # of a zone
_MARGIN = 0.05  # around the lungs, as a share of their box
_SPREAD = 1.5  # places of the network's map, standard deviation: a round window about half as high as a zone


@dataclass(frozen=True)
class Severity:
    """An estimate of the Brixia score.

    zones: 0..3 by letter, not rounded. within: of the sum, by how much 95 % of estimates missed two radiologists' mean.
    places: (S, S) float32, 0..3, on the displayed film squashed to a square: `grades_of_places`, 0 outside the lungs;
    None where nobody has asked for them.
    """

    zones: dict[str, float]
    within: float
    places: Floats | None = field(default=None, compare=False, repr=False)

    @property
    def total(self) -> float:
        """The sum of the zones, 0..18."""
        return sum(self.zones.values())

    @property
    def interval(self) -> tuple[float, float]:
        """Where the radiologists' sum lay for 95 % of the films with such an estimate."""
        return max(self.total - self.within, 0.0), min(self.total + self.within, MOST * len(ZONES))


@dataclass(frozen=True, eq=False)
class LungsBox:
    """What the severity network sees of a film.

    image: (S, S) float32, 0..1, the film's box around the lungs, stretched. zones: (6, h, w) bool, the zones in it.
    box: (top, left, bottom, right) of it in the film.
    """

    image: Floats
    zones: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    _shares: dict[tuple[int, int], Floats] = field(default_factory=dict, init=False, repr=False)

    def shares(self, height: int, width: int) -> Floats:
        """(6, height, width): what share (0..1) of each place of a coarse map lies in each zone."""
        if (height, width) not in self._shares:
            of_zones = [resize(zone.astype(np.float32), height, width) for zone in self.zones]
            self._shares[height, width] = np.stack(of_zones)
        return self._shares[height, width]

    def weights(self, height: int, width: int) -> Floats:
        """The same, of every zone with the sum 1: how much each place counts for it."""
        coarse = self.shares(height, width) + np.float32(1e-6)
        return np.asarray(coarse / coarse.sum(axis=(1, 2), keepdims=True), np.float32)


def brixia_zones(lungs: Mask) -> list[Mask] | None:
    """The six zones, in the order of `ZONES`, of lung fields (H, W): each lung in three equal heights.

    None unless both lungs are there and at least three rows high.
    """
    left, right = lung_sides(lungs)
    found: list[Mask] = []
    for lung in (right, left):
        rows = np.flatnonzero(lung.any(axis=1))
        if not len(rows):
            return None
        borders = np.linspace(rows[0], rows[-1] + 1, 4).round().astype(int)
        row = np.arange(lung.shape[0])[:, None]
        found += [lung & (row >= top) & (row < bottom) for top, bottom in pairwise(borders)]
    return found if all(zone.any() for zone in found) else None


def lungs_box(film: Floats, fields: Mask, size: int) -> LungsBox | None:
    """The severity network's view; None where the lungs have no six zones.

    Args:
        film: (H, W), 0..1, bright = dense, squashed to the lungs' square.
        fields: (H, W) the lungs' mask.
        size: side of the image to make.
    """
    zones = brixia_zones(fields)
    if zones is None:
        return None
    top, left, bottom, right = bounding_box(fields, _MARGIN)
    image = resize(stretch(film[top:bottom, left:right]), size, size)
    return LungsBox(image, np.stack(zones)[:, top:bottom, left:right], (top, left, bottom, right))


def zone_scores(maps: Floats, box: LungsBox, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores of the zones, (6,), 0..3.

    Args:
        maps: (2, h, w), the network's answer: what each place adds to its own zone, and what it adds to every zone.
        box: where the zones lie in it.
        offsets: (6,) what each zone has without the film.
    """
    own, shared = np.einsum("zhw,mhw->mz", box.weights(*maps.shape[1:]), maps).astype(np.float64)
    return np.asarray(np.clip(own + shared.mean() + offsets, 0, MOST))


def grades_of_places(maps: Floats, box: LungsBox, offsets: NDArray[np.float64]) -> Floats:
    """What a zone would score that looked like the surroundings of each place: (h, w), 0..3.

    `zone_scores` with a round window about the place, as far as it lies in the lungs, in place of a zone's borders.

    Args: those of `zone_scores`.
    """
    shares = box.shares(*maps.shape[1:])
    near = smooth(shares, _SPREAD)
    lungs = np.maximum(near.sum(axis=0), np.float32(1e-4))
    own = smooth(maps[0] * shares.sum(axis=0), _SPREAD) / lungs
    shared = float((box.weights(*maps.shape[1:]) * maps[1]).sum(axis=(1, 2)).mean())
    of_zones = np.tensordot(offsets.astype(np.float32), near, 1) / lungs
    return np.asarray(np.clip(own + shared + of_zones, 0, MOST), np.float32)
