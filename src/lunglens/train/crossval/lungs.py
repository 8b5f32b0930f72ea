"""`lunglens crossval lungs` (algorithm 1 of the paper): out-of-fold masks and their agreement for every film."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.evaluate.figures import write_figures, write_worst
from lunglens.evaluate.run_record import METRICS, RUN, LungMetrics
from lunglens.evaluate.segmentation import lung_metrics_of, read_lung_predictions
from lunglens.evaluate.surface_distance import agreement, grid_spacing
from lunglens.files import save_csv, write_json
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import masks_of, read_masks
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.jobs import Job
from lunglens.study.config.training import LungsConfig
from lunglens.study.folds import FoldSettings, fold_names, make_folds, parts_of
from lunglens.study.prepare import save_png
from lunglens.train.crossval.run_folder import Runner, describe, gather, run_folds
from lunglens.train.export import LungGraph, export_package
from lunglens.train.lungs.training import masked_films, train_lungs
from lunglens.train.precision import settled
from lunglens.train.provenance import films_fingerprint

FILMS = "films.csv"


def crossval_lungs(
    data: Path, config: LungsConfig, folding: FoldSettings, out: Path, runner: Runner, console: Console
) -> LungMetrics:
    """Train and test the UNet on every fold; a killed run goes on, finished folds are not run again.

    Args:
        data: folder that holds the data sets.
        config: network, augmentation, optimization and sources.
        folding: folds by patient, or source after source for the cross-site runs.
        out: the run folder to make; out-of-fold masks (512x512) go into `masks/`.
        runner: runs the folds' jobs.
        console: for progress.

    Returns:
        the content of `metrics.json`.
    """
    data = data.resolve()
    table = masked_films(data, config)
    table["image_id"] = table["path"].map(lambda path: Path(path).relative_to(data).as_posix())
    folds = make_folds(table.assign(**{"class": table["label"].fillna("not stated")}), folding)
    table["fold"] = folds["fold"]
    names = fold_names(folds)
    config = settled(config, out / RUN, console)
    content = {
        "model": f"unet{config.base_channels}-{config.input_size}",
        "data": films_fingerprint(table),
        "config": config.model_dump(mode="json"),
        "folding": asdict(folding),
        "folds": names,
        "seed": config.optimization.seed,
    }
    describe("lungs", content, out)
    save_csv(table, out / FILMS)
    shared = {"run": str(out.resolve()), "data": content["data"], "config": content["config"]}
    target, epochs = f"{__name__}:run_fold", config.optimization.epochs
    jobs = [Job(f"fold {name}", out / "folds" / name, target, shared | {"fold": name}, epochs) for name in names]
    run_folds(jobs, runner, console)
    predictions = gather(out, names).sort_values(["path", "fold"], ignore_index=True)
    # Below the data folder, as `path` is: a table that may be published says nothing of this machine.
    predictions["mask_path"] = predictions["mask_path"].str.replace(f"{data.as_posix()}/", "", regex=False)
    save_csv(predictions, out / "predictions.csv")
    predictions = read_lung_predictions(out / "predictions.csv")
    metrics = lung_metrics_of(predictions, config.optimization.seed)
    write_json(out / METRICS, metrics.to_json())
    write_figures(out)
    write_worst(out, predictions, data)
    return metrics


def run_fold(folder: Path, run: str, fold: str, config: dict[str, Any], data: str) -> dict[str, Any]:
    """One fold, in a process of its own: train on the others, segment this one and the external films."""
    settings = LungsConfig.model_validate(config)
    table = pd.read_csv(Path(run) / FILMS, dtype={"fold": str, "group_id": str}, keep_default_na=False)
    table["class"] = table["label"]
    table["part"] = parts_of(table, fold, settings.optimization.seed)
    unet = train_lungs(table, settings, folder)
    package_folder = folder / "package"
    export_package(
        LungGraph(unet),
        package_folder,
        name=f"lungs-unet{settings.base_channels}-{settings.input_size}-fold-{fold}",
        input_size=settings.input_size,
        parameters=LungsParameters(postprocess=Postprocess()),
        provenance={"data_fingerprint": data, "fold": fold, "config": config},
    )
    package = load_package(package_folder)
    rows = [
        _measured(row, package, Path(run) / "masks")
        for row in track(table[table["part"] == "test"].to_dict("records"), "measuring")
    ]
    save_csv(pd.DataFrame(rows), folder / "predictions.csv")
    return {str(part): int(n) for part, n in table["part"].value_counts().sort_index().items()}


def _measured(row: Mapping[Hashable, Any], package: ModelPackage, masks: Path) -> dict[str, Any]:
    film = read_radiograph(Path(row["path"]))
    mask = segment_film(film.pixels, package, Postprocess()).mask
    truth = resize_mask(read_masks(masks_of(row["masks"])), MASK_SIZE, MASK_SIZE)
    spacing = grid_spacing(film.spacing_mm, film.pixels.shape, MASK_SIZE) if film.spacing_mm else None
    raw = mask.probability >= Postprocess().threshold
    ours, theirs = asdict(agreement(mask.fields, truth, spacing)), asdict(agreement(raw, truth, spacing))
    predicted = f"{row['source']}-{Path(row['path']).stem}.png"
    save_png(mask.fields, masks / predicted)
    found = {"path": row["image_id"], "source": row["source"], "group_id": row["group_id"], "fold": row["fold"]}
    found |= {"mask_path": row["masks"], "predicted": f"masks/{predicted}"}
    rounded = {name: np.nan if value is None else round(value, 5) for name, value in ours.items()}
    return found | rounded | {f"raw_{n}": np.nan if v is None else round(v, 5) for n, v in theirs.items()}
