"""The arms of a sweep beside each other, by finding: a row an arm, as JSON and as Markdown.

    python tools/measure_arms.py SWEEP STUDY... --out results/arms.json

SWEEP: folder of `lunglens sweep`. STUDY: its studies, and those its models were tested on: they tell the findings.
"""

import argparse
from pathlib import Path

import pandas as pd

from lunglens.evaluate.arms import arm_measures
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.run_record import METRICS, read_classifier_run
from lunglens.evaluate.systems.record import read_swept
from lunglens.files import markdown_table, write_json
from lunglens.study.folder import load_study
from lunglens.train.crossval.classifier import VALIDATED
from lunglens.train.crossval.run_folder import gather


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tables = [load_study(study).table for study in arguments.studies]
    findings = pd.concat(tables).drop_duplicates("image_id").set_index("image_id")["label"]
    found = {}
    for swept in read_swept(arguments.sweep).runs:
        folder = arguments.sweep / swept.folder
        if not (folder / METRICS).is_file():
            continue
        run = read_classifier_run(folder)
        predictions = read_predictions(folder / "predictions.csv", run.classes)
        validation = gather(folder, run.folds, VALIDATED)
        found[swept.folder] = arm_measures(predictions, validation, findings, run.classes, run.seed)
        found[swept.folder] |= {"gflops": run.gflops, "draws": run.draws, "train_seconds": run.train_seconds}
    write_json(arguments.out, found)
    for kind in ("auroc", "called"):
        columns = list(dict.fromkeys(words for arm in found.values() for words in arm[kind]))
        names = {"auroc": "value", "called": "share"}
        rows = [[name, *(_cell(arm[kind].get(words), names[kind]) for words in columns)] for name, arm in found.items()]
        print("\n".join(markdown_table(["arm", *columns], rows)), "\n")


def _cell(measured: dict | None, name: str) -> str:
    if measured is None or measured[name] is None:
        return "-"
    low, high = measured["95_ci"] or ("-", "-")
    return f"{measured[name]:.3f} ({low} to {high})"


if __name__ == "__main__":
    main()
