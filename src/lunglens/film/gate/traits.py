"""What the pixels tell of how a frontal film was made: from which side, of a child, how well."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lunglens.film.gate.judge import LinearCheck, gate_features
from lunglens.film.language import say
from lunglens.film.lungs.segmenter import Segmentation
from lunglens.film.model_package.record import Check
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import Radiograph

AP, CHILD = "ap", "child"
# What a film is warned of, with the score that the check gives it.
_WARNINGS = {
    CHILD: partial(say, "looks like a child's film (score {score:.2f} of 1): the models learned from adults"),
    "over-exposed": partial(say, "looks over-exposed (score {score:.2f} of 1): faint opacities may be burnt out"),
    "under-exposed": partial(say, "looks under-exposed (score {score:.2f} of 1): noise may pass for opacities"),
    "moved": partial(say, "looks blurred by motion (score {score:.2f} of 1): faint opacities may be lost"),
}
TRAITS = (AP, *_WARNINGS)
_APART_PX = (1, 2, 3, 4, 6, 8, 12)  # of the square that the lung network sees
SHARPNESS = 2 * len(_APART_PX)


class Trait(NamedTuple):
    """A score, 0..1, and from which one the film is taken to have the trait."""

    score: float
    threshold: float

    @property
    def is_there(self) -> bool:
        """The decision."""
        return self.score >= self.threshold


class Projection(NamedTuple):
    """From which side the film was taken: AP (lying in bed, most often) or PA (standing).

    stated: by the header; else by the pixels. ap_score: 0..1, what the pixels say; None where no check tells.
    """

    name: Literal["AP", "PA"]
    stated: bool
    ap_score: float | None


def trait_features(segmentation: Segmentation) -> NDArray[np.float64]:
    """What the gate's other checks see, and how sharp the film is in the lungs, (C + 8 + SHARPNESS,)."""
    return np.concatenate([gate_features(segmentation), _sharpness(segmentation)])


def _sharpness(segmentation: Segmentation) -> NDArray[np.float64]:
    """Log mean difference of pixels some way apart, down and across, against that of the farthest: blur lowers the near
    ones, motion in one direction."""
    film, region = segmentation.film, segmentation.mask.region
    inside = resize_mask(region, *film.shape)
    apart = [(film[way:] - film[:-way], inside[way:]) for way in _APART_PX]
    apart += [(film[:, way:] - film[:, :-way], inside[:, way:]) for way in _APART_PX]
    seen = [np.abs(steps[within] if within.any() else steps).mean() for steps, within in apart]
    logs: NDArray[np.float64] = np.log(np.array(seen, np.float64) + 1e-4)
    farthest: float = (logs[len(_APART_PX) - 1] + logs[-1]) / 2
    return logs - farthest


def traits_of(segmentation: Segmentation, checks: Mapping[str, Check]) -> dict[str, Trait]:
    """By name, of those that the lungs package has checks for."""
    known = {name: LinearCheck.of(check) for name, check in checks.items() if name in TRAITS}
    if not known:
        return {}
    features = trait_features(segmentation)
    return {name: Trait(check.score(features), check.threshold) for name, check in known.items()}


def projection(film: Radiograph, traits: Mapping[str, Trait]) -> Projection | None:
    """The header's word where it is plain, else the pixels'; None where nothing tells."""
    by_pixels, words = traits.get(AP), (film.view or "").split()
    score = None if by_pixels is None else by_pixels.score
    if words[:1] == ["AP"]:
        return Projection("AP", stated=True, ap_score=score)
    if words[:1] == ["PA"]:
        return Projection("PA", stated=True, ap_score=score)
    if by_pixels is None:
        return None
    return Projection("AP" if by_pixels.is_there else "PA", stated=False, ap_score=score)


def trait_warnings(film: Radiograph, traits: Mapping[str, Trait]) -> Iterator[str]:
    """In words; none of a child where the header gives the age."""
    for name, warning in _WARNINGS.items():
        header_says = name == CHILD and film.age_years is not None
        if name in traits and traits[name].is_there and not header_says:
            yield warning(score=traits[name].score)
