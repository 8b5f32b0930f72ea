"""Measures of a classifier of two or more classes from a table of probabilities: by fold, pooled, by source, external.

With two classes the first is the positive one and is called where its probability is at least 0.5. With more, the class
with the largest probability is called, and the measures of one class are those of it against the rest, averaged over
the classes that the table holds ("macro").

- sensitivity TP/(TP+FN), specificity TN/(TN+FP), ppv TP/(TP+FP), npv TN/(TN+FN), f1 2TP/(2TP+FP+FN)
- accuracy: share of films called rightly; balanced_accuracy: mean share called rightly over the classes there are
- auroc: area under the ROC curve, ties half; auprc: average precision, the sum of precision x gain in recall
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from lunglens.evaluate.intervals import bootstrap_draws, interval
from lunglens.evaluate.predictions import (
    EXTERNAL,
    THRESHOLD,
    Codes,
    Floats,
    calls,
    check_predictions,
    codes_and_scores,
    cross_validated,
    fold_order,
    groups_of,
)
from lunglens.evaluate.run_record import ClassifierMetrics, MeanOfFolds, Measures

_OF_ONE_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")
MEASURES = ("accuracy", "balanced_accuracy", *_OF_ONE_CLASS)
DIGITS = 6
_ALL = None  # in place of a class: of all films
TOO_FEW = "too few patients: fewer than half of the bootstrap draws define it"

_Key = tuple[str | None, str]  # a class, or _ALL, and a measure


def metrics_of(predictions: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> ClassifierMetrics:
    """The content of a run's `metrics.json`; nothing in it is NaN, and `undefined` says why a measure is None.

    Args:
        predictions: as `read_predictions` returns them.
        classes: in the order of the study; of two, the first is positive.
        seed: of the bootstrap.

    Returns:
        `folds`: measures a fold, without intervals. `mean_of_folds`: for each measure mean, sd (n - 1) and how many
        folds define it. `pooled`, `by_source`: of all folds' films, with 95 % intervals by group. `external`: of
        the films of fold "external": all of them, each source, and with two classes each pair of the positives of one
        source with the negatives of another.
    """
    check_predictions(predictions, classes)
    inside = cross_validated(predictions)
    external = predictions[predictions["fold"] == EXTERNAL]
    folds = {name: measures(inside[inside["fold"] == name], classes) for name in fold_order(inside["fold"])}
    return ClassifierMetrics(
        classes=list(classes),
        threshold=THRESHOLD if len(classes) == 2 else None,
        folds=folds,
        mean_of_folds=mean_of_folds({name: [fold.value(name) for fold in folds.values()] for name in MEASURES}),
        pooled=measures(inside, classes, seed) if len(inside) else None,
        by_source={str(source): measures(rows, classes, seed) for source, rows in inside.groupby("source", sort=True)},
        external={name: measures(rows, classes, seed) for name, rows in external_tables(external, classes).items()},
    )


def measures(table: pd.DataFrame, classes: Sequence[str], seed: int | None = None) -> Measures:
    """Counts, confusion matrix (rows: true class, columns: called) and all measures of rows of predictions.

    With more than two classes also `one_vs_rest`: the same for each class. With a seed each measure has its interval
    `<name>_95_ci` from a bootstrap of whole groups; a film without group counts as a group of its own. The
    interval of a share that is 0 or 1 has no width: a bootstrap cannot draw what it has not seen. `undefined` says why
    a measure or an interval is None.

    >>> table = pd.DataFrame({"class": ["tb", "tb", "normal"], "p_tb": [0.9, 0.4, 0.3], "p_normal": [0.1, 0.6, 0.7]})
    >>> table["image_id"] = table["group_id"] = ["a", "b", "c"]
    >>> found = measures(table, ["tb", "normal"])
    >>> found.confusion, found.value("sensitivity"), found.value("auroc")
    ([[1, 1], [0, 1]], 0.5, 1.0)
    """
    truth, scores = codes_and_scores(table, classes)
    confusion = confusion_matrix(truth, calls(scores), len(classes))
    values = _values(truth, scores, classes)
    draws = None if seed is None else _draws(table, truth, scores, classes, seed)
    of_all = [0] if len(classes) == 2 else _present(confusion)
    found: dict[str, Any] = {
        "n": len(table),
        "groups": len(set(groups_of(table))),
        "without_group": int((table["group_id"] == "").sum()),
        "classes": {name: int(n) for name, n in zip(classes, confusion.sum(axis=1), strict=True)},
        "confusion": confusion.tolist(),
        **_named(_ALL, values, draws, _reasons(confusion, classes, of_all)),
    }
    if len(classes) > 2:
        found["one_vs_rest"] = {
            name: _named(name, values, draws, _reasons(confusion, classes, [index]))
            for index, name in enumerate(classes)
        }
    return Measures.model_validate(found)


def mean_of_folds(measured: Mapping[str, Sequence[float | None]]) -> dict[str, MeanOfFolds]:
    """Each measure over the folds, given a value a fold (None: undefined there)."""
    found = {}
    for name, each in measured.items():
        values = [value for value in each if value is not None]
        mean = round(float(np.mean(values)), DIGITS) if values else None
        sd = round(float(np.std(values, ddof=1)), DIGITS) if len(values) > 1 else None
        found[name] = MeanOfFolds(mean=mean, sd=sd, folds=len(values))
    return found


def external_tables(external: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The sets of external films that are measured: all, each source, and (two classes) pairs across sources."""
    if external.empty:
        return {}
    found = {"all": external} | {str(source): rows for source, rows in external.groupby("source", sort=True)}
    if len(classes) != 2:
        return found
    positive = external["class"] == classes[0]
    for ours in sorted(set(external.loc[positive, "source"])):
        for theirs in sorted(set(external.loc[~positive, "source"]) - {ours}):
            rows = (positive & (external["source"] == ours)) | (~positive & (external["source"] == theirs))
            found[f"{classes[0]} of {ours}, {classes[1]} of {theirs}"] = external[rows]
    return found


