"""Which ingredient of the classifier brings how much: one left out at a time, same split, same number of steps.

    python benchmarks/classifier_ablation.py --data DATA --out runs/ablation

Every variant is a run folder of `lunglens train classifier`; finished ones are not run again. Prints one table and
writes it to OUT/ablation.json. The runs are shorter and smaller (128 px) than the shipped model's, so that all of them
fit into an hour on two cores: compare the rows with each other, not with the card.
"""

import argparse
import json
from pathlib import Path

from lunglens.files import write_json
from lunglens.film.model_package.package import shipped_models
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.stages import classifier_stage

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
ONE_SOURCE_A_SIDE = {
    "positive": {"covid-chestxray-dataset": ("covid",)},
    "negative": {"nih-chestxray14": ("normal",)},
}
VARIANTS: dict[str, dict[str, object]] = {
    "all ingredients": {},
    "without cut (uncut box)": {"view": {"cut": False}},
    "without rank equalisation": {"view": {"equalize": "none"}},
    "without crop to the lungs' box": {"view": {"crop": False}},
    "without random appearance": {"augment": NEUTRAL_APPEARANCE},
    "without source x label balance": {"balance_power": 1.0},
    "one source a side (the easy success)": ONE_SOURCE_A_SIDE,
    "paper's view: cut, no crop, no equalisation": {"view": {"equalize": "none", "crop": False}},
    "paper's view, uncut": {"view": {"equalize": "none", "crop": False, "cut": False}},
}
COLUMNS = {
    "Hannover vs Shenzhen normal": "external: COVID against shenzhen normal",
    "vs Montgomery normal": "external: COVID against montgomery normal",
    "vs Shenzhen TB": "external: COVID against shenzhen tuberculosis",
    "vs pneumonia, own source": "test: within covid-chestxray-dataset, against other pneumonia",
    "own mixture": "test: all",
}


def changed(config: ClassifierConfig, changes: dict[str, object]) -> ClassifierConfig:
    """The configuration with `changes` laid over it; sections merge, sources are replaced."""
    values = config.model_dump()
    for name, change in changes.items():
        merge = isinstance(change, dict) and name not in ("positive", "negative")
        values[name] = {**values[name], **change} if merge else change
    return ClassifierConfig.model_validate(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="held-out")
    parser.add_argument("--lungs", type=Path, default=shipped_models() / "lungs")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="only this variant (repeatable)")
    arguments = parser.parse_args()
    base = changed(load_config(arguments.config).classifier, SHORT)
    table = {}
    for name in arguments.only or VARIANTS:
        changes = VARIANTS[name]
        folder = arguments.out / "".join(c if c.isalnum() else "-" for c in name)
        if not (folder / "metrics.json").exists():
            classifier_stage(arguments.data, changed(base, changes), arguments.lungs, folder)
        metrics = json.loads((folder / "metrics.json").read_text())
        table[name] = {column: metrics.get(key, {}).get("auc") for column, key in COLUMNS.items()}
        write_json(arguments.out / "ablation.json", table)
        print(f"{name:48}", *(f"{value if value is not None else '-':>8}" for value in table[name].values()))


if __name__ == "__main__":
    main()
