"""Warnings of a film: what its reading, its orientation and the sizes of its lungs leave in doubt."""

from collections.abc import Iterator

from lunglens.film.finding import Lung
from lunglens.film.gate.look import Look
from lunglens.film.language import say
from lunglens.film.orientation import AS_STORED
from lunglens.film.radiograph import Radiograph

# Montgomery's 138 films, whose pixels are known to be 0.0875 mm: masks of 149 to 599 cm2, both lungs, at the detector.
_PLAUSIBLE_CM2 = (100, 800)
_MOST_UNEQUAL = 2.0  # larger : smaller lung; above it 7 of 415 accepted adult films (benchmarks/doubted_films.py)


def film_warnings(film: Radiograph, look: Look) -> tuple[str, ...]:
    """About the film itself, whatever becomes of it."""
    warnings = list(film.warnings)
    if film.doubt is not None and look.gate.accepted:  # a refusal gives it as a reason
        warnings.insert(0, say("{doubt}: the pixels decide", doubt=film.doubt))
    if look.inverted:
        warnings.append(say("the film's polarity is inverted (air bright): corrected before the analysis"))
    warnings += _orientation_warnings(film, look)
    if min(film.pixels.shape) < 224:
        warnings.append(say("small image: shorter side under 224 px"))
    return tuple(warnings)


def doubtful_sizes(left: Lung, right: Lung) -> Iterator[str]:
    """Warnings about sizes that lungs hardly have: the outline, or the header's pixel spacing, may be wrong."""
    smaller, larger = sorted((left.area_px, right.area_px))
    if larger > _MOST_UNEQUAL * smaller:
        times = larger / max(smaller, 1)
        if left.area_px > right.area_px:
            yield say("unequal lungs: the left one is {times:.1f} times the other", times=times)
        else:
            yield say("unequal lungs: the right one is {times:.1f} times the other", times=times)
    if left.area_cm2 is not None and right.area_cm2 is not None:
        both, (least, most) = left.area_cm2 + right.area_cm2, _PLAUSIBLE_CM2
        if not least <= both <= most:
            yield say(
                "implausible lung area: {area:.0f} cm2, where adults have {least} to {most}",
                area=both,
                least=least,
                most=most,
            )


def _orientation_warnings(film: Radiograph, look: Look) -> Iterator[str]:
    """What the pixels say of the film's orientation, where it is not what the header says, or it says nothing."""
    stated = film.to_display or AS_STORED
    if look.to_display != stated:
        turn = stated.inverse().then(look.to_display)
        if film.to_display is None:
            yield say("the film was {turned}, judged by its pixels: check left and right", turned=turn.words)
        else:
            yield say(
                "the film was {turned}, judged by its pixels, against its header: check left and right",
                turned=turn.words,
            )
    if look.mirrored:
        yield say("heart on the wrong side: mirrored film or dextrocardia; left and right may be swapped")
