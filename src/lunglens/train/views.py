"""Manifest rows -> the classifier's images: decoded and segmented once, cut once, memory-mapped."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import track

from lunglens.errors import DataError, LungLensError
from lunglens.files import write_bytes
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.parameters import View
from lunglens.film.preprocess import classifier_view, film_square, resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import ClassifierConfig

EXTERNAL = "external"


@dataclass(frozen=True, eq=False)
class FilmCache:
    """Squashed films: uint8 (N, F, F), uint8 0/1 processed lung masks of the same size, and their areas at 512x512."""

    films: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    area_px: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Views:
    """What the classifier sees before the cut: uint8 (N, S, S) images and uint8 0/1 lung masks."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]


def fingerprint(table: pd.DataFrame) -> str:
    """SHA-256 over names and sizes of the files and their labels: two equal fingerprints are the same data."""
    digest = hashlib.sha256()
    for row in table.sort_values("path").itertuples():
        path = Path(str(row.path))
        digest.update(f"{row.source}/{path.name} {path.stat().st_size} {row.label} {row.group_id}\n".encode())
    return digest.hexdigest()


def targets(table: pd.DataFrame, config: ClassifierConfig) -> pd.Series:
    """1 (COVID), 0 (not), or missing where the configuration names the row's source x label on neither side."""

    def target(source: str, label: str) -> float:
        if label in config.positive.get(source, ()):
            return 1.0
        return 0.0 if label in config.negative.get(source, ()) else np.nan

    pairs = zip(table["source"], table["label"], strict=True)
    return pd.Series([target(source, label) for source, label in pairs], index=table.index)


def build_film_cache(table: pd.DataFrame, config: ClassifierConfig, lungs: ModelPackage, folder: Path) -> FilmCache:
    """Decode and segment every row's film once; reuses `folder` when rows, settings and lungs are the same.

    Raises:
        DataError: a film cannot be read (the message names it).
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(table, config, lungs)
    stamp = folder / "key.txt"
    if not (stamp.is_file() and stamp.read_text() == key):
        stamp.unlink(missing_ok=True)
        _fill(table, config, lungs, folder)
        write_bytes(stamp, key.encode())
    return FilmCache(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("films", "regions", "area_px")))


def build_views(cache: FilmCache, rows: NDArray[np.int64], view: View, folder: Path) -> Views:
    """The classifier's views of the given rows of the cache, memory-mapped in `folder`."""
    shape = (len(rows), view.input_size, view.input_size)
    images, masks = (memory_map(folder / f"{name}.npy", shape) for name in ("images", "masks"))
    for index, row in enumerate(track(rows, "cutting", total=len(rows))):
        film = cache.films[row].astype(np.float32) / np.float32(255)
        image, mask, _ = classifier_view(film, cache.regions[row].astype(bool), view)
        images[index], masks[index] = np.rint(image * 255), mask
    return Views(images, masks)


def _fill(table: pd.DataFrame, config: ClassifierConfig, lungs: ModelPackage, folder: Path) -> None:
    size = config.view.film_size
    films, regions = (memory_map(folder / f"{name}.npy", (len(table), size, size)) for name in ("films", "regions"))
    areas = np.zeros(len(table), np.int32)
    for index, path in enumerate(track(table["path"], "segmenting", total=len(table))):
        try:
            pixels = read_radiograph(Path(path)).pixels
        except LungLensError as error:
            raise DataError(f"{error}; leave the file out of the data set or repair it") from error
        mask = segment_film(pixels, lungs, config.postprocess).mask
        films[index] = np.rint(film_square(pixels, size) * 255)
        regions[index] = resize_mask(mask.region, size, size)
        areas[index] = mask.region_area_px
    # Dropping the maps writes them out, before the stamp says that they are whole.
    del films, regions
    np.save(folder / "area_px.npy", areas)


def memory_map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A new array on disk."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def _key(table: pd.DataFrame, config: ClassifierConfig, lungs: ModelPackage) -> str:
    weights = lungs.description["checksums"]["model.onnx"]
    paths = hashlib.sha256("\n".join(table["path"]).encode()).hexdigest()
    return f"{paths} {weights} {config.view.film_size} {config.postprocess.model_dump_json()}"