def confusion_matrix(truth: Codes, called: Codes, classes: int) -> Codes:
    """(classes, classes) numbers of films: rows the true class, columns the class called."""
    return np.bincount(truth * classes + called, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def auc(target: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative (ties half); NaN with one class.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive = np.asarray(target) == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def average_precision(positive: NDArray[np.bool_], score: Floats) -> float:
    """Sum over the thresholds of precision x gain in recall, equal scores together; NaN with one class.

    >>> round(average_precision(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])), 4)
    0.8333
    """
    n_positive = int(positive.sum())
    if n_positive in (0, len(positive)):
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    found = np.cumsum(positive[order])[last_of_ties]
    return float((np.diff(found, prepend=0) * found / (last_of_ties + 1)).sum() / n_positive)


def _values(
    truth: Codes, scores: Floats, classes: Sequence[str], macro: Sequence[int] | None = None
) -> dict[_Key, float]:
    """MEASURES of all films and, of more than two classes, _OF_ONE_CLASS of each; NaN where undefined.

    macro: numbers of the classes to average over; those of `truth` where it is not given.
    """
    size = len(classes)
    confusion = confusion_matrix(truth, calls(scores), size)
    over = _present(confusion) if macro is None else list(macro)
    with np.errstate(invalid="ignore"):
        recall = confusion.diagonal() / confusion.sum(axis=1)
        each = np.array([_one_class(confusion, truth, scores, index) for index in range(size if size > 2 else 1)])
    several = len(over) > 1
    general = each[0] if size == 2 else each[over].mean(axis=0) if several else np.full(len(_OF_ONE_CLASS), np.nan)
    of_all = [confusion.trace() / len(truth), recall[over].mean() if several else np.nan, *general]
    values: dict[_Key, float] = {(_ALL, name): value for name, value in zip(MEASURES, of_all, strict=True)}
    for name, row in zip(classes if size > 2 else (), each, strict=False):
        values |= {(name, measure): value for measure, value in zip(_OF_ONE_CLASS, row, strict=True)}
    return values


def _one_class(confusion: Codes, truth: Codes, scores: Floats, index: int) -> list[float]:
    """OF_ONE_CLASS of one class against the rest; where all films are on one side, only their share called rightly."""
    tp = confusion[index, index]
    fn, fp = confusion[index].sum() - tp, confusion[:, index].sum() - tp
    tn = len(truth) - tp - fn - fp
    shares = [np.divide(tp, tp + fn), np.divide(tn, tn + fp)]
    if 0 in (tp + fn, tn + fp):
        return [*shares, *[np.nan] * (len(_OF_ONE_CLASS) - 2)]
    positive = truth == index
    shares += [np.divide(tp, tp + fp), np.divide(tn, tn + fn), np.divide(2 * tp, 2 * tp + fp + fn)]
    return [*shares, auc(positive, scores[:, index]), average_precision(positive, scores[:, index])]


def _present(confusion: Codes) -> list[int]:
    """Numbers of the classes that the films are of."""
    return [int(index) for index in np.flatnonzero(confusion.sum(axis=1))]


def _draws(table: pd.DataFrame, truth: Codes, scores: Floats, classes: Sequence[str], seed: int) -> dict[_Key, Floats]:
    """`_values` of every bootstrap draw, averaged over the same classes; all NaN where there is one group only."""
    groups = groups_of(table)
    over = _present(confusion_matrix(truth, calls(scores), len(classes)))
    draws = bootstrap_draws(lambda rows: [*_values(truth[rows], scores[rows], classes, over).values()], groups, seed)
    draws = draws if len(set(groups)) > 1 else np.full_like(draws, np.nan)
    return dict(zip(_values(truth, scores, classes), draws.T, strict=True))


def _named(
    of: str | None, values: dict[_Key, float], draws: dict[_Key, Floats] | None, reasons: dict[str, str]
) -> dict[str, Any]:
    """Names -> values and intervals of all films or of one class, and `undefined` for what is None."""
    found: dict[str, Any] = {}
    undefined: dict[str, str] = {}
    for name in MEASURES if of is _ALL else _OF_ONE_CLASS:
        value = values[of, name]
        defined = not np.isnan(value)
        found[name] = round(float(value), DIGITS) if defined else None
        if not defined:
            undefined[name] = reasons.get(name, reasons["otherwise"])
        if draws is not None:
            found[f"{name}_95_ci"] = interval(draws[of, name], DIGITS) if defined else None
            if defined and found[f"{name}_95_ci"] is None:
                undefined[f"{name}_95_ci"] = TOO_FEW
    return found | {"undefined": undefined}


def _reasons(confusion: Codes, classes: Sequence[str], over: Sequence[int]) -> dict[str, str]:
    """Why a measure can be undefined, by its name, "otherwise" for all others; `over`: classes averaged over."""
    present = _present(confusion)
    if len(present) < 2:
        return {"otherwise": f"all films are {classes[present[0]]}"}
    lacking = [index for index in over if index not in present]
    if lacking:
        return {"otherwise": f"no film is {classes[lacking[0]]}"}
    called = confusion.sum(axis=0)
    never = [classes[index] for index in over if called[index] == 0]
    always = [classes[index] for index in over if called[index] == called.sum()]
    return {
        "ppv": f"{' and '.join(never)} is never called",
        "npv": f"{' and '.join(always)} is always called",
        "otherwise": "it is not defined for these films",
    }
