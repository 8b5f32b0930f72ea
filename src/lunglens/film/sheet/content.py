"""What the page says, in the reader's language, before it is HTML or PDF; and the HTML. Nothing names the patient."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lunglens.files import templates
from lunglens.film.about import PREVALENCE
from lunglens.film.answer import at_prevalence
from lunglens.film.language import ENGLISH, Language, joined, language_of, say
from lunglens.film.model_package.record import AnswerClass, ClassifierParameters, MeasuredRow, Record
from lunglens.film.sheet.pictures import Picture
from lunglens.film.statements import Line, percent, worth

_OWN = ("Status", "Gate", "Models", "Time")  # lines about the program


class Text(NamedTuple):
    """A text and the code of its language: not all that a film's file and a model package say is translated."""

    text: str
    language: str


@dataclass(frozen=True)
class Worth:
    """What a positive and a negative answer are worth at a prevalence: a table, a row a measurement of the model.

    Of the columns the first is what it was measured on.
    """

    heading: str
    note: str
    head: list[str]
    rows: list[tuple[Text, list[str]]]


@dataclass(frozen=True)
class Sheet:
    """The page's parts, in one language.

    name: of such pages. title: a name for the film. headline: the decision and what it is worth.
    notices: for what it is of no use, and for whom the probability holds. facts: label and text of what was found.
    remarks: "warning" or "note", and its text.
    worth: None if refused, or of more than two classes. foot, author: what made it.
    """

    language: str
    name: str
    title: str
    headline: str
    notices: list[str]
    pictures: list[Picture]
    facts: list[tuple[str, str]]
    remarks_heading: str
    remarks: list[tuple[str, Text]]
    worth: Worth | None
    foot: str
    author: str


