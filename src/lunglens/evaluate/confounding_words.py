"""What a high score on a set of films would and would not mean, in words that depend on the audit's numbers."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from lunglens.evaluate.confounding import CONSTANT, Confounding, Guess

STRONG_V, WEAK_V = 0.5, 0.2
GIVEN_AWAY_AUC, TELLING_AUC = 0.9, 0.7
MOST, FEW = 0.9, 0.1  # shares of images whose source holds one class only

NAMES = {
    "width_px": "width",
    "height_px": "height",
    "aspect": "aspect ratio",
    "bits": "bits a pixel",
    "border_px": "black border",
    "original_width_px": "original width",
    "original_height_px": "original height",
    "view": "view",
    "age_years": "age",
    "age stated": "whether an age is stated",
    "sex stated": "whether a sex is stated",
    "view stated": "whether a view is stated",
    "original size stated": "whether the original size is stated",
}
Verdict = Literal["no score", "place", "mixed", "fair"]


@dataclass(frozen=True)
class Words:
    """What a high score is worth.

    verdict: "place" (the source gives the class away), "mixed", "fair" (nothing of the kind was found), or "no score"
    (one class only). because: the numbers behind it, a sentence each.
    """

    verdict: Verdict
    headline: str
    because: tuple[str, ...]
    would_mean: str
    would_not_mean: str
    instead: str


def plain_words(audit: Confounding) -> Words:
    """Say what a high score on the audited set would mean.

    "place" if at least 90 % of the images come from sources of one class, or bias-corrected V is at least 0.5, or size,
    aspect, bits, border and view alone reach an AUC of 0.9; "fair" if those are below 10 %, 0.2 and 0.7, and could be
    measured; "mixed" between. The thresholds are conventions, not laws.
    """
    table = audit.table.loc[:, audit.table.sum() > 0]
    if table.shape[1] < 2:
        text = "All images are of one class: no model can be judged on this set."
        return Words("no score", text, (), "Nothing: there is no second class to tell apart.", "Anything.", _add(audit))
    verdict = _verdict(audit)
    return Words(verdict, _HEADLINES[verdict], _because(audit), _MEAN[verdict], _NOT_MEAN[verdict], _instead(table))


def feature_name(name: str) -> str:
    """A feature of the audit as a reader calls it."""
    return NAMES.get(name, name)


_HEADLINES: dict[Verdict, str] = {
    "place": "A high score on this set would mostly show that a model can tell where a film comes from.",
    "mixed": "A high score on this set would be part disease, part recognising where a film comes from.",
    "fair": "Nothing measured here gives the class away, so a high score on this set would mean something.",
}
_MEAN: dict[Verdict, str] = {
    "place": "That these classes of these sources differ in something: resolution, sharpness, border, lettering, "
    "view, the patients' age, or disease. The score cannot say in which.",
    "mixed": "That the classes differ in more than the place alone explains, as far as the score is above what "
    "metadata reach.",
    "fair": "That the model tells the classes apart on films like these, from these places, by what is in the picture.",
}
_ELSEWHERE = (
    "Models above an AUC of 0.95 on public mixtures fell to 0.70 in 12 hospitals (Sun et al. 2022) and to 0.38 on the "
    "worst unseen source (Ben Ahmed et al. 2021)."
)
_NOT_MEAN: dict[Verdict, str] = {
    "place": f"That a model recognises the disease, or will in another hospital. {_ELSEWHERE} Cutting the lungs out "
    "does not solve the problem.",
    "mixed": f"That the same score will be reached in another hospital. {_ELSEWHERE}",
    "fair": "That the same score will be reached in another hospital, or on patients chosen otherwise. What metadata "
    "do not show (lettering, sharpness, who was X-rayed and why) can still tell the class.",
}


def _verdict(audit: Confounding) -> Verdict:
    v = audit.association.corrected or 0.0  # None: there is one source, which tells nothing
    area, measured = _file_auc(audit.metadata.file)
    if audit.share_single_class >= MOST or v >= STRONG_V or area >= GIVEN_AWAY_AUC:
        return "place"
    if audit.share_single_class < FEW and v < WEAK_V and area < TELLING_AUC and measured:
        return "fair"
    return "mixed"


def _file_auc(guess: Guess) -> tuple[float, bool]:
    """The AUC, and whether it is known: features that are the same everywhere tell nothing, which is known too."""
    if guess.auc is None:
        return 0.5, guess.why_not == CONSTANT
    return guess.auc, True


def _because(audit: Confounding) -> tuple[str, ...]:
    file, metadata = audit.metadata.file, audit.metadata
    said = [_single_class(audit.share_single_class), _association(audit)]
    said.append(_auc("Without a look at the picture, the file's size, aspect, bits, border and view", file))
    worst = metadata.worst
    if worst is not None and worst.auc is not None and worst.auc >= TELLING_AUC:
        said.append(f"Of these, {feature_name(worst.features[0])} alone is the worst giveaway: AUC {worst.auc:.2f}.")
    if metadata.stated.auc is not None:
        said.append(_auc("What the publisher states at all (age, sex, view, original size) would", metadata.stated))
    if metadata.patient.auc is not None:
        said.append(_auc("The patients' age and sex", metadata.patient))
    return tuple(said)


def _single_class(share: float) -> str:
    if share == 0:
        return "Every source holds more than one class."
    all_of = "All images come" if share == 1 else f"{100 * share:.1f} % of the images come"
    return f"{all_of} from a source that holds one class only: whoever recognises the source knows the class."


def _association(audit: Confounding) -> str:
    found = audit.association
    if found.v is None or found.corrected is None:
        return "There is one source, so the source does not tell the class."
    strength = "strong" if found.corrected >= STRONG_V else "weak" if found.corrected < WEAK_V else "moderate"
    return (
        f"Source and class go together with Cramer's V = {found.v:.2f} ({found.corrected:.2f} bias-corrected), a "
        f"{strength} association (0: independent, 1: one tells the other; strong from {STRONG_V}, weak below {WEAK_V})."
    )


def _auc(what: str, guess: Guess) -> str:
    if guess.auc is None:
        return f"{what} could not be tested: {guess.why_not}."
    interval = f", 95 % interval {guess.auc_95_ci[0]:.2f} to {guess.auc_95_ci[1]:.2f}" if guess.auc_95_ci else ""
    if guess.auc >= GIVEN_AWAY_AUC:
        strength = "give the class away"
    elif guess.auc >= TELLING_AUC:
        strength = "tell much of the class"
    elif guess.auc_95_ci and guess.auc_95_ci[0] > 0.5:
        strength = "tell a little of the class"
    else:
        strength = "tell nothing measurable of the class"
    return f"{what} {strength}: AUC {guess.auc:.2f}{interval} (0.5 is chance)."


def _instead(table: pd.DataFrame) -> str:
    both = table[(table > 0).sum(axis=1) > 1]
    said = []
    if len(both) and len(table) > 1:
        places = "; ".join(f"{source} ({_counts(row)})" for source, row in both.iterrows())
        said.append(f"Score the model within sources that hold several classes: {places}.")
    poor = [str(name) for name in table if (table[name] > 0).sum() < 2]
    if poor:
        have = "has one source only" if len(poor) == 1 else "have one source each"
        said.append(f"{' and '.join(poor)} {have}, so no source can be left out of training to test on; add another.")
    else:
        said.append("Leave whole sources out of training and score the model on them.")
    said.append("Give the AUC that metadata alone reach beside every score.")
    return " ".join(said)


def _counts(row: pd.Series) -> str:
    return ", ".join(f"{n} {name}" for name, n in row.items() if n)


def _add(audit: Confounding) -> str:
    empty = [str(name) for name, n in audit.table.sum().items() if n == 0]
    return f"Add images of {' and '.join(empty) or 'another class'}, best of all from the same sources."
