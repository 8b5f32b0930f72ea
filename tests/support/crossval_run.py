"""Made-up run folders of cross-validations."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from lunglens.evaluate.run_record import ClassifierMetrics, LungMetrics
from lunglens.files import write_json


def log_of(folder: Path, start: int, epochs: range, loss: float, metric: str = "accuracy") -> Path:
    """A log as lightning writes it: validation and training of an epoch in rows of their own."""
    path = folder / "log" / f"start-{start}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    rows = [f"epoch,step,train_loss,validation_{metric},validation_loss"]
    for epoch in epochs:
        rows += [f"{epoch},9,,{0.5 + epoch / 100},{loss + epoch + 0.5}", f"{epoch},9,{loss + epoch},,"]
    path.write_text("\n".join(rows) + "\n")
    return path


def run_folder(run: Path, table: pd.DataFrame, metrics: ClassifierMetrics | LungMetrics) -> Path:
    is_lungs = isinstance(metrics, LungMetrics)
    about: dict[str, Any] = {"format": 1, "model": "small", "config": {}, "folds": list(metrics.folds), "seed": 0}
    about |= {"date": "2026-11-24", "versions": {}, "hardware": {"machine": "x86_64", "cores": 2, "gpus": []}}
    if isinstance(metrics, LungMetrics):
        about |= {"kind": "lungs", "data": "f00", "folding": {}}
    else:
        study = {"name": "phantom", "fingerprint": "f00"}
        about |= {"kind": "classifier", "study": study, "classes": metrics.classes, "cut": True}
    write_json(run / "run.json", about)
    write_json(run / "metrics.json", metrics.to_json())
    table.to_csv(run / "predictions.csv", index=False)
    for fold in metrics.folds:
        log_of(run / "folds" / fold, 0, range(3), float(fold), "dice" if is_lungs else "accuracy")
    return run


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))
