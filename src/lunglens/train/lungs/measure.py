"""Predicted lungs against masks that people drew: of each film the mask that is drawn by the same rule.

`lunglens evaluate lungs`: a package on data sets that it should not have been trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import ModelPackageError
from lunglens.evaluate.run_record import LungMeasures
from lunglens.evaluate.segmentation import measures_by_rule
from lunglens.evaluate.surface_distance import agreement, grid_spacing, share_inside
from lunglens.files import save_csv, write_json
from lunglens.film.lungs.doubt import expected_dice
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import masks_of, read_masks
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.preprocess import Mask, resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import LungsConfig
from lunglens.train.lungs.training import masked_films
from lunglens.train.provenance import films_fingerprint, today

Numbers = dict[str, Any]


def measure_lungs(
    data: Path, package: ModelPackage[LungsParameters], sources: Sequence[str], out: Path, console: Console
) -> Numbers:
    """Every masked film of `sources` into `out/lungs.csv`, measures by rule and source into `out/lungs.json`.

    Args:
        data: folder that holds the data sets.
        package: a lungs package; of one that gives no region, the dilated fields are held against masks of it.
        sources: data sets.
        out: folder for the results.
        console: for progress.

    Raises:
        DataError: a data set is missing, or none of its films has a mask.
        ModelPackageError: the package is for something else.
    """
    if package.record.task != "lungs":
        raise ModelPackageError(f"{package.folder}: is a package for {package.record.task}; give one for lungs")
    config = LungsConfig(masks=("fields", "region"), sources=tuple(sources))
    table = masked_films(data, config)
    found = measure_films(table, package, console)
    trained = package.record.provenance.get("config", {}).get("sources", [])
    about = {
        "lungs": package.name,
        "date": today(),
        "data_fingerprint": films_fingerprint(table),
        "trained_on": sorted(set(sources) & set(trained)),
    }
    save_csv(found, out / "lungs.csv")
    measures = as_written(measures_by_rule(found))
    write_json(out / "lungs.json", about | {"measured": measures})
    return measures


def as_written(measures: Mapping[str, Mapping[str, LungMeasures]]) -> Numbers:
    """Measures by rule and source, ready for JSON."""
    return {rule: {name: found.to_json() for name, found in films.items()} for rule, films in measures.items()}


def measure_films(table: pd.DataFrame, package: ModelPackage[LungsParameters], console: Console) -> pd.DataFrame:
    """A row a film of a manifest: path, source, group_id, mask_rule and the measures."""
    rows = []
    for row in track(table.fillna({"group_id": ""}).to_dict("records"), "measuring", console=console):
        rows.append(measured(row, package)[0])
    return pd.DataFrame(rows)


def measured(row: Mapping[Any, Any], package: ModelPackage[LungsParameters]) -> tuple[Numbers, Mask]:
    """The measures of one film, and the mask (512, 512) that was held against the true one.

    Args:
        row: of a manifest, with `masks` and `mask_rule`.
        package: which lungs.
    """
    film, settings = read_radiograph(Path(row["path"])), package.parameters.postprocess
    mask = segment_film(film.pixels, package, settings).mask
    truth = resize_mask(read_masks(masks_of(row["masks"])), MASK_SIZE, MASK_SIZE)
    spacing = grid_spacing(film.spacing_mm, film.pixels.shape, MASK_SIZE) if film.spacing_mm else None
    whole = row["mask_rule"] == "region"
    of_network = whole and settings.region == "network"
    threshold = settings.region_threshold if of_network else settings.threshold
    ours, raw = (mask.region, mask.maps[-1]) if whole else (mask.fields, mask.maps[0])
    more = {"covered": share_inside(truth, ours), "inside": share_inside(ours, truth)}
    more["expected_dice"] = expected_dice(raw, ours)
    before = asdict(agreement(raw >= threshold, truth, spacing))
    numbers = asdict(agreement(ours, truth, spacing)) | more | {f"raw_{name}": v for name, v in before.items()}
    rounded = {name: np.nan if value is None else round(value, 5) for name, value in numbers.items()}
    return {name: row[name] for name in ("path", "source", "group_id", "mask_rule")} | rounded, ours
