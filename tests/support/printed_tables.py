"""The figures that the paper prints of its classifiers, and what follows from them by plain arithmetic.

Ahmed, Hossain et al., "Automated COVID-19 Detection from Chest X-Ray Images: A High Resolution Network (HRNet)
Approach": 410 COVID and 500 non-COVID images (section 4.3) in ten folds, so that a stratified fold holds 41 and 50.
Percentages are kept as printed; everything recomputed is an exact fraction, 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from scipy.stats import binomtest

from lunglens.evaluate.figures.comparison import PRINTED
from lunglens.text import markdown_table

POSITIVES, NEGATIVES, FOLDS = 410, 500, 10  # section 4.3
FOLD_POSITIVES, FOLD_NEGATIVES = POSITIVES // FOLDS, NEGATIVES // FOLDS


class Matrix(NamedTuple):
    """Counts of a confusion matrix; COVID is positive."""

    tp: int
    fn: int
    tn: int
    fp: int

    def measures(self) -> dict[str, Fraction | None]:
        """Equations (2) to (4) of the paper, and the measures that its columns may hold instead; None: undefined."""
        sensitivity, specificity = Fraction(self.tp, self.tp + self.fn), Fraction(self.tn, self.tn + self.fp)
        return {
            "accuracy": Fraction(self.tp + self.tn, sum(self)),
            "balanced accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "PPV": Fraction(self.tp, self.tp + self.fp) if self.tp + self.fp else None,
            "NPV": Fraction(self.tn, self.tn + self.fn) if self.tn + self.fn else None,
        }


@dataclass(frozen=True)
class Printed:
    """One row of figures as the paper prints them, in %, and its place in the paper."""

    place: str
    accuracy: str
    sensitivity: str
    specificity: str

    @property
    def figures(self) -> str:
        """All three."""
        return f"{self.accuracy} / {self.sensitivity} / {self.specificity}"


TABLE_6 = (
    Printed("Table 6, fold 1", "98.78", "97.56", "98.03"),
    Printed("Table 6, fold 2", "100.0", "100.0", "100.0"),
    Printed("Table 6, fold 3", "98.78", "97.56", "98.03"),
    Printed("Table 6, fold 4", "98.78", "97.56", "98.03"),
    Printed("Table 6, fold 5", "100.0", "100.0", "100.0"),
    Printed("Table 6, fold 6", "100.0", "100.0", "100.0"),
    Printed("Table 6, fold 7", "100.0", "100.0", "100.0"),
    Printed("Table 6, fold 8", "98.78", "97.56", "98.03"),
    Printed("Table 6, fold 9", "100.0", "100.0", "100.0"),
    Printed("Table 6, fold 10", "97.80", "95.12", "96.15"),
)
AVERAGES = (
    Printed("Abstract", "99.26", "98.53", "98.82"),
    Printed("Section 4.3, text", "99.26", "98.53", "98.52"),
    Printed("Table 6, average", "99.29", "98.53", "98.82"),
    Printed(*PRINTED["hrnet"]),
    Printed("Section 5, conclusions", "99.26", "98.53", "98.82"),
)
TABLE_7 = {name: Printed(*row) for name, row in PRINTED.items() if name != "hrnet"}
# Figure 13a; the text of section 4.3 gives 39 and 50 right and two wrong, which the printed sensitivity makes FN.
FOLD_10_MATRIX = Matrix(tp=39, fn=2, tn=50, fp=0)
# What a printed column may hold: its name's own measure first.
_READINGS = {
    "accuracy": ("accuracy", "balanced accuracy"),
    "sensitivity": ("sensitivity",),
    "specificity": ("specificity", "NPV"),
}


@dataclass(frozen=True)
class Fit:
    """A confusion matrix of one fold that gives a printed row, and the measures that each column then holds.

    holds: printed column -> the measures that fit it; the first is the column's own wherever that fits.
    """

    matrix: Matrix
    holds: dict[str, tuple[str, ...]]


def percent(value: Fraction) -> str:
    """A share with two decimals of a per cent, rounded half up.

    >>> percent(Fraction(50, 52))
    '96.15'
    """
    hundredths = int(value * 10000 + Fraction(1, 2))
    return f"{hundredths // 100}.{hundredths % 100:02}"


def agrees(printed: str, value: Fraction) -> bool:
    """Whether a share prints as this percentage, its last decimal rounded or cut off (the paper does both)."""
    hundredths = Fraction(printed) * 100
    return hundredths in (int(value * 10000), int(value * 10000 + Fraction(1, 2)))


@cache
def fits(row: Printed) -> tuple[Fit, ...]:
    """Every confusion matrix of a stratified fold (41 COVID, 50 non-COVID) that gives the printed row.

    All 42 x 51 of them are tried; the "accuracy" may be accuracy or balanced accuracy, the "specificity" specificity
    or negative predictive value.
    """
    found = []
    for tp in range(FOLD_POSITIVES + 1):
        for tn in range(FOLD_NEGATIVES + 1):
            matrix = Matrix(tp, FOLD_POSITIVES - tp, tn, FOLD_NEGATIVES - tn)
            measures = matrix.measures()
            holds = {
                column: tuple(name for name in names if _agrees(getattr(row, column), measures[name]))
                for column, names in _READINGS.items()
            }
            if all(holds.values()):
                found.append(Fit(matrix, holds))
    return tuple(found)


def reconstructed(rows: Sequence[Printed]) -> list[Fit]:
    """The one matrix behind each row.

    Raises:
        ValueError: a row has none or several.
    """
    found = []
    for row in rows:
        candidates = fits(row)
        if len(candidates) != 1:
            raise ValueError(f"{row.place}: {len(candidates)} confusion matrices fit")
        found.append(candidates[0])
    return found


def pooled(matrices: Sequence[Matrix]) -> Matrix:
    """The sum of matrices.

    >>> pooled([Matrix(1, 2, 3, 4), Matrix(1, 0, 1, 0)])
    Matrix(tp=2, fn=2, tn=4, fp=4)
    """
    return Matrix(*(sum(counts) for counts in zip(*matrices, strict=True)))


def mean_of_folds(measure: str) -> Fraction:
    """The mean over the ten reconstructed folds of table 6 of one of `Matrix.measures`."""
    values = [fit.matrix.measures()[measure] for fit in reconstructed(TABLE_6)]
    return sum((value for value in values if value is not None), Fraction(0)) / len(values)


def mean_as_printed(column: str) -> Fraction:
    """The mean of a column of table 6 over the figures as printed, as a share."""
    return sum((Fraction(getattr(row, column)) / 100 for row in TABLE_6), Fraction(0)) / len(TABLE_6)


def interval(right: int, of: int) -> tuple[float, float]:
    """Exact 95 % interval (Clopper and Pearson 1934) of a share of independent cases."""
    found = binomtest(right, of).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def table(printed: Sequence[Printed]) -> str:
    """Rows as printed, the matrix and the measures behind each, and what its columns then hold, as Markdown."""
    rows = []
    for row, fit in zip(printed, reconstructed(printed), strict=True):
        shares = ["-" if value is None else percent(value) for value in fit.matrix.measures().values()]
        holds = " / ".join(" or ".join(names) for names in fit.holds.values())
        rows.append([row.place, row.figures, *map(str, fit.matrix), *shares, holds])
    head = ["row", "printed acc / sens / spec, %", "TP", "FN", "TN", "FP"]
    head += ["acc", "bal. acc", "sens", "spec", "PPV", "NPV", "the printed columns hold"]
    return "\n".join(markdown_table(head, rows))


def _agrees(printed: str, value: Fraction | None) -> bool:
    return value is not None and agrees(printed, value)
