"""The per-fold table of the paper (table 6), with specificity by its definition and NPV and PPV beside it."""

from pathlib import Path

import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.figures.style import percent, percents
from lunglens.evaluate.run_record import ClassifierMetrics, MeanOfFolds, read_classifier_metrics
from lunglens.files import save_csv, write_bytes
from lunglens.text import markdown_table

_COLUMNS = {
    "accuracy": "accuracy %",
    "sensitivity": "sensitivity %",
    "specificity": "specificity %",
    "npv": "NPV %",
    "ppv": "PPV %",
}
_NOTE = (
    "Threshold 0.5. Specificity is TN/(TN+FP); the column that the paper's table 6 calls specificity holds "
    "NPV = TN/(TN+FN). The mean is that of the folds that define a measure, in brackets their standard deviation "
    "(n - 1); pooled is over all films, with 95 % bootstrap intervals by patient. -: undefined in this fold."
)
_NOTE_SEVERAL = (
    "The class with the largest probability is called; all but accuracy are means over the classes, each against the "
    "rest. The mean is that of the folds that define a measure, in brackets their standard deviation (n - 1); "
    "pooled is over all films, with 95 % bootstrap intervals by patient. -: undefined in this fold."
)


def table6(run: Path) -> str:
    """Write `table6.md` and `table6.csv` (shares in percent) into a run of a classifier.

    Returns:
        the Markdown.

    Raises:
        DataError: the run has no metrics.json, or none of its folds was tested.
    """
    metrics = read_classifier_metrics(run)
    if not metrics.folds:
        raise DataError(f"{run / 'metrics.json'}: no fold was tested, so there is no table by fold")
    table = as_table(metrics)
    lines = markdown_table(list(table.columns), table.to_numpy().tolist(), numbers_right=True)
    text = "\n".join(lines) + f"\n\n{_NOTE if len(metrics.classes) == 2 else _NOTE_SEVERAL}\n"
    save_csv(table, run / "table6.csv")
    write_bytes(run / "table6.md", text.encode())
    return text


def as_table(metrics: ClassifierMetrics) -> pd.DataFrame:
    """A row a fold, then the mean of the folds and the pooled measures; all cells text."""
    rows = [
        {"fold": fold, "films": str(found.n), **{title: percent(found.value(name)) for name, title in _COLUMNS.items()}}
        for fold, found in metrics.folds.items()
    ]
    if metrics.pooled is None:
        return pd.DataFrame(rows)
    mean, pooled = metrics.mean_of_folds, metrics.pooled
    total = str(pooled.n)
    rows.append({"fold": "mean (SD)", "films": total, **{_COLUMNS[name]: _mean(mean[name]) for name in _COLUMNS}})
    rows.append({"fold": "pooled", "films": total, **{_COLUMNS[name]: percents(pooled, name) for name in _COLUMNS}})
    return pd.DataFrame(rows)


def _mean(found: MeanOfFolds) -> str:
    sd = "" if found.sd is None else f" ({percent(found.sd)})"
    return percent(found.mean) + sd
