"""The audited study's films: small, for tests without a network, and edited, for the run's own models."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lunglens.evaluate.audit.counterfactual import counterfactual_test
from lunglens.evaluate.audit.evidence import NAME as EVIDENCE
from lunglens.evaluate.audit.evidence import heat_test
from lunglens.evaluate.audit.record import AuditTest, not_done
from lunglens.evaluate.predictions import THRESHOLD
from lunglens.film.preprocess import Floats, Mask, resize, resize_mask
from lunglens.study.folder import Study
from lunglens.study.prepare import save_png
from lunglens.train.audit.edits import edits
from lunglens.train.audit.models import AuditedRun, first_class
from lunglens.train.boxes import boxes_of, heat_in_boxes
from lunglens.train.crossval.heat_of_run import brixia_of, heat_in_lungs, heat_table, lungs_of, weights_of
from lunglens.train.crossval.oof_heatmaps import heat_maps, read_heat_run
from lunglens.train.model import Model
from lunglens.train.views import Views, read_gray, view_of_pixels

_SIDE = 128  # of small films, px
_EDITED = 200  # films
_SHOWN, _A_ROW = 200, 6  # of the picture of the edits: side in px, films a row


@dataclass(frozen=True)
class Annotations:
    """Tables of radiologists' Brixia scores and of RSNA's boxes, where there are some."""

    brixia: Path | None = None
    boxes: Path | None = None


def small_films(study: Study, films: pd.DataFrame, console: Console) -> tuple[list[Floats], list[Mask]]:
    """Whole films (128, 128), 0..1, and their lung masks."""
    pictures, masks = [], []
    for names in track(list(films[["film", "mask"]].itertuples(index=False)), "reading films", console=console):
        film, lungs = _pixels(study, *names)
        pictures.append(resize(film, _SIDE, _SIDE))
        masks.append(resize_mask(lungs, _SIDE, _SIDE))
    return pictures, masks


def counterfactuals(study: Study, run: AuditedRun, films: pd.DataFrame, seed: int, console: Console) -> AuditTest:
    """T10 on films drawn at random, as many of each class, each by the model of its own fold."""
    chosen = _drawn(run, seed)
    before, after = np.full(len(films), np.nan), {name: np.full(len(films), np.nan) for name in edits()}
    models = list(run.models())
    for model, tested in track(models, "editing films", console=console):
        at = np.intersect1d(tested, chosen)
        pairs = [_pixels(study, *names) for names in films.iloc[at][["film", "mask"]].itertuples(index=False)]
        before[at] = _answers(model, pairs, run)
        for name, edit in edits().items():
            after[name][at] = _answers(model, [edit(*pair) for pair in pairs], run)
    at = np.sort(chosen)
    return counterfactual_test(before[at], {name: scores[at] for name, scores in after.items()}, run.groups[at], seed)


def draw_edits(study: Study, run: AuditedRun, films: pd.DataFrame, seed: int, path: Path) -> None:
    """One film drawn at random, and what every edit makes of it, side by side."""
    place = int(_drawn(run, seed)[0])
    film, lungs = _pixels(study, *films.iloc[place][["film", "mask"]])
    shown = [film, *(edit(film, lungs)[0] for edit in edits().values())]
    small = [np.pad(resize(np.ascontiguousarray(each), _SHOWN, _SHOWN), 2, constant_values=1) for each in shown]
    small += [np.ones_like(small[0])] * (-len(small) % _A_ROW)
    rows = [np.hstack(small[start : start + _A_ROW]) for start in range(0, len(small), _A_ROW)]
    save_png(np.rint(np.vstack(rows) * 255).astype(np.uint8), path)


def _drawn(run: AuditedRun, seed: int) -> NDArray[np.int64]:
    places = pd.Series(np.arange(len(run.table)))
    drawn = [
        part.sample(min(_EDITED // 2, len(part)), random_state=seed)
        for _, part in places.groupby(run.table["class"].to_numpy())
    ]
    return np.concatenate([part.to_numpy(np.int64) for part in drawn])


def _pixels(study: Study, film: str, mask: str) -> tuple[Floats, Mask]:
    pixels = read_gray(study.folder / film).astype(np.float32) / np.float32(255)
    return pixels, read_gray(study.folder / mask) > 0


def _answers(model: Model, pairs: list[tuple[Floats, Mask]], run: AuditedRun) -> NDArray[np.float64]:
    if not pairs:
        return np.empty(0)
    seen_by_it = [view_of_pixels(film, lungs, run.config.view) for film, lungs in pairs]
    images = np.stack([np.rint(image * 255).astype(np.uint8) for image, _ in seen_by_it])
    masks = np.stack([lungs.astype(np.uint8) for _, lungs in seen_by_it])
    return first_class(model, Views(images, masks), range(len(pairs)))


def heat_evidence(study: Study, folder: Path, annotations: Annotations, seed: int, console: Console) -> AuditTest:
    """T11 of a run's out-of-fold heat-maps.

    Args:
        study: the run's.
        folder: of the run.
        annotations: radiologists' tables, where there are some.
        seed: of random weights and intervals.
        console: for progress.
    """
    run = read_heat_run(folder)
    if run.config.network != "trunk":
        return not_done(
            "T11", EVIDENCE, f"{run.config.called} is no trunk and head, whose layers could be made random."
        )
    lungs = lungs_of(study, run)
    maps = dict(track(heat_maps(run, lungs), "heat-maps", total=len(run.table), console=console))
    table = heat_table(run, maps, lungs)
    zones = boxes = None
    if annotations.brixia is not None:
        zones = brixia_of(study, table, maps, annotations.brixia, seed)
    if annotations.boxes is not None:
        called = table.assign(called=table["p"] >= THRESHOLD)
        boxes = heat_in_boxes(called, maps, lungs, boxes_of(study, annotations.boxes), seed)["all"]
    return heat_test(heat_in_lungs(table, seed), weights_of(run, seed), zones, boxes)
