"""When no class is answered, but "cannot tell", and why: reasons that a package brings limits for."""

from collections.abc import Iterator, Mapping

from lunglens.film.answer import Answer
from lunglens.film.gate.traits import CHILD, Trait
from lunglens.film.language import say
from lunglens.film.model_package.record import AnswerSettings
from lunglens.film.radiograph import Radiograph

_ADULT_YEARS = 18
# Reason -> what it says of the film, in a line of the panel.
REASONS: dict[str, str] = {
    "unsure": say("not one class alone is possible"),
    "lungs": say("its lungs are doubtful"),
    "far": say("unlike all films of the training"),
    "child": say("a child's film; the training was on adults"),
}


def reasons_to_abstain(
    settings: AnswerSettings,
    answer: Answer,
    film: Radiograph,
    traits: Mapping[str, Trait],
    *,
    doubtful_lungs: bool,
    distance: float | None,
) -> Iterator[str]:
    """Those of `REASONS` that hold; none where the classifier's package has no `abstention`.

    Args:
        settings: of the classifier.
        answer: its own.
        film: whose header may give the age.
        traits: what the pixels tell.
        doubtful_lungs: whether their outline was warned of.
        distance: from the films of the training, as the graph gives it.
    """
    limits = settings.abstention
    if limits is None:
        return
    if not answer.is_sure:
        yield "unsure"
    if doubtful_lungs:
        yield "lungs"
    if distance is not None and limits.far_above is not None and distance > limits.far_above:
        yield "far"
    looks_so = CHILD in traits and traits[CHILD].is_there
    if looks_so if film.age_years is None else film.age_years < _ADULT_YEARS:
        yield "child"
