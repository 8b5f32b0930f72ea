"""`lunglens train lungs`: one network, measured on patients it has not seen, and exported.

`lunglens evaluate covid-lungs`: predicted lungs against the masks of COVID films (V7's: heart included).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.segmentation import summary_by_group
from lunglens.evaluate.surface_distance import dice, share_inside
from lunglens.files import save_csv, write_json
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import MaskPart, masks_of, read_masks
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import LungsConfig
from lunglens.study.manifest import split_by_group
from lunglens.study.sources import read_sources
from lunglens.study.sources.lung_masks import with_masks
from lunglens.train.export import LungGraph, export_package
from lunglens.train.lungs.training import masked_films, train_lungs
from lunglens.train.precision import settled
from lunglens.train.provenance import provenance, today


def fit_lungs(data: Path, config: LungsConfig, out: Path, console: Console) -> None:
    """Train, export to `out/package`, measure the packaged model on the held-out patients into `out/metrics.json`."""
    table = masked_films(data, config)
    table["part"] = split_by_group(table, config.split)
    config = settled(config, out / "config.json", console)
    save_csv(table, out / "manifest.csv")
    write_json(out / "config.json", config.model_dump(mode="json"))
    unet = train_lungs(table, config, out)
    about = provenance(table, config.model_dump(mode="json"))
    export_package(
        LungGraph(unet),
        out / "package",
        name=f"lungs-unet{config.base_channels}-{config.input_size}",
        input_size=config.input_size,
        parameters=LungsParameters(postprocess=Postprocess()),
        provenance=about,
    )
    metrics = _measure(table[table["part"] == "test"], load_package(out / "package"), out, console)
    write_json(out / "metrics.json", {**about, "test": metrics})
    console.print_json(data=metrics)


def measure_covid_lungs(data: Path, lungs: Path, out: Path, console: Console) -> None:
    """Raw and processed lungs against the COVID masks, into `out/covid-lungs.json`."""
    package = load_package(lungs)
    rows = []
    for film, masks, group in _covid_masks(data):
        mask = segment_film(read_radiograph(film).pixels, package, Postprocess()).mask
        truth = resize_mask(read_masks(masks), MASK_SIZE, MASK_SIZE)
        values: list[str | float] = [group]
        for predicted in (mask.fields, mask.region):
            values += [share_inside(predicted, truth), share_inside(truth, predicted), dice(predicted, truth)]
        rows.append(values)
    names = [f"{stage}_{measure}" for stage in ("fields", "region") for measure in ("inside", "covered", "dice")]
    table = pd.DataFrame(rows, columns=["group_id", *names])
    summary = {name: summary_by_group(table[name].to_numpy(), table["group_id"].to_numpy()) for name in names}
    write_json(out / "covid-lungs.json", {"lungs": package.name, "date": today(), **summary})
    console.print_json(data={name: values["mean"] for name, values in summary.items()})


def _measure(table: pd.DataFrame, package: ModelPackage[Any], out: Path, console: Console) -> dict[str, Any]:
    values = []
    for row in track(list(table.itertuples()), "measuring", console=console):
        mask = segment_film(read_radiograph(Path(str(row.path))).pixels, package, Postprocess()).mask
        truth = resize_mask(read_masks(masks_of(str(row.masks))), MASK_SIZE, MASK_SIZE)
        values.append((dice(mask.probability >= 0.5, truth), dice(mask.fields, truth)))
    table = table.assign(**dict(zip(["dice_raw", "dice"], np.array(values).T, strict=True)))
    save_csv(table, out / "test.csv")
    parts = [("all", table), *((str(source), rows) for source, rows in table.groupby("source"))]
    return {
        f"{name} {measure}": summary_by_group(rows[measure].to_numpy(), rows["group_id"].to_numpy())
        for name, rows in parts
        for measure in ("dice", "dice_raw")
    }


def _covid_masks(data: Path) -> list[tuple[Path, tuple[MaskPart, ...], str]]:
    folder = data / "covid-chestxray-dataset" / "lung-masks-v7"
    rows = with_masks(read_sources(data, ("covid-chestxray-dataset",)), folder)
    frontal = [(Path(row.path), row.masks, row.group_id) for row in rows if row.masks and row.exclude is None]
    if not frontal:
        raise DataError(f"{folder}: no masks that belong to frontal adult films; V7's masks are expected here")
    return frontal
