"""`lunglens measure`: what a classifier package answers on the films of a study."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.predictions import EXTERNAL
from lunglens.files import save_csv, write_json
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.parameters import View
from lunglens.film.preprocess import cut_to_lungs
from lunglens.study.folder import Study
from lunglens.train.operating_point import operating_points
from lunglens.train.views import view_of


def measure_package(package: ModelPackage, study: Study, out: Path, console: Console) -> dict[str, Any]:
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
    answer = package.record.parameters.answer
    names = answer.names
    if unknown := set(study.classes) - set(names):
        raise DataError(f"{study.folder}: {', '.join(sorted(unknown))}: {package.name} answers {', '.join(names)}")
    films = study.table[["image_id", "class", "source", "group_id"]].assign(fold=EXTERNAL)
    view = View.model_validate(package.parameters["view"])
    rows = []
    paths = list(zip(study.table["film"], study.table["mask"], strict=True))
    for film, mask in track(paths, "predicting", console=console):
        image, lungs = view_of(study.folder / film, study.folder / mask, view)
        seen = cut_to_lungs(image, lungs) if view.cut else image
        rows.append(answer.probabilities(package.run(seen[None, None])["probability"][0]))
    table = films.assign(**{f"p_{name}": [row[name] for row in rows] for name in names}).sort_values("image_id")
    save_csv(table, out / "predictions.csv")
    metrics = metrics_of(table, names) | {"package": package.name, "study": study.description["fingerprint"]}
    if answer.threshold is not None:
        metrics["at_threshold"] = {"threshold": answer.threshold, "rows": operating_points(table, names, answer.threshold)}
    write_json(out / "metrics.json", metrics)
    return metrics
