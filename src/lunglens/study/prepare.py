"""Films of a study on disk: the square film, its lung mask and the film cut to the lungs; a killed run goes on."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from lunglens.errors import LungLensError
from lunglens.files import Journal, write_atomically
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Floats, film_square
from lunglens.film.radiograph import read_radiograph

JOURNAL = "journal.jsonl"
BORDER_LEVEL = 2 / 255  # what JPEG leaves of black


@dataclass(frozen=True)
class _PreparedFilm:
    """What was found when a film was read and segmented; with `error` everything else is unknown.

    width_px, height_px, bits: of the file. border_px: widest black border. lung_px: area of the processed mask at
    512x512. sha256: of the file.
    """

    image_id: str
    width_px: int | None = None
    height_px: int | None = None
    bits: int | None = None
    border_px: int | None = None
    lung_px: int | None = None
    sha256: str | None = None
    error: str | None = None


_LINE = TypeAdapter(_PreparedFilm)


def prepare_films(
    images: dict[str, Path], folder: Path, lungs: ModelPackage, settings: Postprocess
) -> Iterator[_PreparedFilm]:
    """Write `films/<id>.png` and `masks/<id>.png` (512x512) for each image; those that the journal names are done.

    Args:
        images: image id -> file.
        folder: the study in the making.
        lungs: the lung segmentation model.
        settings: post-processing of its mask; the processed mask is what is written.

    Yields:
        what was found, in the order of `images`.
    """
    journal = Journal(folder / JOURNAL)
    done = _done(journal)
    for image_id, path in images.items():
        film = done.get(image_id)
        if film is None:
            film = _prepare(image_id, path, folder, lungs, settings)
            journal.append(asdict(film))
        yield film


def write_cut(folder: Path, image_id: str, target: Path) -> None:
    """Write the film cut to the lungs, everything else black (paper section 3.2), as an 8-bit PNG of 512x512."""
    film = np.asarray(Image.open(folder / "films" / f"{image_id}.png"))
    mask = np.asarray(Image.open(folder / "masks" / f"{image_id}.png"), bool)
    save_png(film * mask, target)


def save_png(pixels: NDArray[np.uint8] | NDArray[np.bool_], target: Path) -> None:
    """An 8-bit or, for booleans, 1-bit PNG; the same pixels give the same bytes."""
    write_atomically(target, lambda path: Image.fromarray(pixels).save(path, "PNG"))


def border_width(pixels: Floats) -> int:
    """Widest black border of (H, W) pixels in 0..1, px: rows or columns at one side without anything brighter."""
    bright = pixels > BORDER_LEVEL
    if not bright.any():
        return int(max(pixels.shape))
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    sides = (rows[0], pixels.shape[0] - 1 - rows[-1], columns[0], pixels.shape[1] - 1 - columns[-1])
    return int(max(sides))


def _prepare(image_id: str, path: Path, folder: Path, lungs: ModelPackage, settings: Postprocess) -> _PreparedFilm:
    try:
        radiograph = read_radiograph(path)
    except LungLensError as error:
        return _PreparedFilm(image_id, error=str(error))
    region = segment_film(radiograph.pixels, lungs, settings).mask.region
    film = np.rint(film_square(radiograph.pixels, MASK_SIZE) * 255).astype(np.uint8)
    save_png(film, folder / "films" / f"{image_id}.png")
    save_png(region, folder / "masks" / f"{image_id}.png")
    height, width = radiograph.pixels.shape
    measured = (width, height, radiograph.bits, border_width(radiograph.pixels), int(region.sum()))
    return _PreparedFilm(image_id, *measured, sha256=radiograph.sha256)


def _done(journal: Journal) -> dict[str, _PreparedFilm]:
    """Films that an earlier start has finished; one whose line a kill cut short is done again."""
    done = {}
    for line in journal.entries:
        with suppress(ValidationError):
            film = _LINE.validate_json(line)
            done[film.image_id] = film
    return done
