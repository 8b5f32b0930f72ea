"""What a high score on a set of films would and would not mean; the words lie in `worth.toml` and `worth.md.jinja`."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import pandas as pd

from lunglens.evaluate.confounding import CONSTANT, Confounding, Guess
from lunglens.files import templates

_STRONG_V, _WEAK_V = 0.5, 0.2
_GIVEN_AWAY_AUC, _TELLING_AUC = 0.9, 0.7
_MOST, _FEW = 0.9, 0.1  # shares of images whose source holds one class only

_NAMES = {
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
class _Worth:
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


def worth_of(audit: Confounding) -> _Worth:
    """Say what a high score on the audited set would mean.

    "place" if at least 90 % of the images come from sources of one class, or bias-corrected V is at least 0.5, or size,
    aspect, bits, border and view alone reach an AUC of 0.9; "fair" if those are below 10 %, 0.2 and 0.7, and could be
    measured; "mixed" between. The thresholds are conventions, not laws.
    """
    table = audit.table.loc[:, audit.table.sum() > 0]
    verdict = _verdict(audit) if table.shape[1] > 1 else "no score"
    words = tomllib.loads(files(__package__).joinpath("worth.toml").read_text(encoding="utf-8"))[verdict]
    words = {name: text.strip() for name, text in words.items()}
    limits = {"STRONG_V": _STRONG_V, "WEAK_V": _WEAK_V, "GIVEN_AWAY_AUC": _GIVEN_AWAY_AUC, "TELLING_AUC": _TELLING_AUC}
    template = templates(__package__).get_template("worth.md.jinja")
    sentences = template.make_module({**limits, "feature_name": feature_name})
    if verdict == "no score":
        empty = [str(name) for name, n in audit.table.sum().items() if n == 0]
        return _Worth(verdict, **words, because=(), instead=_lines(sentences, "add", empty)[0])
    both = table[(table > 0).sum(axis=1) > 1]
    within = [f"{source} ({_counts(row)})" for source, row in both.iterrows()]
    poor = [str(name) for name in table if (table[name] > 0).sum() < 2]
    return _Worth(
        verdict,
        **words,
        because=_lines(sentences, "because", audit.share_single_class, audit.association, audit.metadata),
        instead=" ".join(_lines(sentences, "instead", len(table) > 1, within, poor)),
    )


def feature_name(name: str) -> str:
    """A feature of the audit as a reader calls it."""
    return _NAMES.get(name, name)


def _verdict(audit: Confounding) -> Verdict:
    v = audit.association.corrected or 0.0  # None: there is one source, which tells nothing
    area, measured = _file_auc(audit.metadata.file)
    if audit.share_single_class >= _MOST or v >= _STRONG_V or area >= _GIVEN_AWAY_AUC:
        return "place"
    if audit.share_single_class < _FEW and v < _WEAK_V and area < _TELLING_AUC and measured:
        return "fair"
    return "mixed"


def _file_auc(guess: Guess) -> tuple[float, bool]:
    """The AUC, and whether it is known: features that are the same everywhere tell nothing, which is known too."""
    if guess.auc is None:
        return 0.5, guess.why_not == CONSTANT
    return guess.auc, True


def _lines(sentences: object, macro: str, *arguments: object) -> tuple[str, ...]:
    text: str = getattr(sentences, macro)(*arguments)
    return tuple(line for line in text.splitlines() if line)


def _counts(row: pd.Series) -> str:
    return ", ".join(f"{n} {name}" for name, n in row.items() if n)
