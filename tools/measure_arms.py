"""Runs of two classes beside each other, by finding: a row a run, as JSON and as Markdown.

    python tools/measure_arms.py RUNS STUDY... [--brixia BRIXIA] [--base ARM] --out results/arms.json

RUNS: folder of runs, such as that of a sweep; what --out has of others is kept. STUDY: what they trained on and were
tested on, where the findings stand. BRIXIA: covid-chestxray-dataset's table of both radiologists' scores, for the
numbers by severity. ARM: one of the runs, that the others are held against film by film.
"""

import argparse
from pathlib import Path

import pandas as pd

from lunglens.evaluate.arms import arm_differences, arm_measures
from lunglens.evaluate.brixia import read_brixia
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.run_record import METRICS, read_classifier_run
from lunglens.evaluate.subgroups import levels_of, terciles
from lunglens.files import read_json, write_json
from lunglens.study.folder import load_study
from lunglens.text import markdown_table
from lunglens.train.crossval.classifier import VALIDATED
from lunglens.train.crossval.run_folder import gather


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--brixia", type=Path)
    parser.add_argument("--base")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    tables = [load_study(study).table for study in arguments.studies]
    films = pd.concat(tables).drop_duplicates("image_id").set_index("image_id")
    levels = levels_of(films)
    if arguments.brixia is not None:
        sums = read_brixia(arguments.brixia).sum(axis=1)
        levels["severity"] = terciles(films["path"].map(lambda path: Path(path).name).map(sums))
    found = read_json(arguments.out, "measure the arms again") if arguments.out.exists() else {}
    base = None
    if arguments.base is not None:
        run = read_classifier_run(arguments.runs / arguments.base)
        base = read_predictions(arguments.runs / arguments.base / "predictions.csv", run.classes)
    for folder in folders_of(arguments.runs):
        run = read_classifier_run(folder)
        predictions = read_predictions(folder / "predictions.csv", run.classes)
        validation = gather(folder, run.folds, VALIDATED)
        about = run.model_dump(mode="json", include={"date", "seed", "model", "gflops", "draws", "train_seconds"})
        name = folder.relative_to(arguments.runs).as_posix() if folder != arguments.runs else folder.name
        found[name] = about | {"study": run.study.fingerprint}
        found[name] |= arm_measures(predictions, validation, films["label"], run.classes, run.seed, levels)
        if base is not None and name != arguments.base:
            found[name]["against"] = {arguments.base: arm_differences(predictions, base, films["label"], run.classes)}
    write_json(arguments.out, found)
    for kind in ("auroc", "called"):
        columns = list(dict.fromkeys(words for arm in found.values() for words in arm[kind]))
        names = {"auroc": "value", "called": "share"}
        rows = [[name, *(_cell(arm[kind].get(words), names[kind]) for words in columns)] for name, arm in found.items()]
        print("\n".join(markdown_table(["arm", *columns], rows)), "\n")


def folders_of(runs: Path) -> list[Path]:
    """The finished runs in a folder, or the one run that it is."""
    return sorted(path.parent for path in runs.rglob(METRICS))


def _cell(measured: dict | None, name: str) -> str:
    if measured is None or measured[name] is None:
        return "-"
    low, high = measured["95_ci"] or ("-", "-")
    return f"{measured[name]:.3f} ({low} to {high})"


if __name__ == "__main__":
    main()