def sheet_of(  # noqa: PLR0913, PLR0917 - what stands on it
    title: str,
    lines: list[Line],
    pictures: list[Picture],
    classifier: Record[ClassifierParameters],
    version: str,
    prevalence: float = PREVALENCE,
    probability: float | None = None,
    identity: Sequence[tuple[str, str]] = (),
    language: str = ENGLISH,
) -> Sheet:
    """Put a page together.

    Args:
        title: a name for the film.
        lines: from `panel_lines`; a refused film has no answer, and so nothing is said of an answer's worth.
        pictures: of the film.
        classifier: what its package says: its classes, and how it was measured.
        version: of LungLens.
        prevalence: share of the positive class among the reader's patients, above 0 and below 1.
        probability: that the film is of it, as its finding gives it; None if refused.
        identity: label and text of what finds the film again; nothing: the page names nobody.
        language: a code of `languages()`.

    Raises:
        ValueError: the prevalence is no such share, or there is no such language.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence of {prevalence} is not between 0 and 1")
    said, answer = language_of(language), classifier.parameters.answer
    has_worth = answer.is_binary and any(line.kind == "probability" for line in lines)
    rows = classifier.measured.rows if has_worth else []
    if probability is not None and (at := at_prevalence(probability, answer, prevalence)):
        lines = [worth(answer.classes[0].words, at) if line.kind == "worth" else line for line in lines]
    models = [said.of(line.text) for line in lines if line.label == "Models"]
    return Sheet(
        language=language,
        name=said.of(say("LungLens report")),
        title=title,
        headline=said.of(_headline(lines, answer.classes, rows, prevalence)),
        notices=[said.of(text) for text in [*_texts(lines, "notice"), *_texts(lines, "worth")]],
        pictures=[picture._replace(caption=said.of(picture.caption)) for picture in pictures],
        facts=[(said.of(label), said.of(text)) for label, text in [*identity, *_facts(lines)]],
        remarks_heading=said.of(say("Warnings and notes")),
        remarks=[(kind, _text(text, said)) for kind in ("warning", "note") for text in _texts(lines, kind)],
        worth=_worth(rows, answer.classes, prevalence, said) if rows else None,
        foot="; ".join([f"LungLens {version}", *models]),
        author=f"LungLens {version}",
    )


def sheet_html(sheet: Sheet) -> str:
    """The page as one HTML file, no script, nothing fetched; it prints on one sheet of A4."""
    sources = ["data:image/png;base64," + base64.b64encode(picture.png).decode() for picture in sheet.pictures]
    pictures = [(picture.caption, source) for picture, source in zip(sheet.pictures, sources, strict=True)]
    return templates(__package__).get_template("sheet.html.jinja").render(sheet=sheet, pictures=pictures)


def _texts(lines: list[Line], kind: str) -> list[str]:
    return [line.text for line in lines if line.kind == kind]


def _text(text: str, said: Language) -> Text:
    return Text(said.of(text), said.code_of(text))


def _decided(lines: list[Line]) -> tuple[str, str]:
    """The class that is decided for, and why; '' where the lines do not say."""
    found = {bool(line.label): line.text for line in lines if line.kind == "decision"}
    return found.get(True, ""), found.get(False, "")


def _headline(lines: list[Line], classes: list[AnswerClass], rows: list[MeasuredRow], prevalence: float) -> str:
    """The decision, and how often such a decision is right, by the worst and the best of the measurements."""
    if refusals := _texts(lines, "refusal"):
        return say("Refused: {reason}.", reason=refusals[0])
    decision, why = _decided(lines)
    words = {entry.name: entry.words for entry in classes}
    if decision not in words:
        return say("No decision: {why}.", why=why)
    positive = classes[0]
    called = say("Called {words}.", words=words[decision])
    values = [_right(row, prevalence)[0 if decision == positive.name else 1] for row in rows]
    right = [100 * value for value in values if value is not None]
    if not right:
        return called
    low, high = round(min(right)), round(max(right))
    of = say("{low} to {high}", low=low, high=high) if low < high else str(low)
    worth = say(
        "Where {share:.3g} % of the patients have {words}, {of} of 100 such calls are right.",
        share=100 * prevalence,
        words=positive.words,
        of=of,
    )
    return joined(" ", [called, worth])


def _facts(lines: list[Line]) -> list[tuple[str, str]]:
    """What the page lists: nothing of the program's own, and no fact that stands elsewhere on it."""
    found = {line.label: line.text for line in lines if line.kind in ("film", "probability", "opacity", "fact")}
    asked, why = next((line.label for line in lines if line.kind == "probability"), None), _decided(lines)[1]
    if asked is not None and why:
        found[asked] = joined(", ", [found[asked], why])
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


def _right(row: MeasuredRow, prevalence: float) -> tuple[float | None, float | None]:
    return predictive_values(row.sensitivity, row.specificity, prevalence)


def _worth(rows: list[MeasuredRow], classes: list[AnswerClass], prevalence: float, said: Language) -> Worth:
    words = [entry.words for entry in classes]
    heading = say(
        "What the answer is worth where {share:.3g} % of the patients have {words}",
        share=100 * prevalence,
        words=words[0],
    )
    note = say(
        "By Bayes' theorem from how the model was measured; which line comes nearer to your patients, nobody has "
        "measured."
    )
    head = [
        say("Measured on"),
        say("{positive} : other", positive=words[0]),
        say("Sensitivity (95 %)"),
        say("Specificity (95 %)"),
        *(say("“{decision}” is right in", decision=one) for one in words),
    ]
    return Worth(
        heading=said.of(heading),
        note=said.of(note),
        head=list(map(said.of, head)),
        rows=[(_text(row.films, said), list(map(said.of, _cells(row, prevalence)))) for row in rows],
    )


def _cells(row: MeasuredRow, prevalence: float) -> list[str]:
    return [
        f"{row.n_positive} : {row.n_negative}",
        _share(row.sensitivity, row.sensitivity_95_ci),
        _share(row.specificity, row.specificity_95_ci),
        *("-" if value is None else percent(value) for value in _right(row, prevalence)),
    ]


def _share(share: float, interval: list[float]) -> str:
    low, high = interval
    return say("{share:.0f} % ({low:.0f} to {high:.0f})", share=100 * share, low=100 * low, high=100 * high)
