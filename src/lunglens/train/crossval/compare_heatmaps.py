"""`lunglens explain` (figures 9 and 12 of the paper): where do classifiers trained on whole and on cut films look?

Both are runs of `crossval classifier` on one study and its folds; every heat-map is out of fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.figures.heat_cases import HeatCase, write_heat_figure
from lunglens.evaluate.figures.heat_shares import shares_figure
from lunglens.evaluate.figures.style import save_svg
from lunglens.evaluate.heat import inside_difference
from lunglens.evaluate.predictions import THRESHOLD, groups_of
from lunglens.files import save_csv, write_json
from lunglens.film.preprocess import Mask
from lunglens.study.folder import Study
from lunglens.train.boxes import boxes_of, heat_in_boxes
from lunglens.train.crossval.heat_of_run import Maps, brixia_of, heat_in_lungs, heat_table, lungs_of, weights_of
from lunglens.train.crossval.oof_heatmaps import HeatRun, heat_maps, read_heat_run
from lunglens.train.views import read_gray

FORMAT = 1
SIDES = ("uncut", "cut")


@dataclass(frozen=True)
class ExplainSettings:
    """cases: films of each class in the picture. brixia, boxes: tables of zone scores and boxes, if there are any."""

    cases: int = 3
    brixia: Path | None = None
    boxes: Path | None = None
    seed: int = 0


def explain(
    study: Study, uncut: Path, cut: Path, out: Path, settings: ExplainSettings, console: Console
) -> dict[str, Any]:
    """Compare the heat-maps of two finished runs on the films of their study.

    Args:
        study: the runs' study.
        uncut, cut: run folders; the first was trained on whole films, the second on films cut to the lungs.
        out: gets `heat.csv` (a row a film), `heat.json`, `heat.svg` and `cases.png`, which shows patients' films.
        settings: how many cases, the zone scores and the boxes.
        console: for progress.

    Returns:
        the content of `heat.json`.

    Raises:
        DataError: a run is not finished, they are not of this study and the same folds, or not one cut and one uncut;
            or none of the boxes is on a film of the study.
    """
    runs = {"uncut": read_heat_run(uncut), "cut": read_heat_run(cut)}
    _check(study, runs)
    boxes = boxes_of(study, settings.boxes) if settings.boxes is not None else {}
    lungs = lungs_of(study, runs["cut"])
    maps: dict[str, Maps] = {}
    for side, run in runs.items():
        shown = track(heat_maps(run, lungs), f"heat-maps, {side}", total=len(run.table), console=console)
        maps[side] = dict(shown)
    table = _measured(runs, maps, lungs)
    out.mkdir(parents=True, exist_ok=True)
    save_csv(table.round(5), out / "heat.csv")
    found = _summary(study, runs, table, maps, settings)
    if boxes:
        called = {side: table.assign(called=table[f"p_{side}"] >= THRESHOLD) for side in SIDES}
        found["boxes"] = {side: heat_in_boxes(called[side], maps[side], lungs, boxes, settings.seed) for side in SIDES}
    write_json(out / "heat.json", found)
    save_svg(out / "heat.svg", shares_figure, table, found, study.classes)
    cases = _cases(study, table, maps, lungs, settings)
    write_heat_figure(out / "cases.png", cases, study.classes[0])
    return found


def _check(study: Study, runs: dict[str, HeatRun]) -> None:
    for side, run in runs.items():
        if run.fingerprint != study.fingerprint:
            raise DataError(f"{run.folder}: is a run on another study than {study.folder}")
        if run.config.view.cut != (side == "cut"):
            raise DataError(f"{run.folder}: was trained on {'uncut' if side == 'cut' else 'cut'} films; swap the runs")
    if not runs["cut"].table.equals(runs["uncut"].table):
        raise DataError(f"{runs['cut'].folder} and {runs['uncut'].folder}: have other folds; run both on the same")


def _measured(runs: dict[str, HeatRun], maps: dict[str, Maps], lungs: Mapping[str, Mask]) -> pd.DataFrame:
    """A row a film: of both runs what `heat_table` gives."""
    sides = {side: heat_table(run, maps[side], lungs) for side, run in runs.items()}
    shared = ["image_id", "class", "source", "group_id", "fold", "lungs_of_film"]
    found = sides["cut"][shared]
    for side, table in sides.items():
        found = found.join(table.drop(columns=shared).add_suffix(f"_{side}"))
    return found


def _summary(
    study: Study, runs: dict[str, HeatRun], table: pd.DataFrame, maps: dict[str, Maps], settings: ExplainSettings
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format": FORMAT,
        "study": {"name": study.name, "fingerprint": study.fingerprint},
        "runs": {side: run.config.model_dump(mode="json") for side, run in runs.items()},
        "heat_of": study.classes[0],
        "seed": settings.seed,
        "all": _heat_in_lungs(table, settings.seed),
        "classes": {str(name): _heat_in_lungs(films, settings.seed) for name, films in table.groupby("class")},
        "weights": {side: weights_of(run, settings.seed) for side, run in runs.items()},
    }
    if settings.brixia is not None:
        found["brixia"] = {side: brixia_of(study, table, maps[side], settings.brixia, settings.seed) for side in SIDES}
    return found


def _heat_in_lungs(table: pd.DataFrame, seed: int) -> dict[str, Any]:
    shares = {side: table[f"heat_in_lungs_{side}"].to_numpy(float) for side in SIDES}
    found: dict[str, Any] = {side: heat_in_lungs(table, seed, f"_{side}") for side in SIDES}
    return found | {"cut_less_uncut": inside_difference(shares["uncut"], shares["cut"], groups_of(table), seed)}


def _cases(
    study: Study, table: pd.DataFrame, maps: dict[str, Maps], lungs: Mapping[str, Mask], settings: ExplainSettings
) -> list[HeatCase]:
    """Films drawn at random from each class (not chosen by how they look), class by class."""
    films = study.table.set_index("image_id")["film"]
    found = []
    for name in study.classes:
        rows = table[table["class"] == name]
        for row in rows.sample(min(settings.cases, len(rows)), random_state=settings.seed).itertuples():
            image_id = str(row.image_id)
            film = read_gray(study.folder / films[image_id]).astype(np.float32) / np.float32(255)
            found.append(
                HeatCase(
                    f"{name}, {row.source}",
                    film,
                    lungs[image_id],
                    maps["uncut"][image_id],
                    maps["cut"][image_id],
                    float(row.p_uncut),  # type: ignore[arg-type]
                    float(row.p_cut),  # type: ignore[arg-type]
                )
            )
    return found
