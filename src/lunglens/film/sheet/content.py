"""What the page says, before it is HTML or PDF, and the HTML; nothing of it names the patient."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from lunglens.files import templates
from lunglens.film.about import PREVALENCE
from lunglens.film.answer import at_prevalence
from lunglens.film.model_package.record import ClassifierParameters, MeasuredRow, Record
from lunglens.film.sheet.pictures import Picture
from lunglens.film.statements import Line, percent, worth

_OWN = ("Status", "Gate", "Models", "Time")  # lines about the program


@dataclass(frozen=True)
class _Meaning:
    """What a positive and a negative answer are worth at a prevalence, by one measurement of the model.

    films: what it was measured on. n: how many of the positive class, and others.
    sensitivity, specificity: with 95 % intervals.
    right: predictive values by Bayes' theorem, of the positive answer and of the other; None where nobody would be
    called so. ppv, npv: the same in words.
    """

    films: str
    n: tuple[int, int]
    sensitivity: str
    specificity: str
    right: tuple[float | None, float | None]

    @property
    def ppv(self) -> str:
        return _in_words(self.right[0])

    @property
    def npv(self) -> str:
        return _in_words(self.right[1])


@dataclass(frozen=True)
class Sheet:
    """The page's parts.

    title: a name for the film. headline: the decision and what it is worth. facts: label and text of what was found.
    lines: the finding in words. prevalence: 0..1, of the positive class. positive: its words. decisions: the names of
    both classes. meanings: none if refused, or of more than two classes.
    """

    title: str
    headline: str
    facts: list[tuple[str, str]]
    lines: list[Line]
    pictures: list[Picture]
    prevalence: float
    positive: str
    decisions: tuple[str, str]
    meanings: list[_Meaning]
    version: str

    def of(self, *kinds: str) -> list[Line]:
        """The lines of these kinds, in their order."""
        return [line for line in self.lines if line.kind in kinds]


def sheet_of(  # noqa: PLR0913, PLR0917 - what stands on it
    title: str,
    lines: list[Line],
    pictures: list[Picture],
    classifier: Record[ClassifierParameters],
    version: str,
    prevalence: float = PREVALENCE,
    probability: float | None = None,
    identity: Sequence[tuple[str, str]] = (),
) -> Sheet:
    """Put a page together.

    Args:
        title: a name for the film.
        lines: from `panel_lines`; a refused film's get no meanings, for it has no answer.
        pictures: of the film.
        classifier: what its package says: its classes, and how it was measured.
        version: of LungLens.
        prevalence: share of the positive class among the reader's patients, above 0 and below 1.
        probability: that the film is of it, as its finding gives it; None if refused.
        identity: label and text of what finds the film again; nothing: the page names nobody.

    Raises:
        ValueError: the prevalence is no such share.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence of {prevalence} is not between 0 and 1")
    classes = classifier.parameters.answer.classes
    positive, other = classes[:2]
    has_meaning = classifier.parameters.answer.is_binary and any(line.kind == "probability" for line in lines)
    if probability is not None and (at := at_prevalence(probability, classifier.parameters.answer, prevalence)):
        lines = [worth(positive.words, at) if line.kind == "worth" else line for line in lines]
    meanings = [_meaning(row, prevalence) for row in classifier.measured.rows] if has_meaning else []
    words = {entry.name: entry.words for entry in classes}
    return Sheet(
        title,
        _headline(lines, words, meanings, prevalence),
        [*identity, *_facts(lines)],
        lines,
        pictures,
        prevalence,
        positive.words,
        (positive.name, other.name),
        meanings,
        version,
    )


def sheet_html(sheet: Sheet) -> str:
    """The page as one HTML file, no script, nothing fetched; it prints on one sheet of A4."""
    sources = ["data:image/png;base64," + base64.b64encode(picture.png).decode() for picture in sheet.pictures]
    pictures = [(picture.caption, source) for picture, source in zip(sheet.pictures, sources, strict=True)]
    return templates(__package__).get_template("sheet.html.jinja").render(sheet=sheet, pictures=pictures)


def _headline(lines: list[Line], words: dict[str, str], meanings: list[_Meaning], prevalence: float) -> str:
    """The decision, and how often such a decision is right, by the worst and the best of the measurements."""
    refusal = next((line.text for line in lines if line.kind == "refusal"), None)
    if refusal is not None:
        return f"Refused: {refusal}."
    decision = next((line.text for line in lines if line.kind == "decision" and line.label), "")
    if decision not in words:
        why = next((line.text for line in lines if line.kind == "decision" and not line.label), "")
        return f"No decision: {why}."
    positive, other = [*words.values(), ""][:2]
    is_positive = words[decision] == positive
    called = f"Called {words[decision]}."
    right = [value for row in meanings if (value := row.right[0 if is_positive else 1]) is not None]
    if not right:
        return called
    low, high = (round(100 * value) for value in (min(right), max(right)))
    of = f"{low}" if low == high else f"{low} to {high}"
    who = f"Where {100 * prevalence:.3g} % of the patients have {positive}"
    return f"{called} {who}, {of} of 100 such calls are right." if is_positive or other else called


def _facts(lines: list[Line]) -> list[tuple[str, str]]:
    """What the page lists: nothing of the program's own, and no fact that stands elsewhere on it."""
    found = {line.label: line.text for line in lines if line.kind in ("film", "probability", "opacity", "fact")}
    why = next((line.text for line in lines if line.kind == "decision" and not line.label), None)
    if why is not None and (asked := next((line.label for line in lines if line.kind == "probability"), None)):
        found[asked] += f", {why}"
    return [(label, text) for label, text in found.items() if label not in _OWN]


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float | None, float | None]:
    """Positive and negative predictive value by Bayes' theorem.

    >>> tuple(round(value, 3) for value in predictive_values(0.9, 0.8, 0.1))
    (0.333, 0.986)
    """
    true_positive, false_positive = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_negative, false_negative = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    positive, negative = true_positive + false_positive, true_negative + false_negative
    return (true_positive / positive if positive else None), (true_negative / negative if negative else None)


def _meaning(row: MeasuredRow, prevalence: float) -> _Meaning:
    return _Meaning(
        row.films,
        (row.n_positive, row.n_negative),
        _share(row.sensitivity, row.sensitivity_95_ci),
        _share(row.specificity, row.specificity_95_ci),
        predictive_values(row.sensitivity, row.specificity, prevalence),
    )


def _in_words(share: float | None) -> str:
    return "-" if share is None else percent(share)


def _share(share: float, interval: list[float]) -> str:
    low, high = interval
    return f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
