"""A study of phantoms in which a shortcut is planted in a share of the films of one class, and nothing else differs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from lunglens.study.folder import COLUMNS, load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.study.prepare import border_width
from tests.support.phantom import chest, save_png
from tests.support.study_folder import write_csv

Film = tuple[NDArray[np.float32], NDArray[np.bool_]]


def _marker(film: NDArray[np.float32], lungs: NDArray[np.bool_]) -> Film:
    layer = Image.new("L", film.shape[::-1])
    side = len(film)
    ImageDraw.Draw(layer).rectangle((0.9 * side, 0.03 * side, 0.97 * side, 0.12 * side), fill=255)
    return np.maximum(film, np.asarray(layer, np.float32) / 255), lungs


def _border(film: NDArray[np.float32], lungs: NDArray[np.bool_]) -> Film:
    edge = len(film) // 25
    found = film.copy()
    found[:edge] = found[-edge:] = 0
    found[:, :edge] = found[:, -edge:] = 0
    return found, lungs


def _contrast(film: NDArray[np.float32], lungs: NDArray[np.bool_]) -> Film:
    return np.asarray(0.5 + 0.75 * (film - 0.5), np.float32), lungs


def _sharpness(film: NDArray[np.float32], lungs: NDArray[np.bool_]) -> Film:
    return np.asarray(ndimage.gaussian_filter(film, len(film) / 90), np.float32), lungs


def _shape(film: NDArray[np.float32], lungs: NDArray[np.bool_]) -> Film:
    return film, ndimage.binary_dilation(lungs, iterations=len(film) // 40)


SHORTCUTS: dict[str, Callable[[NDArray[np.float32], NDArray[np.bool_]], Film]] = {
    "marker": _marker,
    "border": _border,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "mask shape": _shape,
}


def planted_study(folder: Path, shortcut: str, share: float, count: int = 60, folds: int = 3) -> Path:
    """`count` films a class, from two sources alike, which differ in the shortcut, in this share of those of covid."""
    size, rows = 128, []
    chosen = set(np.random.default_rng(7).permutation(count)[: round(share * count)])
    for index in range(2 * count):
        name = "covid" if index < count else "other"
        film, lungs = chest(1000 + index, size)
        if name == "covid" and index in chosen:
            film, lungs = SHORTCUTS[shortcut](film, lungs)
        image_id = f"film-{index:03d}"
        save_png(film, folder / "films" / f"{image_id}.png")
        save_png(film, folder / "images" / name / f"{image_id}.png")
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(lungs).save(folder / "masks" / f"{image_id}.png")
        row = dict.fromkeys(COLUMNS, "") | {"image_id": image_id, "class": name, "source": f"hospital {index % 2}"}
        row |= {"path": f"{image_id}.png", "patient_id": str(index), "group_id": f"patient-{index}", "view": "PA"}
        row |= {"modality": "X-ray", "age_years": str(30 + index % 50), "sex": "FM"[index % 2], "bits": "8"}
        row |= {"width_px": str(size), "height_px": str(size), "border_px": str(border_width(film))}
        row |= {"lung_px": str(int(lungs.sum())), "film": f"films/{image_id}.png", "mask": f"masks/{image_id}.png"}
        rows.append(row | {"cut": f"images/{name}/{image_id}.png"})
    write_csv(folder / "manifest.csv", rows)
    about = {"format": 2, "name": f"{shortcut} {share}", "classes": ["covid", "other"], "fingerprint": "ef" * 32}
    (folder / "study.json").write_text(json.dumps(about))
    write_folds(load_study(folder), FoldSettings(folds=folds))
    return folder
