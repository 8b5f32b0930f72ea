"""`lunglens evaluate covid-lungs`: predicted lungs against the masks of COVID films (V7's: heart included)."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.segmentation import summary_by_group
from lunglens.evaluate.surface_distance import dice, share_inside
from lunglens.files import write_json
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import MaskPart, read_masks
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import load_package
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.sources import read_sources
from lunglens.study.sources.lung_masks import with_masks
from lunglens.train.provenance import today


def measure_covid_lungs(data: Path, lungs: Path, out: Path, console: Console) -> None:
    """Raw and processed lungs against the COVID masks, into `out/covid-lungs.json`."""
    package = load_package(lungs)
    rows = []
    for film_path, masks, group in _covid_masks(data):
        mask = segment_film(read_radiograph(film_path).pixels, package, Postprocess()).mask
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


def _covid_masks(data: Path) -> list[tuple[Path, tuple[MaskPart, ...], str]]:
    folder = data / "covid-chestxray-dataset" / "lung-masks-v7"
    rows = with_masks(read_sources(data, ("covid-chestxray-dataset",)), folder)
    frontal = [(Path(row.path), row.masks, row.group_id) for row in rows if row.masks and row.exclude is None]
    if not frontal:
        raise DataError(f"{folder}: no masks that belong to frontal adult films; V7's masks are expected here")
    return frontal
