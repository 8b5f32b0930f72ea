"""Why printed figures are higher: systems under the conditions of their publications, and without them.

    python benchmarks/printed_conditions.py --data DATA --study studies/paper-3 --out runs/conditions

Two experiments, each a handful of ordinary runs, which are not run again once finished:
children  COVID-19 of one collection against healthy children of another (Kermany's, as most of the twelve had it), five
          folds by image; then the same models on adults: COVID-19 of Hannover, healthy films of ChestX-ray14. And one
          of them once more with the lungs blacked out.
by image  the paper's study in folds by image, and in folds by patient.
Prints a table and writes OUT/conditions.json.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from lunglens.evaluate.run_record import ClassifierMetrics
from lunglens.files import save_csv, write_json, write_record
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.jobs import run_jobs
from lunglens.study.build import Order, curate
from lunglens.study.config import load_config
from lunglens.study.config.study import StudyConfig
from lunglens.study.folder import Study, fingerprint, load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.train import crossval_classifier

# Settings of a CPU: 128 px; the publications' own epochs on the 100 films of the first experiment.
SMALL = ["classifier.view.film_size=256", "classifier.view.input_size=128"]
BLACK = ["classifier.view.blackout=true"]
CHILDREN: dict[str, Any] = {
    "name": "children",
    "classes": [
        {"name": "covid", "sources": ["covid-chestxray-dataset", "hannover"], "labels": ["covid"]},
        {"name": "normal", "sources": ["kermany-v7", "nih-chestxray14"], "labels": ["normal"]},
    ],
    "criteria": [
        {"kind": "modality"},
        {"kind": "view", "keep_unknown": True},
        {"kind": "finding"},
        {"kind": "duplicates", "drop": True},
        {"kind": "sample", "sources": ["covid-chestxray-dataset", "kermany-v7"], "images": 50},
        {"kind": "sample", "sources": ["hannover", "nih-chestxray14"], "images": 150},
    ],
}
CHILDREN_RUNS: list[tuple[str, str, list[str]]] = [
    ("covidx-net-lite", "film", []),
    ("covidx-net-lite", "lungs blacked out", BLACK),
    ("narin-lite", "film", []),
]
ADULTS = ("hannover", "nih-chestxray14")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    out, jobs = arguments.out, arguments.jobs
    found: dict[str, Any] = {}
    small = _children(arguments.data, out / "studies")
    for system, words, changes in CHILDREN_RUNS:
        metrics = _run(small, system, changes, out, f"children-{system}-{words[:4]}", jobs)
        found[f"children, {system}, {words}"] = _row(metrics, "external")
        write_json(out / "conditions.json", found)
    for by, study in (("image", _by_image(arguments.study, out / "studies")), ("patient", load_study(arguments.study))):
        metrics = _run(study, "darkcovidnet", ["classifier.optimization.epochs=20"], out, f"by-{by}", jobs)
        found[f"paper's study by {by}, darkcovidnet"] = _row(metrics, None)
        write_json(out / "conditions.json", found)
    for name, row in found.items():
        print(name, row)


def _children(data: Path, folder: Path) -> Study:
    """The first experiment's study, folded by image; adults are external."""
    out = folder / "children"
    config = StudyConfig.model_validate(CHILDREN)
    curate(Order(data, config, Path(), load_package(shipped_models() / "lungs", "lungs")), out, Console())
    study = _forget_patients(load_study(out)) if not (out / "folds.csv").exists() else load_study(out)
    write_folds(study, FoldSettings(folds=5, external=ADULTS))
    return study


def _by_image(original: Path, folder: Path) -> Study:
    """A study whose films are each a patient of their own, in as many folds."""
    out = folder / f"{original.name}-by-image"
    if not (out / "folds.csv").exists():
        shutil.copytree(original, out, ignore=shutil.ignore_patterns("folds.*"))
        write_folds(_forget_patients(load_study(out)), FoldSettings(folds=3))
    return load_study(out)


def _forget_patients(study: Study) -> Study:
    save_csv(study.table.assign(group_id=study.table["image_id"]), study.folder / "manifest.csv")
    found = fingerprint(study.folder, study.table)
    write_record(study.folder / "study.json", study.record.model_copy(update={"fingerprint": found}))
    return load_study(study.folder)


def _run(study: Study, system: str, changes: list[str], out: Path, name: str, jobs: int) -> ClassifierMetrics:
    config = load_config(system, [*SMALL, *changes]).classifier
    metrics = crossval_classifier(
        study, config, out / name, lambda work, console: run_jobs(work, jobs, console), Console()
    )
    assert metrics is not None  # noqa: S101 - all folds were asked for
    return metrics


def _row(metrics: ClassifierMetrics, never_seen: str | None) -> dict[str, Any]:
    """Out of fold, and where asked for on the films that are in no fold."""
    names = ("n", "accuracy", "accuracy_95_ci", "auroc", "auroc_95_ci", "sensitivity", "specificity")
    assert metrics.pooled is not None  # noqa: S101
    row: dict[str, Any] = {"in folds": {name: getattr(metrics.pooled, name) for name in names}}
    if never_seen is not None:
        row["adults"] = {name: getattr(metrics.external["all"], name) for name in names}
    return row


if __name__ == "__main__":
    main()
