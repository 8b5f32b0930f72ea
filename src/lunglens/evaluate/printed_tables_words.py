"""Where the paper's printed figures disagree with each other or with its own definitions, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lunglens.evaluate.printed_tables import (
    AVERAGES,
    FOLD_10_MATRIX,
    FOLD_NEGATIVES,
    FOLD_POSITIVES,
    FOLDS,
    NEGATIVES,
    POSITIVES,
    TABLE_6,
    TABLE_7,
    Fit,
    Matrix,
    Printed,
    interval,
    mean_as_printed,
    mean_of_folds,
    percent,
    pooled,
    reconstructed,
)
from lunglens.files import markdown_table

_FOLD = FOLD_POSITIVES + FOLD_NEGATIVES


@dataclass(frozen=True)
class Inconsistency:
    """One place where printed figures do not follow from each other or from the paper's definitions.

    place: where in the paper. printed, recomputed: the figures beside each other. finding: what that shows.
    """

    place: str
    printed: str
    recomputed: str
    finding: str


def paper_inconsistencies() -> list[Inconsistency]:
    """Everything in tables 5 to 7, the abstract and the text that recomputing contradicts, in the paper's order."""
    return [
        _schedule(),
        _accuracy_column(),
        _specificity_column(),
        *_averages(),
        _baselines_are_one_fold(),
        _two_specificities(),
        _efficientnet(),
    ]


def paper_report() -> str:
    """The reconstructed folds, the averages, table 7 and the inconsistencies as Markdown."""
    folds = list(zip(TABLE_6, reconstructed(TABLE_6), strict=True))
    baselines = list(zip(TABLE_7.values(), reconstructed(list(TABLE_7.values())), strict=True))
    total = pooled([fit.matrix for _, fit in folds])
    return "\n".join(
        [
            "# The paper's printed figures, recomputed",
            "",
            f"{POSITIVES} COVID and {NEGATIVES} non-COVID images in {FOLDS} stratified folds: {FOLD_POSITIVES} and "
            f"{FOLD_NEGATIVES} a fold. Of the {(FOLD_POSITIVES + 1) * (FOLD_NEGATIVES + 1):,} confusion matrices that "
            "such a fold can have, exactly one gives each printed row. Percentages agree where the last printed "
            "decimal is the exact value rounded or cut off.",
            "",
            *markdown_table(
                ["row", "printed acc / sens / spec, %", *_MATRIX_HEAD, "the printed columns hold"], _rows(folds)
            ),
            "",
            f"Over all ten folds: {_counts(total)}. By the paper's equations (2) to (4): accuracy "
            f"{_of(total, 'accuracy')} %, sensitivity {_of(total, 'sensitivity')} %, specificity "
            f"{_of(total, 'specificity')} %; PPV {_of(total, 'PPV')} %, NPV {_of(total, 'NPV')} %.",
            "",
            *markdown_table(
                ["averages as printed", "acc / sens / spec, %"], [[row.place, _printed(row)] for row in AVERAGES]
            ),
            "",
            *markdown_table(
                ["row", "printed acc / sens / spec, %", *_MATRIX_HEAD, "the printed columns hold"], _rows(baselines)
            ),
            "",
            "## What does not fit",
            "",
            *(
                f"{number}. **{item.place}.** Printed: {item.printed}. Recomputed: {item.recomputed}. {item.finding}"
                for number, item in enumerate(paper_inconsistencies(), 1)
            ),
            "",
            f"Of figures 13 and 14 only fold 10's matrix was used ({_counts(FOLD_10_MATRIX)}); all other matrices "
            "are inferred from the printed percentages. None of this says how the slips came about, nor that a model "
            "is better or worse than printed on other data.",
            "",
        ]
    )


_MATRIX_HEAD = ["TP", "FN", "TN", "FP", "acc", "bal. acc", "sens", "spec", "PPV", "NPV"]


def _schedule() -> Inconsistency:
    return Inconsistency(
        "Table 5",
        "learning rate 0.01, range 0.1-0.05; steps at 30, 60, 90; 25 epochs",
        "0.01 < 0.05; 30 > 25",
        "The learning rate chosen lies outside the range given, and no step of its schedule falls within the training.",
    )


def _accuracy_column() -> Inconsistency:
    one_wrong = reconstructed(TABLE_6[:1])[0].matrix
    return Inconsistency(
        "Table 6, accuracy of folds 1, 3, 4, 8",
        "98.78",
        f"{_of(one_wrong, 'accuracy')} = {_FOLD - 1}/{_FOLD}",
        f"No share of {_FOLD} images prints as 98.78 ({_FOLD - 1} right: {percent(Fraction(_FOLD - 1, _FOLD))}, "
        f"{_FOLD - 2} right: {percent(Fraction(_FOLD - 2, _FOLD))}). It is the balanced accuracy, the mean of "
        f"sensitivity and specificity, of {_counts(one_wrong)}. Fold 10's 97.80 = 89/91 is the accuracy by equation "
        "(2) (its balanced accuracy is 97.56), so the column holds two measures.",
    )


