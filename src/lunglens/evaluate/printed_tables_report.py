"""The paper's printed figures recomputed, and where they disagree, as Markdown; the words lie in files beside this."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files

from pydantic import BaseModel

from lunglens.evaluate import printed_tables as paper
from lunglens.evaluate.printed_tables import Matrix, Printed, percent
from lunglens.files import markdown_table, templates

_MATRIX_HEAD = ["TP", "FN", "TN", "FP", "acc", "bal. acc", "sens", "spec", "PPV", "NPV"]


class _Inconsistency(BaseModel):
    """One place where printed figures do not follow from each other or from the paper's definitions.

    place: where in the paper. printed, recomputed: the figures beside each other. finding: what that shows.
    """

    place: str
    printed: str
    recomputed: str
    finding: str


def paper_inconsistencies() -> list[_Inconsistency]:
    """Everything in tables 5 to 7, the abstract and the text that recomputing contradicts, in the paper's order."""
    content = tomllib.loads(files(__package__).joinpath("printed_tables.toml").read_text(encoding="utf-8"))
    return [_Inconsistency.model_validate(one) for one in content["inconsistency"]]


def paper_report() -> str:
    """The reconstructed folds, the averages, table 7 and the inconsistencies as Markdown."""
    averages = [[row.place, _printed(row)] for row in paper.AVERAGES]
    template = templates(__package__).get_template("printed_tables.md.jinja")
    text = template.render(
        positives=paper.POSITIVES,
        negatives=paper.NEGATIVES,
        folds=paper.FOLDS,
        fold_positives=paper.FOLD_POSITIVES,
        fold_negatives=paper.FOLD_NEGATIVES,
        table_6=_table(paper.TABLE_6),
        total=paper.pooled([fit.matrix for fit in paper.reconstructed(paper.TABLE_6)]),
        averages="\n".join(markdown_table(["averages as printed", "acc / sens / spec, %"], averages)),
        table_7=_table(list(paper.TABLE_7.values())),
        inconsistencies=paper_inconsistencies(),
        fold_10=paper.FOLD_10_MATRIX,
        counts=_counts,
        of=_of,
    )
    return f"{text}\n"


def _table(printed: Sequence[Printed]) -> str:
    rows = []
    for row, fit in zip(printed, paper.reconstructed(printed), strict=True):
        shares = ["-" if value is None else percent(value) for value in fit.matrix.measures().values()]
        holds = " / ".join(" or ".join(names) for names in fit.holds.values())
        rows.append([row.place, _printed(row), *map(str, fit.matrix), *shares, holds])
    head = ["row", "printed acc / sens / spec, %", *_MATRIX_HEAD, "the printed columns hold"]
    return "\n".join(markdown_table(head, rows))


def _printed(row: Printed) -> str:
    return f"{row.accuracy} / {row.sensitivity} / {row.specificity}"


def _counts(matrix: Matrix) -> str:
    return f"TP {matrix.tp}, FN {matrix.fn}, TN {matrix.tn}, FP {matrix.fp}"


def _of(matrix: Matrix, measure: str) -> str:
    value = matrix.measures()[measure]
    return "-" if value is None else percent(value)
