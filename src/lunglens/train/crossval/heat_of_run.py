"""How far the out-of-fold heat-maps of one run are evidence: in the lungs, by the weights, where radiologists point."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.evaluate.brixia import read_brixia, zone_agreement, zone_heat
from lunglens.evaluate.heat import inside, inside_summary, pointing, pointing_summary, weight_dependence
from lunglens.evaluate.predictions import groups_of
from lunglens.film.preprocess import Floats, Mask, resize_mask
from lunglens.film.severity import brixia_zones
from lunglens.study.folder import Study
from lunglens.train.crossval.oof_heatmaps import RANDOMISED, HeatRun, heat_of, load_classifier, out_of_fold, randomised
from lunglens.train.views import read_gray

Maps = dict[str, Floats]


def lungs_of(study: Study, run: HeatRun) -> dict[str, Mask]:
    """image_id -> processed lung mask of the whole film, at the size of the run's squashed film."""
    size = run.config.view.film_size
    paths = study.table.set_index("image_id").loc[run.table["image_id"], "mask"]
    return {str(name): resize_mask(read_gray(study.folder / path) > 0, size, size) for name, path in paths.items()}


def heat_table(run: HeatRun, maps: Maps, lungs: Mapping[str, Mask]) -> pd.DataFrame:
    """A row a film: probability, heat in the lungs, the lungs' share of the film, whether the hottest pixel hits."""
    table = run.table[["image_id", "class", "source", "group_id", "fold"]].copy()
    table["p"] = out_of_fold(run)[table["image_id"]].to_numpy()
    shares = [inside(maps[name], lungs[name]) for name in table["image_id"]]
    table["heat_in_lungs"] = [heat for heat, _ in shares]
    table["lungs_of_film"] = [area for _, area in shares]
    hits = [pointing(maps[name], lungs[name])[0] for name in table["image_id"]]
    table["hottest_in_lungs"] = pd.array(hits, "boolean")
    return table


def heat_in_lungs(table: pd.DataFrame, seed: int, suffix: str = "") -> dict[str, Any]:
    """Over films: share of the heat in the lungs against theirs of the film, and the hottest pixel."""
    groups, area = groups_of(table), table["lungs_of_film"].to_numpy(float)
    hits = [None if pd.isna(hit) else bool(hit) for hit in table[f"hottest_in_lungs{suffix}"]]
    found = inside_summary(table[f"heat_in_lungs{suffix}"].to_numpy(float), area, groups, seed)
    return found | {"hottest_pixel": pointing_summary(hits, area, groups, seed)}


def weights_of(run: HeatRun, seed: int) -> dict[str, Any]:
    """Maps of the first fold's films by its trained model, against those with random weights."""
    fold = run.folds[0]
    films = run.table[run.table["fold"] == fold].reset_index(drop=True)
    rows = films["row"].to_numpy(np.int64)
    trained = heat_of(load_classifier(run, fold), run, rows)
    others = {
        name: heat_of(randomised(load_classifier(run, fold), share, seed), run, rows)
        for name, share in RANDOMISED.items()
    }
    return weight_dependence(trained, others, groups_of(films), seed)


def brixia_of(study: Study, table: pd.DataFrame, maps: Maps, annotations: Path, seed: int) -> dict[str, Any]:
    """Heat in the six zones against the radiologists' scores, over the films that have them."""
    scores = read_brixia(annotations)
    by_stem = {Path(str(name)).stem: zones for name, zones in zip(scores.index, scores.to_numpy(float), strict=True)}
    stems = study.table.set_index("image_id")["path"].map(lambda path: Path(path).stem)
    masks = study.table.set_index("image_id")["mask"]
    kept: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = []
    without_zones = 0
    for at, name in enumerate(table["image_id"]):
        if stems[name] not in by_stem:
            continue
        zones = brixia_zones(read_gray(study.folder / masks[name]) > 0)
        if zones is None:
            without_zones += 1
        else:
            kept.append((at, zone_heat(maps[name], zones), by_stem[stems[name]]))
    if not kept:
        raise DataError(f"{annotations}: none of its films is in the study {study.folder}")
    rows = [at for at, _, _ in kept]
    heat, scored = np.stack([heat for _, heat, _ in kept]), np.stack([score for _, _, score in kept])
    agreement = zone_agreement(heat, scored, groups_of(table.iloc[rows]), seed)
    return {"scored": len(by_stem), "in_study": len(kept), "without_zones": without_zones} | agreement
