"""What the pixels tell of how a frontal film was made: from which side, of a child, how well."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from lunglens.film.gate.judge import LinearCheck, gate_features
from lunglens.film.lungs.segmenter import Segmentation
from lunglens.film.model_package.record import Check
from lunglens.film.radiograph import Radiograph

AP, CHILD = "ap", "child"
# What a film is warned of, with the score that the check gives it.
_WARNINGS = {
    CHILD: "looks like a child's film (score {:.2f} of 1): the models learned from adults",
    "over-exposed": "looks over-exposed (score {:.2f} of 1): faint opacities may be burnt out",
    "under-exposed": "looks under-exposed (score {:.2f} of 1): noise may pass for opacities",
    "moved": "looks blurred by motion (score {:.2f} of 1): faint opacities may be lost",
}
TRAITS = (AP, *_WARNINGS)


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


def traits_of(segmentation: Segmentation, checks: Mapping[str, Check]) -> dict[str, Trait]:
    """By name, of those that the lungs package has checks for."""
    features = gate_features(segmentation)
    known = {name: LinearCheck.of(check) for name, check in checks.items() if name in TRAITS}
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
    for name, words in _WARNINGS.items():
        header_says = name == CHILD and film.age_years is not None
        if name in traits and traits[name].is_there and not header_says:
            yield words.format(traits[name].score)