def _specificity_column() -> Inconsistency:
    return Inconsistency(
        "Table 6, specificity of folds 1, 3, 4, 8 and 10",
        "98.03; 96.15",
        "100.00 = 50/50 in each",
        "With 50 non-COVID images a specificity is a multiple of 2 %. 98.03 is 50/51 (cut off; 98.04 rounded) and "
        "96.15 is 50/52: TN/(TN+FN), the negative predictive value, not TN/(TN+FP) as in equation (4). By equation (4) "
        "the specificity is 100 % in all ten folds.",
    )


def _averages() -> list[Inconsistency]:
    accuracy, sensitivity = mean_of_folds("accuracy"), mean_of_folds("sensitivity")
    balanced, npv = mean_of_folds("balanced accuracy"), mean_of_folds("NPV")
    exact = {column: mean_as_printed(column) for column in ("accuracy", "sensitivity", "specificity")}
    return [
        Inconsistency(
            "Average accuracy: table 6 against abstract, section 4.3, table 7, conclusions",
            "99.29; 99.26",
            f"{_places(exact['accuracy'])} from the folds as printed; {percent(accuracy)} = 904/910 by equation (2)",
            f"99.29 follows from the printed folds, 99.26 does not. The mean balanced accuracy of the ten folds is "
            f"{_places(balanced)}, which cut off gives 99.26.",
        ),
        Inconsistency(
            "Average sensitivity: everywhere",
            "98.53",
            f"{_places(exact['sensitivity'])} from the folds as printed; {percent(sensitivity)} = 404/410",
            "The same figure everywhere, cut off rather than rounded.",
        ),
        Inconsistency(
            "Average specificity: section 4.3 against abstract, tables 6 and 7, conclusions",
            "98.52; 98.82",
            f"{_places(exact['specificity'])} from the folds as printed; 100.00 = 500/500 by equation (4)",
            f"98.82 follows from the printed folds, cut off; 98.52 does not follow from them. Both stand for a mean of "
            f"negative predictive values (exactly {_places(npv)}).",
        ),
    ]


def _baselines_are_one_fold() -> Inconsistency:
    matrices = [fit.matrix for fit in reconstructed(list(TABLE_7.values()))]
    right = [matrix.tp + matrix.tn for matrix in matrices]
    ranges = [interval(count, _FOLD) for count in right]
    said = "; ".join(
        f"{row.place.removeprefix('Table 7, ')} {count}/{_FOLD}, {100 * low:.1f} to {100 * high:.1f} %"
        for row, count, (low, high) in zip(TABLE_7.values(), right, ranges, strict=True)
    )
    return Inconsistency(
        "Table 7, the three baselines",
        "; ".join(_printed(row) for row in TABLE_7.values()),
        "; ".join(_counts(matrix) for matrix in matrices),
        f"Each row fits one fold of {_FOLD} images exactly, and section 4.3 calls the matrices of figure 14 the "
        "optimal ones. Counts summed over ten folds would fit only if each were a multiple of ten. So one fold of each "
        "baseline seems to be set against the mean of ten folds of the proposed model. Exact 95 % intervals of that "
        f"one fold's accuracy: {said}. EfficientNetB4's holds the proposed model's 904/910 = 99.34 %: the table does "
        "not show that the proposed model is more accurate than EfficientNetB4. A comparison needs all "
        "ten folds of each.",
    )


def _two_specificities() -> Inconsistency:
    return Inconsistency(
        "Table 7, specificity",
        "94.00; 96.00; 96.15; 98.82",
        "94.00 = 47/50; 96.00 = 48/50; 100.00 = 50/50; 100.00 = 500/500",
        "Of ResNet152 and DenseNet121 the column holds the specificity by equation (4), of EfficientNetB4 and the "
        "proposed model the negative predictive value: its rows cannot be compared with each other.",
    )


def _efficientnet() -> Inconsistency:
    return Inconsistency(
        "Table 7, EfficientNetB4 against table 6, fold 10",
        "97.56 / 95.12 / 96.15; 97.80 / 95.12 / 96.15",
        f"{_counts(FOLD_10_MATRIX)} in both; accuracy {_of(FOLD_10_MATRIX, 'accuracy')} = 89/91",
        "The same confusion matrix with two accuracies: EfficientNetB4's is the balanced accuracy, fold 10's the "
        "accuracy. By its counts, that fold of EfficientNetB4 equals the proposed model's worst fold.",
    )


def _rows(found: Sequence[tuple[Printed, Fit]]) -> list[list[str]]:
    rows = []
    for row, fit in found:
        shares = ["-" if value is None else percent(value) for value in fit.matrix.measures().values()]
        holds = " / ".join(" or ".join(names) for names in fit.holds.values())
        rows.append([row.place, _printed(row), *map(str, fit.matrix), *shares, holds])
    return rows


def _printed(row: Printed) -> str:
    return f"{row.accuracy} / {row.sensitivity} / {row.specificity}"


def _counts(matrix: Matrix) -> str:
    return f"TP {matrix.tp}, FN {matrix.fn}, TN {matrix.tn}, FP {matrix.fp}"


def _of(matrix: Matrix, measure: str) -> str:
    value = matrix.measures()[measure]
    return "-" if value is None else percent(value)


def _places(share: Fraction) -> str:
    """A share in % with three decimals, so that rounding and cutting off can be told apart."""
    return f"{float(share) * 100:.3f}"
