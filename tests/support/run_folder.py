"""Made-up finished runs of `crossval classifier`, as they lie on disk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CLASSES = ["COVID", "non-COVID"]


def films(n: int = 120, folds: int = 3, classes: list[str] | None = None, seed: int = 0) -> pd.DataFrame:
    """`n` films, two a patient, classes and folds in turn by patient."""
    names = classes or CLASSES
    patient = np.arange(n) // 2
    return pd.DataFrame(
        {
            "image_id": [f"film{number:03}" for number in np.random.default_rng(seed).permutation(n)],
            "class": [names[number % len(names)] for number in patient],
            "source": "phantom",
            "group_id": [f"p{number}" for number in patient],
            "fold": [str(number // len(names) % folds) for number in patient],
        }
    )


def scored(table: pd.DataFrame, quality: float, seed: int, classes: list[str] | None = None) -> pd.DataFrame:
    """Probabilities that lean to the true class: `quality` 0 is guessing."""
    names = classes or CLASSES
    drawn = np.random.default_rng(seed).normal(size=(len(table), len(names)))
    drawn += quality * np.array([[name == true for name in names] for true in table["class"]])
    shares = np.exp(drawn) / np.exp(drawn).sum(axis=1, keepdims=True)
    return table.assign(**{f"p_{name}": shares[:, index] for index, name in enumerate(names)})


def write_run(folder: Path, predictions: pd.DataFrame, model: str = "resnet152", **changes: Any) -> Path:
    """A run folder with `run.json` and `predictions.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = predictions[~predictions["fold"].isin(["external", "unused"])]
    description = {
        "format": 1,
        "kind": "classifier",
        "model": model,
        "study": {"name": "phantom", "fingerprint": "f00"},
        "classes": [name.removeprefix("p_") for name in predictions.columns if name.startswith("p_")],
        "cut": True,
        "config": {"backbone": model, "optimization": {"epochs": 25, "seed": 0}},
        "folds": sorted(set(inside["fold"])),
        "seed": 0,
        "date": "2026-11-24",
        "versions": {},
        "hardware": {"machine": "x86_64", "cores": 2, "gpus": []},
        "parameters": 1_234_567,
        "gflops": 1.5,
        "cpu_ms": 12.0,
    } | changes
    (folder / "run.json").write_text(json.dumps(description), encoding="utf-8")
    predictions.to_csv(folder / "predictions.csv", index=False)
    return folder
