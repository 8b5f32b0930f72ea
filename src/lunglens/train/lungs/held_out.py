"""`lunglens train lungs`: one network, measured on patients it has not seen, and exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.evaluate.segmentation import summary_by_group
from lunglens.evaluate.surface_distance import dice
from lunglens.files import save_csv, write_json
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import masks_of, read_masks
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import LungsConfig
from lunglens.study.manifest import split_by_group
from lunglens.train.export import LungGraph, export_package
from lunglens.train.lungs.training import masked_films, train_lungs
from lunglens.train.precision import settled
from lunglens.train.provenance import provenance


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
