"""A film as the networks see it: the right way round, in the right polarity, and judged."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import ModelPackageError
from lunglens.film.gate.judge import GateResult, LinearCheck, gate_features, judge, weigh_doubt
from lunglens.film.gate.upright import guess_orientation
from lunglens.film.lungs.segmenter import Segmentation, segment_square
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import LungsParameters, OrientationParameters
from lunglens.film.orientation import AS_STORED, Orientation
from lunglens.film.preprocess import Floats, Mask, film_square, resize_mask
from lunglens.film.radiograph import Radiograph

_MIRROR = Orientation(mirrored=True)


@dataclass(frozen=True, eq=False)
class Look:
    """One way to see a film, and what lung network and gate make of it.

    film: as it was read. to_display: from its stored pixels to the usual display.
    mirrored, inverted: what the networks were given beyond that.
    segmentation, gate: of what the networks were given.
    """

    film: Radiograph
    to_display: Orientation
    mirrored: bool
    inverted: bool
    segmentation: Segmentation
    gate: GateResult

    @property
    def pixels(self) -> Floats:
        """(H, W) as the networks see it, at full size."""
        seen = self.to_display.then(_MIRROR if self.mirrored else AS_STORED).apply(self.film.pixels)
        return np.float32(1) - seen if self.inverted else seen

    def displayed(self, seen: NDArray[Any]) -> NDArray[Any]:
        """What the networks gave (h, w), in the usual display."""
        return _MIRROR.undo(seen) if self.mirrored else seen

    def lungs(self) -> Mask:
        """The lung fields (H, W) as the film's pixels are stored."""
        return self._stored(self.segmentation.mask.fields)

    def region(self) -> Mask:
        """What the lungs package's own post-processing cuts to, likewise."""
        return self._stored(self.segmentation.mask.region)

    def _stored(self, mask: Mask) -> Mask:
        shape = self.to_display.apply(self.film.pixels).shape
        return self.to_display.undo(resize_mask(self.displayed(mask), *shape))

    @cached_property
    def sides(self) -> tuple[Mask, Mask]:
        """The patient's (left, right) lung at the network's size, in the usual display."""
        mask = self.segmentation.mask
        return lung_sides(self.displayed(mask.fields)) if self.mirrored else mask.sides


def look_at(
    film: Radiograph, lungs: ModelPackage[LungsParameters], orientation: ModelPackage[OrientationParameters]
) -> Look:
    """See a film as its header says; turned or mirrored by its pixels only if the gate then accepts it.

    A film that is accepted in no way is returned as its header says.
    """
    stated = film.to_display or AS_STORED
    square = film_square(stated.apply(film.pixels), lungs.input_size)
    guess = guess_orientation(square, orientation)
    ways = [(turns, guess.mirrored[turns]) for turns in (guess.quarter_turns, 0)]
    for turns, mirrored in dict.fromkeys([*ways, (0, False)]):
        seen = Orientation(turns, mirrored).apply(square)
        segmentation, gate, inverted = _judged(film, seen, lungs)
        look = Look(film, stated.then(Orientation(turns)), mirrored, inverted, segmentation, gate)
        if gate.accepted:
            break
    return look


def _judged(
    film: Radiograph, seen: Floats, lungs: ModelPackage[LungsParameters]
) -> tuple[Segmentation, GateResult, bool]:
    """Segment and judge; a film that looks inverted is turned, and kept so if the gate then accepts it."""
    settings, checks = lungs.parameters.postprocess, lungs.parameters.gate
    if checks is None:
        raise ModelPackageError(f"{lungs.folder}: its gate is not fitted; do that first: lunglens train gate")
    frontal, inverted = LinearCheck.of(checks.frontal), LinearCheck.of(checks.inverted)
    segmentation = segment_square(seen, lungs, settings)
    gate = weigh_doubt(judge(film.pixels, segmentation, frontal), film.doubt)
    if inverted.score(gate_features(segmentation)) <= inverted.threshold:
        return segmentation, gate, False
    negative = segment_square(np.float32(1) - seen, lungs, settings)
    negative_gate = weigh_doubt(judge(film.pixels, negative, frontal), film.doubt)
    if negative_gate.accepted:
        return negative, negative_gate, True
    return segmentation, gate, False
