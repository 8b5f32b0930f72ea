"""Every number of the results page, as it goes to `results.json`, and the sentences at its top."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lunglens.errors import DataError
from lunglens.evaluate.abstention import abstention_of_run
from lunglens.evaluate.figures.classifier import SHOWN
from lunglens.evaluate.figures.style import percent, percents, spread
from lunglens.evaluate.operating_point import false_alarms
from lunglens.evaluate.predictions import THRESHOLD, read_predictions
from lunglens.evaluate.purposes import purpose_rows
from lunglens.evaluate.recalibration import calibration_rows
from lunglens.evaluate.reviewer import reviewer_rows
from lunglens.evaluate.run_record import (
    FINISH,
    ClassifierMetrics,
    ClassifierRun,
    LungMeasures,
    LungMetrics,
    LungsRun,
    Measures,
    StudyName,
    read_classifier_metrics,
    read_classifier_run,
    read_lung_metrics,
    read_run,
)
from lunglens.study.before_covid import before_covid

Numbers = dict[str, Any]
_Pooled = TypeVar("_Pooled", Measures, LungMeasures)
FACTS = ("model", "seed", "date", "parameters", "gflops", "cpu_ms", "hardware", "versions")


@dataclass(frozen=True)
class ClassifierResult:
    """A finished run of `crossval classifier` on disk; pooled: measures over the films of all folds."""

    folder: Path
    about: ClassifierRun
    metrics: ClassifierMetrics
    pooled: Measures


@dataclass(frozen=True)
class LungsResult:
    """A finished run of `crossval lungs` on disk; pooled: measures over the films of all folds."""

    folder: Path
    about: LungsRun
    metrics: LungMetrics
    pooled: LungMeasures


def read_classifier_result(folder: Path, study: str | None = None) -> ClassifierResult:
    """A finished run of a classifier; with `study`, its fingerprint, only one on it.

    Raises:
        DataError: it is not finished, or a run of another kind or on another study.
    """
    about = read_classifier_run(folder)
    check_study(folder, about.study, study)
    metrics = read_classifier_metrics(folder)
    return ClassifierResult(folder, about, metrics, _not_none(metrics.pooled, folder))


def read_lungs_result(folder: Path) -> LungsResult:
    """A finished run on lungs.

    Raises:
        DataError: it is not finished, or a run of another kind.
    """
    about = read_run(folder)
    if not isinstance(about, LungsRun):
        raise DataError(f"{folder}: a run of kind 'classifier', not lungs")
    metrics = read_lung_metrics(folder)
    return LungsResult(folder, about, metrics, _not_none(metrics.pooled, folder))


def _not_none(pooled: _Pooled | None, folder: Path) -> _Pooled:
    if pooled is None:
        raise DataError(f"{folder}: no film was tested in any fold; {FINISH}")
    return pooled


def check_study(folder: Path, found: StudyName, study: str | None) -> None:
    """Raise DataError where a fingerprint is given and the folder's study has another."""
    if study is not None and found.fingerprint != study:
        raise DataError(f"{folder}: is of another study ({found.name}); give it as --control, or not at all")


def run_row(run: ClassifierResult) -> Numbers:
    """One run in a line: cross-validated against never seen, AUROC and accuracy with intervals."""
    about, pooled, unseen = run.about, run.pooled, run.metrics.external.get("all")
    elsewhere = "external sources of the study" if about.unseen is None else about.unseen.name
    return {
        "name": run.folder.name,
        "study": about.study.name,
        "model": about.model,
        "cut": about.cut,
        "films": pooled.n,
        "classes": pooled.classes,
        "auroc": spread(pooled.auroc, pooled.auroc_95_ci),
        "accuracy": percents(pooled, "accuracy", 1),
        "unseen": None if unseen is None else elsewhere,
        "unseen_n": None if unseen is None else unseen.n,
        "unseen_auroc": None if unseen is None else spread(unseen.auroc, unseen.auroc_95_ci),
        "unseen_accuracy": None if unseen is None else percents(unseen, "accuracy", 1),
    }


