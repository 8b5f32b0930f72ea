"""What a classifier answers of a film: calibrated probabilities, a decision, and which classes are possible at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.film.about import PREVALENCE
from lunglens.film.model_package.record import AnswerSettings

Floats = NDArray[np.float64]
_EDGE = 1e-6  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class AtPrevalence:
    """The probability, 0..1, of the first of two classes where this share of the patients has it."""

    prevalence: float
    probability: float


@dataclass(frozen=True)
class Answer:
    """What the classifier says of a film.

    probabilities: 0..1 by class, in the package's order. Calibrated, they hold at the prevalence that the package
    names, else at the balance of classes in training; they are no risk of a patient.
    decision: a class. threshold: of two classes, from which probability it is the first; None where the decision is the
    most probable of several.
    possible: the classes that are held possible, see `Abstention`; None from a package that does not say.
    at_prevalence: None from a package that is not calibrated, and of more than two classes.
    """

    probabilities: dict[str, float]
    decision: str
    threshold: float | None
    possible: tuple[str, ...] | None = None
    at_prevalence: AtPrevalence | None = None
    is_calibrated: bool = False

    @classmethod
    def of(cls, settings: AnswerSettings, probability: NDArray[Any], prevalence: float = PREVALENCE) -> "Answer":
        """Decide.

        Args:
            settings: of the classifier.
            probability: its output for one film: () of the first of two classes, or (K,).
            prevalence: of the first of two classes among the reader's patients.

        >>> tuberculosis = {"activation": "sigmoid", "classes": [{"name": "tb"}, {"name": "normal"}], "threshold": 0.4}
        >>> Answer.of(AnswerSettings.model_validate(tuberculosis), np.float32(0.5)).decision
        'tb'
        """
        given = np.asarray(probability, np.float64)
        found = np.array([given, 1 - given]) if given.ndim == 0 else given
        if settings.calibration is not None:
            found = cooled(found, settings.calibration.temperature)
        values: list[float] = found.tolist()
        names = [entry.name for entry in settings.classes]
        if settings.threshold is None:
            decision = names[int(np.argmax(values))]
        else:
            decision = names[0] if values[0] >= settings.threshold else names[1]
        possible = None
        if (limits := settings.abstention) is not None:
            least = zip(names, values, limits.possible_from, strict=True)
            possible = tuple(name for name, value, limit in least if value >= limit)
        return cls(
            dict(zip(names, values, strict=True)),
            decision,
            settings.threshold,
            possible,
            at_prevalence(values[0], settings, prevalence),
            settings.calibration is not None,
        )

    @property
    def is_sure(self) -> bool:
        """Whether the class decided for is the only one held possible, as far as that is known."""
        return self.possible is None or self.possible == (self.decision,)


def cooled(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (..., K) whose logarithms are divided by a temperature (Guo et al. 2017, arXiv:1706.04599).

    >>> cooled(np.array([0.9, 0.1]), 2.0)
    array([0.75, 0.25])
    """
    powers = np.clip(probabilities, _EDGE, 1) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def moved(probability: float, held_at: float, prevalence: float) -> float:
    """A probability that holds at one prevalence, at another, by Bayes' theorem.

    >>> round(moved(0.9, held_at=0.5, prevalence=0.1), 3)
    0.5
    """
    odds = prevalence / (1 - prevalence) * (1 - held_at) / held_at
    return odds * probability / (odds * probability + 1 - probability)


def at_prevalence(probability: float, settings: AnswerSettings, prevalence: float) -> AtPrevalence | None:
    """The calibrated probability of the first of two classes at another prevalence; None if it is not calibrated."""
    if settings.calibration is None or settings.calibration.prevalence is None:
        return None
    return AtPrevalence(prevalence, moved(probability, settings.calibration.prevalence, prevalence))
