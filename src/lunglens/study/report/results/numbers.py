"""Every number of the results page, as it goes to `results.json`, and the sentences at its top."""

from pathlib import Path
from typing import Any

from lunglens.errors import DataError
from lunglens.evaluate.figures.classifier import SHOWN
from lunglens.evaluate.figures.style import percent, spread
from lunglens.files import read_json

Numbers = dict[str, Any]
FACTS = ("model", "seed", "date", "parameters", "gflops", "cpu_ms", "hardware", "versions")


def read_run(folder: Path, kind: str, study: str | None = None) -> Numbers:
    """`run.json` and `metrics.json` of a finished run, with its folder's name.

    Raises:
        DataError: it is not finished, or a run of another kind or on another study.
    """
    about, metrics = (read_json(folder / name, "finish the run with crossval") for name in ("run.json", "metrics.json"))
    if about.get("kind") != kind:
        raise DataError(f"{folder}: a run of kind {about.get('kind')!r}, not {kind}")
    check_study(folder, about.get("study", {}), study)
    return {"name": folder.name, "folder": folder, "about": about, "metrics": metrics}


def check_study(folder: Path, found: Numbers, study: str | None) -> None:
    """Raise DataError where a fingerprint is given and the folder's study has another."""
    if study is not None and found.get("fingerprint") != study:
        raise DataError(f"{folder}: is of another study ({found.get('name')}); give it as --control, or not at all")


def run_row(run: Numbers) -> Numbers:
    """One run in a line: cross-validated against never seen, AUROC and accuracy with intervals."""
    metrics, about = run["metrics"], run["about"]
    pooled, unseen = metrics["pooled"], metrics["external"].get("all")
    return {
        "name": run["name"],
        "study": about["study"]["name"],
        "model": about["model"],
        "cut": about["cut"],
        "films": pooled["n"],
        "classes": pooled["classes"],
        "auroc": spread(pooled["auroc"], pooled["auroc_95_ci"]),
        "accuracy": _percents(pooled, "accuracy"),
        "unseen": None if unseen is None else about.get("unseen", {}).get("name", "external sources of the study"),
        "unseen_n": None if unseen is None else unseen["n"],
        "unseen_auroc": None if unseen is None else spread(unseen["auroc"], unseen["auroc_95_ci"]),
        "unseen_accuracy": None if unseen is None else _percents(unseen, "accuracy"),
    }


def measures_rows(run: Numbers) -> list[Numbers]:
    """Rows of all measures in percent: all folds, within each source, never seen; "-" where undefined."""
    metrics = run["metrics"]
    parts = [("cross-validated, all folds", metrics["pooled"])]
    parts += [(f"cross-validated, {name}", found) for name, found in metrics["by_source"].items()]
    parts += [
        (f"not trained on: {'all films' if name == 'all' else name}", found)
        for name, found in metrics["external"].items()
    ]
    return [
        {
            "films": name,
            "n": found["n"],
            "without": found["without_group"],
            **{measure: _percents(found, measure) for measure in SHOWN},
        }
        for name, found in parts
    ]


def folds_rows(run: Numbers) -> list[Numbers]:
    """Rows as in the paper's table 6."""
    return [
        {"fold": fold, "n": found["n"], **{measure: percent(found[measure]) for measure in SHOWN}}
        for fold, found in run["metrics"]["folds"].items()
    ]


def headline(study: Numbers, runs: list[Numbers], controls: list[Numbers]) -> list[str]:
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


def lungs_rows(run: Numbers) -> list[Numbers]:
    """All films and each source: mean with interval, median, 5th percentile of Dice, IoU, HD95, ASSD."""
    metrics = run["metrics"]
    return [
        {
            "films": name,
            "n": found["dice"]["n"],
            "dice": spread(found["dice"]["mean"], found["dice"]["mean_95_ci"], 4),
            "median": f"{found['dice']['median']:.4f}",
            "low": f"{found['dice']['percentile_5']:.4f}",
            "iou": f"{found['iou']['mean']:.4f}",
            "hd95": f"{found['hd95_px']['mean']:.1f}",
            "assd": f"{found['assd_px']['mean']:.2f}",
        }
        for name, found in {"all": metrics["pooled"], **metrics["by_source"]}.items()
    ]


def _percents(found: Numbers, measure: str) -> str:
    between = found.get(f"{measure}_95_ci")
    return percent(found[measure], 1) + (f" ({percent(between[0], 1)} to {percent(between[1], 1)})" if between else "")
