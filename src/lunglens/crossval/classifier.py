"""`lunglens crossval classifier` (algorithm 2 of the paper) over a curated study and its folds."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch.utils.flop_counter import FlopCounterMode

from lunglens.classify.data import Views, memory_map
from lunglens.classify.models import Classifier
from lunglens.classify.train import predict, train_classifier
from lunglens.config import ClassifierConfig, View
from lunglens.crossval.run_folder import Runner, describe, gather, run_folds
from lunglens.curate.folds import fold_names, parts_of, read_folds
from lunglens.curate.study_folder import Study, save_csv
from lunglens.evaluate.measures import metrics_of
from lunglens.evaluate.predictions import read_predictions
from lunglens.files import write_bytes, write_json
from lunglens.jobs import Job
from lunglens.preprocess import classifier_view, resize, resize_mask
from lunglens.report.crossval import table6, write_figures

FILMS = "films.csv"


def crossval_classifier(
    study: Study, config: ClassifierConfig, out: Path, runner: Runner, console: Console
) -> dict[str, Any]:
    """Train and test a classifier on every fold of a study; a killed run goes on, finished folds are not run again.

    Args:
        study: with its `folds.csv`.
        config: model, view, augmentation and optimization; its sources, cut and quality threshold are the study's own.
        out: the run folder to make.
        runner: runs the folds' jobs.
        console: for progress.

    Returns:
        the content of `metrics.json`.

    Raises:
        DataError: the study has no folds.
        FoldsFailedError: some folds failed.
        OutputError: the folder holds another run, or is in use.
    """
    table = read_folds(study)
    folds = fold_names(table)
    content = {
        "model": config.backbone,
        "study": {"name": study.description["name"], "fingerprint": study.description["fingerprint"]},
        "classes": study.classes,
        "cut": config.view.cut,
        "config": config.model_dump(mode="json"),
        "folds": folds,
        "seed": config.optimization.seed,
    }
    run = describe("classifier", content, out)
    save_csv(table, out / FILMS)
    _write_views(study, table, config.view, out)
    # The fold's arguments name the data, so that another study's folds are never taken for these.
    shared = {"run": str(out.resolve()), "study": study.description["fingerprint"], "config": content["config"]}
    jobs = [
        Job(
            f"fold {fold}",
            out / "folds" / fold,
            f"{__name__}:run_fold",
            shared | {"fold": fold},
            config.optimization.epochs,
        )
        for fold in folds
    ]
    run_folds(jobs, runner, console)
    predictions = _one_row_an_image(gather(out, folds))
    save_csv(predictions, out / "predictions.csv")
    predictions = read_predictions(out / "predictions.csv", study.classes)
    metrics = metrics_of(predictions, study.classes, config.optimization.seed)
    write_json(out / "metrics.json", metrics)
    write_json(out / "run.json", run | cost_of(config, len(study.classes)))
    write_figures(out)
    table6(out)
    return metrics


def run_fold(folder: Path, run: str, fold: str, config: dict[str, Any], study: str) -> dict[str, Any]:  # noqa: ARG001
    """One fold, in a process of its own: train on the others, predict this one and the external films."""
    settings = ClassifierConfig.model_validate(config)
    table = pd.read_csv(Path(run) / FILMS, dtype=str, keep_default_na=False)
    classes = list(json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))["classes"])
    outputs = 1 if len(classes) == 2 else len(classes)
    table["label"] = table["class"]
    number = table["class"].map(classes.index)
    table["target"] = (number == 0).astype(float) if outputs == 1 else number.astype(float)
    table["part"] = parts_of(table, fold, settings.optimization.seed)
    views = Views(*(np.load(Path(run) / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")))
    module = train_classifier(table, views, settings, folder, outputs)
    tested = np.flatnonzero(table["part"] == "test")
    scores = predict(module, views, tested)
    if outputs == 1:
        scores = np.stack([scores, 1 - scores], axis=1)
    found = table.iloc[tested][["image_id", "class", "source", "group_id", "fold"]].reset_index(drop=True)
    for name, column in zip(classes, scores.T, strict=True):
        found[f"p_{name}"] = column
    save_csv(found, folder / "predictions.csv")
    return {str(part): int(n) for part, n in table["part"].value_counts().sort_index().items()}


def cost_of(config: ClassifierConfig, classes: int) -> dict[str, float]:
    """Parameters, GFLOPs (a multiply-add counts as two) and median CPU time in ms of one film, batch of one."""
    model = Classifier(config.backbone, config.head, config.dropout, 1 if classes == 2 else classes).eval()
    model = model.to(memory_format=torch.channels_last)
    image = torch.zeros(1, 1, config.view.input_size, config.view.input_size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(image)
        seconds = []
        for _ in range(7):
            start = time.perf_counter()
            model(image)
            seconds.append(time.perf_counter() - start)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gflops": round(counter.get_total_flops() / 1e9, 3),
        "cpu_ms": round(1000 * float(np.median(seconds)), 1),
    }


def _write_views(study: Study, table: pd.DataFrame, view: View, out: Path) -> None:
    """The classifier's pictures of all films, decoded once and memory-mapped: `images.npy` and `masks.npy`."""
    stamp = out / "views.txt"
    key = f"{study.description['fingerprint']} {view.model_copy(update={'cut': True}).model_dump_json()}"
    if stamp.exists() and stamp.read_text() == key:
        return
    stamp.unlink(missing_ok=True)
    shape = (len(table), view.input_size, view.input_size)
    images, masks = (memory_map(out / f"{name}.npy", shape) for name in ("images", "masks"))
    names = study.table.set_index("image_id").loc[table["image_id"], ["film", "mask"]]
    for index, (film_name, mask_name) in enumerate(track(list(names.itertuples(index=False)), "reading films")):
        film = _read(study.folder / str(film_name)).astype(np.float32) / np.float32(255)
        film = np.rint(resize(film, view.film_size, view.film_size) * 255) / np.float32(255)
        mask = resize_mask(_read(study.folder / str(mask_name)) > 0, view.film_size, view.film_size)
        image, shown, _ = classifier_view(film.astype(np.float32), mask, view)
        images[index], masks[index] = np.rint(image * 255), shown
    del images, masks  # writes them out, before the stamp says that they are whole
    write_bytes(stamp, key.encode())


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image, np.uint8)


def _one_row_an_image(table: pd.DataFrame) -> pd.DataFrame:
    """External films have an answer of every fold's model: its mean is theirs."""
    names = ["image_id", "class", "source", "group_id", "fold"]
    return table.groupby(names, sort=False, as_index=False).mean().sort_values("image_id", ignore_index=True)
