"""Which ingredient of the classifier brings how much: one left out at a time, same split, same number of steps.

    python benchmarks/classifier_ablation.py STUDY --out runs/ablation

STUDY is curated by the configuration held-out, with folds in which Hannover, Montgomery and Shenzhen are external;
every variant is a run folder of `lunglens fit`; finished ones are not run again. Prints one table and
writes it to OUT/ablation.json. The runs are shorter and smaller (128 px) than the shipped model's, so that all of them
fit into an hour on two cores: compare the rows with each other, not with the card.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lunglens.files import write_json
from lunglens.jobs import Job, JobResult, run_jobs
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study
from lunglens.train import fit_classifier

SHORT = {
    "optimization": {"epochs": 3, "weight_average": None},
    "images_per_epoch": 6000,
    "view": {"input_size": 128},
    "augment": {"mask_jitter_px": 2},
}
NEUTRAL_APPEARANCE = {
    "gamma": (1.0, 1.0),
    "contrast": (1.0, 1.0),
    "brightness": 0.0,
    "salt_pepper_probability": 0.0,
    "blur_probability": 0.0,
    "sharpen_probability": 0.0,
    "noise_probability": 0.0,
}
VARIANTS: dict[str, dict[str, object]] = {
    "all ingredients": {},
    "without cut (uncut box)": {"view": {"cut": False}},
    "without rank equalisation": {"view": {"equalize": "none"}},
    "without crop to the lungs' box": {"view": {"crop": False}},
    "without random appearance": {"augment": NEUTRAL_APPEARANCE},
    "without source x label balance": {"balance_power": 1.0},
    "paper's view: cut, no crop, no equalisation": {"view": {"equalize": "none", "crop": False}},
    "paper's view, uncut": {"view": {"equalize": "none", "crop": False, "cut": False}},
}
COLUMNS = {
    "Hannover vs Shenzhen": "covid of hannover, not covid of shenzhen",
    "vs Montgomery": "covid of hannover, not covid of montgomery",
}


def one_after_the_other(work: Sequence[Job], console: Console) -> list[JobResult]:
    return run_jobs(work, 1, console)


def changed(config: ClassifierConfig, changes: dict[str, object]) -> ClassifierConfig:
    """The configuration with `changes` laid over it; sections merge."""
    values = config.model_dump()
    for name, change in changes.items():
        values[name] = {**values[name], **change} if isinstance(change, dict) else change
    return ClassifierConfig.model_validate(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="held-out")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="only this variant (repeatable)")
    arguments = parser.parse_args()
    study = load_study(arguments.study)
    base = changed(load_config(arguments.config).classifier, SHORT)
    table = {}
    for name in arguments.only or VARIANTS:
        changes = VARIANTS[name]
        folder = arguments.out / "".join(c if c.isalnum() else "-" for c in name)
        if not (folder / "metrics.json").exists():
            fit_classifier(study, changed(base, changes), folder, one_after_the_other, Console(stderr=True))
        metrics = json.loads((folder / "metrics.json").read_text())
        table[name] = {column: metrics["external"][key]["auroc"] for column, key in COLUMNS.items()}
        table[name]["validation"] = metrics["pooled"]["auroc"]
        write_json(arguments.out / "ablation.json", table)
        print(f"{name:48}", *(f"{value if value is not None else '-':>8}" for value in table[name].values()))


if __name__ == "__main__":
    main()
