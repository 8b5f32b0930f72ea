"""Synthetic chests: lungs, ribs, heart, opacities, drawn by formula, so that every stage runs without patient data."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


def chest(seed: int, size: int = 256, *, opacities: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A frontal chest (size, size), 0..1, bright = dense, and its lung mask."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    image = 0.85 * ((x / 0.98) ** 4 + (y / 1.25) ** 4 < 1)
    image = image - 0.12 * np.exp(-((x / 0.08) ** 2))
    lungs = np.zeros((size, size), bool)
    for side in (-1, 1):
        centre, width, height = (
            side * generator.uniform(0.40, 0.46),
            generator.uniform(0.27, 0.32),
            generator.uniform(0.58, 0.68),
        )
        narrowing = 1 + 0.35 * (y + 0.1)  # narrower at the apex
        lungs |= ((x - centre) / (width * narrowing)) ** 2 + ((y + 0.08) / height) ** 2 < 1
    heart = ((x - 0.14) / 0.30) ** 2 + ((y - 0.30) / 0.34) ** 2 < 1
    lungs &= ~heart
    image = np.where(lungs, image - 0.55, image)
    ribs = np.sin(24 * y + 5 * x**2 + generator.uniform(0, 6)) > 0.6
    image = image + 0.10 * (ribs & (np.abs(x) > 0.12))
    for _ in range(opacities):
        inside = np.argwhere(lungs)
        cy, cx = inside[generator.integers(len(inside))]
        spot = np.exp(-(((y - y[cy, 0]) / 0.16) ** 2 + ((x - x[0, cx]) / 0.16) ** 2))
        image = image + 0.35 * spot * lungs
    image = ndimage.gaussian_filter(image, size / 170) + generator.normal(0, 0.015, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), lungs


def save_png(pixels: NDArray[np.float32], path: Path) -> Path:
    """Write 0..1 pixels as an 8-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(path)
    return path


def data_root(root: Path, count: int = 12, size: int = 96) -> Path:
    """Small made-up copies of Montgomery, Shenzhen, covid-chestxray-dataset and NIH in their published layouts."""
    for folder, prefix in (("montgomery", "MCUCXR"), ("shenzhen", "CHNCXR")):
        for index in range(count):
            film, lungs = chest(index, size)
            name = f"{prefix}_{index:04d}_{index % 2}.png"
            save_png(film, root / folder / "CXR_png" / name)
            save_png(lungs.astype(np.float32), root / folder / "mask" / name)
    covid = ["patientid,offset,sex,age,finding,view,modality,filename"]
    nih = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"]
    for index in range(2 * count):
        film, lungs = chest(100 + index, size, opacities=4)
        finding = "COVID-19" if index % 2 else "Klebsiella"
        save_png(film, root / "covid-chestxray-dataset" / "images" / f"covid{index}.png")
        save_png(lungs.astype(np.float32), root / "covid-chestxray-dataset" / "lung-masks-v7" / f"covid{index}.png")
        covid.append(f"{index},0,F,60,{finding},PA,X-ray,covid{index}.png")
        save_png(chest(200 + index, size)[0], root / "nih-chestxray14" / "images" / f"{index:08d}_000.png")
        nih.append(f"{index:08d}_000.png,No Finding,0,{index},50,M,PA")
    for index, (view, modality) in enumerate([("L", "X-ray"), ("Axial", "CT")] * 6):
        film = np.random.default_rng(index).random((size, size)).astype(np.float32)
        save_png(film, root / "covid-chestxray-dataset" / "images" / f"other{index}.png")
        covid.append(f"o{index},0,M,60,COVID-19,{view},{modality},other{index}.png")
    (root / "covid-chestxray-dataset" / "metadata.csv").write_text("\n".join(covid) + "\n")
    (root / "nih-chestxray14" / "Data_Entry_2017_v2020.csv").write_text("\n".join(nih) + "\n")
    return root
