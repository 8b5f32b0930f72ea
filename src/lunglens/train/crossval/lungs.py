"""`lunglens crossval lungs` (algorithm 1 of the paper): out-of-fold masks and their agreement for every film."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.evaluate.figures import write_figures, write_worst
from lunglens.evaluate.run_record import METRICS, RUN, LungMetrics
from lunglens.evaluate.segmentation import lung_metrics_of, read_lung_predictions
from lunglens.files import save_csv, write_json
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.jobs import Job
from lunglens.study.config.training import LungsConfig
from lunglens.study.folds import FoldSettings, fold_names, make_folds, parts_of
from lunglens.study.prepare import save_png
from lunglens.train.crossval.run_folder import Runner, describe, gather, run_folds
from lunglens.train.lungs.held_out import export_lungs
from lunglens.train.lungs.measure import measured
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
        "model": config.called,
        "data": films_fingerprint(table),
        "config": config.model_dump(mode="json"),
        "folding": asdict(folding),
        "folds": names,
        "seed": config.optimization.seed,
    }
    about = describe("lungs", content, out, LungsConfig.model_validate)
    save_csv(table, out / FILMS)
    shared = {"run": str(out.resolve()), "data": content["data"], "config": about["config"]}
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
    about = {"data_fingerprint": data, "fold": fold, "config": config}
    export_lungs(unet, settings, folder / "package", f"{settings.called}-fold-{fold}", about)
    package = load_package(folder / "package")
    rows = [
        _measured(row, package, Path(run) / "masks")
        for row in track(table[table["part"] == "test"].to_dict("records"), "measuring")
    ]
    save_csv(pd.DataFrame(rows), folder / "predictions.csv")
    return {str(part): int(n) for part, n in table["part"].value_counts().sort_index().items()}


def _measured(row: Mapping[Hashable, Any], package: ModelPackage, masks: Path) -> dict[str, Any]:
    numbers, predicted = measured(row, package)
    name = f"{row['source']}-{Path(row['path']).stem}.png"
    save_png(predicted, masks / name)
    said = {"path": row["image_id"], "fold": row["fold"], "mask_path": row["masks"], "predicted": f"masks/{name}"}
    return numbers | said
