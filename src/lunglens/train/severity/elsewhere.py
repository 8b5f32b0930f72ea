"""What the severity package says of films of other collections: normals get little, opacities should be found."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError, LungLensError
from lunglens.evaluate.boxes import Boxes, boxes_agreement, in_boxes, read_boxes
from lunglens.evaluate.heat import mean_with_interval
from lunglens.files import save_csv, write_json
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.film.preprocess import Floats, Mask, resize_mask
from lunglens.train.gate.films import frontal_films
from lunglens.train.provenance import today
from lunglens.train.severity.films import SOURCE


def measure_elsewhere(
    data: Path, out: Path, per_source: int, console: Console, boxes: Path | None = None
) -> dict[str, Any]:
    """Analyse films of the other sources; the sums by source and label into `out/severity-elsewhere.json`.

    With boxes also `boxes`: whether the grades of places lie in them (`places_in_boxes`).

    Args:
        data: folder of the data sets.
        out: folder for results; `severity-elsewhere.csv` has a row a film.
        per_source: at most so many films of each label of a source.
        console: for progress.
        boxes: table of RSNA's boxes round opacities, as `read_boxes` takes it.

    Raises:
        DataError: the boxes are not as published, or none is on a film here.
    """
    every = frontal_films(data, 10**6)
    every = every[every["source"] != SOURCE]
    films = every.groupby(["source", "label"]).head(per_source)
    table = pd.DataFrame(_scored(films, console))
    save_csv(table.drop(columns="group_id"), out / "severity-elsewhere.csv")
    found: dict[str, Any] = {"date": today(), "sums": {}}
    for (source, label), rows in table.groupby(["source", "label"], sort=True):
        mean, between = mean_with_interval(rows["sum"].to_numpy(float), rows["group_id"].to_numpy(str))
        quartiles = [round(float(rows["sum"].quantile(share)), 2) for share in (0.25, 0.5, 0.75)]
        summary = {"n": len(rows), "mean": mean, "mean_95_ci": between, "quartiles": quartiles}
        found["sums"][f"{source} {label}"] = summary
    if boxes is not None:
        found["boxes"] = places_in_boxes(every, read_boxes(boxes), console)
    write_json(out / "severity-elsewhere.json", found)
    return found


def places_in_boxes(films: pd.DataFrame, boxes: Mapping[str, Boxes], console: Console) -> dict[str, Any]:
    """Do the grades of places lie in radiologists' boxes round opacities?

    Args:
        films: path and group_id; those without boxes are left out.
        boxes: stem of a film's name -> its boxes.
        console: for progress.

    Returns:
        `boxes_agreement` of `all` films, of those `called` opaque by the classifier's second answer, and of the `usual`
        places: the mean of other patients' grades in place of the film's own, all in the film's lungs. `refused`:
        number of films without grades.

    Raises:
        DataError: no film has boxes.
    """
    films = films.assign(stem=films["path"].map(lambda path: Path(path).stem.lower()))
    films = films[films["stem"].isin(boxes)].reset_index(drop=True)
    if films.empty:
        raise DataError("none of the boxes is on a film of these data sets")
    analyzer, kept, grades, regions, called = Analyzer.load(), [], [], [], []
    for at, path in enumerate(track(films["path"], "films with boxes", console=console)):
        found = analyzer.analyze(path)
        if isinstance(found, Analyzed) and found.severity is not None and found.severity.places is not None:
            region = analyzer.segment(path).region
            kept.append(at)
            grades.append(found.severity.places)
            regions.append(resize_mask(found.lungs if region is None else region, *found.severity.places.shape))
            called.append(found.opacity is not None and found.opacity.is_there)
    films = films.iloc[kept]
    groups = films["group_id"].where(films["group_id"] != "", films["path"]).to_numpy(str)
    drawn = [boxes[stem] for stem in films["stem"]]
    usual = [np.mean([grades[at] for at in np.flatnonzero(groups != group)], axis=0) for group in groups]
    everything, opaque = np.arange(len(kept)), np.flatnonzero(called)
    return {
        "refused": len(boxes) - len(kept),
        "all": _in_boxes(grades, drawn, regions, groups, everything),
        "called": _in_boxes(grades, drawn, regions, groups, opaque),
        "usual": _in_boxes(usual, drawn, regions, groups, everything),
    }


def _in_boxes(
    grades: list[Floats], boxes: list[Boxes], regions: list[Mask], groups: NDArray[Any], rows: NDArray[np.int64]
) -> dict[str, Any]:
    measured = [in_boxes(grades[at] * regions[at], boxes[at], regions[at]) for at in rows]
    heat, area = (np.array([found[n] for found in measured], np.float64) for n in (0, 1))
    return boxes_agreement(heat, area, [found[2] for found in measured], groups[rows])


def _scored(films: pd.DataFrame, console: Console) -> Iterator[dict[str, Any]]:
    analyzer = Analyzer.load()
    for row in track(films.to_dict("records"), "analysing", console=console):
        try:
            finding = analyzer.analyze(row["path"])
        except LungLensError:
            continue
        if isinstance(finding, Analyzed) and finding.severity is not None:
            about = {name: row[name] for name in ("source", "label")} | {"group_id": row["group_id"] or row["path"]}
            yield about | {"film": Path(row["path"]).name, "sum": round(finding.severity.total, 3)}