def measures_rows(run: ClassifierResult) -> list[Numbers]:
    """Rows of all measures in percent: all folds, within each source, never seen; "-" where undefined."""
    metrics = run.metrics
    parts = [("cross-validated, all folds", run.pooled)]
    parts += [(f"cross-validated, {name}", found) for name, found in metrics.by_source.items()]
    parts += [
        (f"not trained on: {'all films' if name == 'all' else name}", found) for name, found in metrics.external.items()
    ]
    return [
        {
            "films": name,
            "n": found.n,
            "without": found.without_group,
            **{measure: percents(found, measure, 1) for measure in SHOWN},
        }
        for name, found in parts
    ]


def folds_rows(run: ClassifierResult) -> list[Numbers]:
    """Rows as in the paper's table 6."""
    return [
        {"fold": fold, "n": found.n, **{measure: percent(found.value(measure)) for measure in SHOWN}}
        for fold, found in run.metrics.folds.items()
    ]


def asked_of(run: ClassifierResult) -> Numbers:
    """What reviewers and hospitals ask of two classes: fixed points, calibration, thresholds, false alarms."""
    classes = run.about.classes
    if len(classes) != 2:
        return {"asked": [], "calibration": [], "purposes": [], "false_alarms": {}, "abstention": {}}
    predictions = read_predictions(run.folder / "predictions.csv", classes)
    asked = reviewer_rows(predictions, classes, run.about.seed)
    purposes = purpose_rows(predictions, classes, run.about.seed)
    balanced = next((one["threshold"] for one in purposes if one["purpose"] == "balanced"), THRESHOLD)
    return {
        "asked": asked,
        "calibration": calibration_rows(predictions, classes),
        "purposes": purposes,
        "false_alarms": false_alarms(before_covid(predictions, classes), classes, balanced, run.about.seed),
        "abstention": abstention_of_run(predictions, classes, run.about.seed),
    }


def headline(study: Numbers, runs: list[ClassifierResult], controls: list[ClassifierResult]) -> list[str]:
    """What the page says first: the gap between cross-validation and films never seen, and the control beside it."""
    said = []
    for run in runs:
        row = run_row(run)
        how = "films cut to the lungs" if row["cut"] else "whole films"
        if row["unseen"] is None:
            said.append(f"{row['model']} on {how}: AUROC {row['auroc']} in cross-validation. Not tested elsewhere.")
        else:
            said.append(
                f"{row['model']} on {how}: AUROC {row['auroc']} and accuracy {row['accuracy']} % in cross-validation; "
                f"on {row['unseen_n']:,} films of other collections AUROC {row['unseen_auroc']} and accuracy "
                f"{row['unseen_accuracy']} %."
            )
    guess = study["confounding"]["metadata_auc"]["file"]
    if guess["auc"] is not None:
        said.append(
            "What the files' metadata alone give away, without a look at any picture: AUC "
            f"{spread(guess['auc'], guess['auc_95_ci'])}."
        )
    for run in controls:
        row = run_row(run)
        beyond = "" if row["unseen"] is None else f"; on films of elsewhere {row['unseen_auroc']}"
        classes = " against ".join(row["classes"])
        said.append(
            f"Control ({row['name']}: {classes}, {row['model']}), where the source cannot give the class away: AUROC "
            f"{row['auroc']} in cross-validation{beyond}."
        )
    return said


def lungs_rows(run: LungsResult) -> list[Numbers]:
    """All films and each source: mean with interval, median, 5th percentile of Dice, IoU, HD95, ASSD."""
    return [
        {
            "films": name,
            "n": found.dice.n,
            "dice": spread(found.dice.mean, found.dice.mean_95_ci, 4),
            "median": f"{found.dice.median:.4f}",
            "low": f"{found.dice.percentile_5:.4f}",
            "iou": f"{found.iou.mean:.4f}",
            "hd95": f"{found.hd95_px.mean:.1f}",
            "assd": f"{found.assd_px.mean:.2f}",
        }
        for name, found in {"all": run.pooled, **run.metrics.by_source}.items()
    ]
