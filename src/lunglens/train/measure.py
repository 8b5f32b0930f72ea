"""`lunglens measure`: what a classifier package answers on the films of a study."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.classification import external_tables, metrics_of
from lunglens.evaluate.operating_point import operating_points
from lunglens.evaluate.predictions import EXTERNAL
from lunglens.files import save_csv, write_json
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import ClassifierParameters
from lunglens.film.preprocess import network_input
from lunglens.study.folder import Study
from lunglens.train.views import view_of


def measure_package(
    package: ModelPackage[ClassifierParameters], study: Study, out: Path, console: Console
) -> dict[str, Any]:
    """Predict every film of a study and measure the answers, all of them as "external", by source.

    Args:
        package: a classifier of the study's classes.
        study: films that the package was not trained on: nobody checks that here.
        out: gets `predictions.csv` and `metrics.json`.
        console: for progress.

    Returns:
        the content of `metrics.json`: as a run's, and `at_threshold`, what the package's own threshold does.

    Raises:
        DataError: the study has a class that the package does not know.
    """
    view, answer = package.parameters.view, package.parameters.answer
    names = [entry.name for entry in answer.classes]
    if unknown := set(study.classes) - set(names):
        other = ", ".join(sorted(unknown))
        raise DataError(f"{study.folder}: has the class {other}; {package.name} answers {', '.join(names)}")
    scores = []
    paths = list(zip(study.table["film"], study.table["mask"], strict=True))
    for film, mask in track(paths, "predicting", console=console):
        image, lungs = view_of(study.folder / film, study.folder / mask, view)
        first = package.run(network_input(image, lungs, view))["probability"][0]
        scores.append(np.array([first, 1 - first]) if answer.is_binary else first)
    table = study.table[["image_id", "class", "source", "group_id"]].assign(fold=EXTERNAL)
    table = table.assign(**{f"p_{name}": column for name, column in zip(names, np.array(scores).T, strict=True)})
    save_csv(table, out / "predictions.csv")
    metrics = metrics_of(table, names).to_json() | {"package": package.name, "study": study.fingerprint}
    if answer.threshold is not None:
        rows = operating_points(external_tables(table, names), names, answer.threshold)
        metrics["at_threshold"] = {"threshold": answer.threshold, "rows": rows}
    write_json(out / "metrics.json", metrics)
    return metrics
