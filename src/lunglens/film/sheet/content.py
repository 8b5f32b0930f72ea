"""What the page says, before it is HTML or PDF, and the HTML; nothing of it names the patient."""

import base64
from dataclasses import dataclass

from lunglens.files import templates
from lunglens.film.about import PREVALENCE
from lunglens.film.answer import at_prevalence
from lunglens.film.model_package.record import ClassifierParameters, MeasuredRow, Record
from lunglens.film.statements import Line, percent, worth


@dataclass(frozen=True)
class _Meaning:
    """What a positive and a negative answer are worth at a prevalence, by one measurement of the model.

    films: what it was measured on. n: how many of the positive class, and others.
    sensitivity, specificity: with 95 % intervals.
    ppv, npv: by Bayes' theorem, in percent; "-" where nobody would be called so.
    """

    films: str
    n: tuple[int, int]
    sensitivity: str
    specificity: str
    ppv: str
    npv: str


@dataclass(frozen=True)
class Sheet:
    """The page's parts.

    title: a name for the film. lines: the finding in words. panel: PNG. prevalence: 0..1, of the positive class.
    positive: its words. decisions: the names of both classes. meanings: none if refused, or of more than two classes.
    """

    title: str
    lines: list[Line]
    panel: bytes
    prevalence: float
    positive: str
    decisions: tuple[str, str]
    meanings: list[_Meaning]
    version: str

    def of(self, *kinds: str) -> list[Line]:
        """The lines of these kinds, in their order."""
        return [line for line in self.lines if line.kind in kinds]


def sheet_of(
    title: str,
    lines: list[Line],
    panel: bytes,
    classifier: Record[ClassifierParameters],
    version: str,
    prevalence: float = PREVALENCE,
    probability: float | None = None,
) -> Sheet:
    """Put a page together.

    Args:
        title: a name for the film.
        lines: from `panel_lines`; a refused film's get no meanings, for it has no answer.
        panel: the panel as PNG.
        classifier: what its package says: its classes, and how it was measured.
        version: of LungLens.
        prevalence: share of the positive class among the reader's patients, above 0 and below 1.
        probability: that the film is of it, as its finding gives it; None if refused.

    Raises:
        ValueError: the prevalence is no such share.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence of {prevalence} is not between 0 and 1")
    positive, other = classifier.parameters.answer.classes[:2]
    has_meaning = classifier.parameters.answer.is_binary and any(line.kind == "probability" for line in lines)
    if probability is not None and (at := at_prevalence(probability, classifier.parameters.answer, prevalence)):
        lines = [worth(positive.words, at) if line.kind == "worth" else line for line in lines]
    meanings = [_meaning(row, prevalence) for row in classifier.measured.rows] if has_meaning else []
    return Sheet(title, lines, panel, prevalence, positive.words, (positive.name, other.name), meanings, version)


def sheet_html(sheet: Sheet) -> str:
    """The page as one HTML file, no script, nothing fetched; it prints on one sheet of A4."""
    panel = "data:image/png;base64," + base64.b64encode(sheet.panel).decode()
    return templates(__package__).get_template("sheet.html.jinja").render(sheet=sheet, panel=panel)


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
    ppv, npv = predictive_values(row.sensitivity, row.specificity, prevalence)
    return _Meaning(
        row.films,
        (row.n_positive, row.n_negative),
        _share(row.sensitivity, row.sensitivity_95_ci),
        _share(row.specificity, row.specificity_95_ci),
        *("-" if value is None else percent(value) for value in (ppv, npv)),
    )


def _share(share: float, interval: list[float]) -> str:
    low, high = interval
    return f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
