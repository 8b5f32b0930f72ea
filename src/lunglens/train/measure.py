"""`lunglens measure`: what a classifier package answers on the films of a study."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.abstention import coverage_rows
from lunglens.evaluate.classification import external_tables, metrics_of
from lunglens.evaluate.operating_point import false_alarms, operating_points
from lunglens.evaluate.predictions import EXTERNAL
from lunglens.files import save_csv, write_json
from lunglens.film.answer import Answer
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import ClassifierParameters
from lunglens.film.preprocess import Floats, Mask, network_input, resize_mask
from lunglens.study.folder import Study
from lunglens.train.boxes import boxes_of, heat_in_boxes
from lunglens.train.crossval.oof_heatmaps import on_whole_film
from lunglens.train.views import read_gray, view_of

Package = ModelPackage[ClassifierParameters]


def measure_package(
    package: Package, study: Study, out: Path, console: Console, boxes: Path | None = None
) -> dict[str, Any]:
    """Predict every film of a study and measure the answers, all of them as "external", by source.

    Args:
        package: a classifier of the study's classes.
        study: films that the package was not trained on: nobody checks that here.
        out: gets `predictions.csv` and `metrics.json`.
        console: for progress.
        boxes: table of the boxes that RSNA's radiologists drew on some of the films (`train.boxes`).

    Returns:
        the content of `metrics.json`: as a run's; `at_threshold`, what the package's own threshold does, its false
        alarms too; and, with boxes, `boxes`, how far its heat lies in them, where `called` are the films decided for
        any class but the last.

    Raises:
        DataError: the study has a class that the package does not know, or no film with a box.
    """
    answer = package.parameters.answer
    names = [entry.name for entry in answer.classes]
    if unknown := set(study.classes) - set(names):
        other = ", ".join(sorted(unknown))
        raise DataError(f"{study.folder}: has the class {other}; {package.name} answers {', '.join(names)}")
    boxed = boxes_of(study, boxes) if boxes is not None else {}
    scores, maps, regions, called = [], dict[str, Floats](), dict[str, Mask](), []
    columns = [study.table[name] for name in ("image_id", "film", "mask")]
    for image_id, film, mask in track(list(zip(*columns, strict=True)), "predicting", console=console):
        outputs = _run(package, study.folder / film, study.folder / mask)
        first = outputs["probability"][0]
        said = Answer.of(answer, first)
        decision = said.decision
        scores.append(list(said.probabilities.values()))
        called.append(decision != names[-1])
        if image_id in boxed:
            regions[image_id] = _region(package, study.folder / mask)
            maps[image_id] = _heat(package, outputs, names.index(decision), regions[image_id])
    table = study.table[["image_id", "class", "source", "group_id"]].assign(fold=EXTERNAL)
    table = table.assign(**{f"p_{name}": column for name, column in zip(names, np.array(scores).T, strict=True)})
    save_csv(table, out / "predictions.csv")
    metrics = metrics_of(table, names).to_json() | {"package": package.name, "study": study.fingerprint}
    if answer.threshold is not None:
        metrics["at_threshold"] = _at_threshold(table, names, answer.threshold)
    if answer.abstention is not None:
        parts = table.groupby(["class", "source"], sort=True)
        films = {"all": table} | {f"{name} of {source}": rows for (name, source), rows in parts}
        metrics["coverage"] = coverage_rows(films, names, answer.abstention.possible_from)
    if boxed:
        metrics["boxes"] = heat_in_boxes(table.assign(called=called), maps, regions, boxed)
    write_json(out / "metrics.json", metrics)
    return metrics


def _run(package: Package, film: Path, mask: Path) -> dict[str, Floats]:
    view = package.parameters.view
    image, lungs = view_of(film, mask, view)
    return package.run(network_input(image, lungs, view))


def _region(package: Package, mask: Path) -> Mask:
    """The study's lung region at the size of the package's squashed film."""
    size = package.parameters.view.film_size
    return resize_mask(read_gray(mask) > 0, size, size)


def _heat(package: Package, outputs: dict[str, Floats], decision: int, region: Mask) -> Floats:
    """The heat (h, w), >= 0, of the whole film: of two classes for the first, else for the one decided for."""
    if "heat" not in outputs:
        raise DataError(f"{package.name}: its network has no heat-map to hold against boxes")
    heat = outputs["heat"][0] if package.parameters.answer.is_binary else outputs["heat"][0][decision]
    return on_whole_film(np.asarray(heat, np.float32), region, package.parameters.view)


def _at_threshold(table: pd.DataFrame, names: list[str], threshold: float) -> dict[str, Any]:
    rows = operating_points(external_tables(table, names), names, threshold)
    films = {"all": table} | {str(source): rows for source, rows in table.groupby("source", sort=True)}
    return {"threshold": threshold, "rows": rows, "false_alarms": false_alarms(films, names, threshold)}
