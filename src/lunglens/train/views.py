"""A study's films as the classifier sees them, decoded once and memory-mapped: `images.npy` and `masks.npy`."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from lunglens.files import write_bytes
from lunglens.film.parameters import View
from lunglens.film.preprocess import Floats, Mask, classifier_view, resize, resize_mask
from lunglens.study.folder import Study

_STAMP = "views.txt"


@dataclass(frozen=True, eq=False)
class Views:
    """What a classifier sees before the cut: uint8 (N, S, S) images and uint8 0/1 lung masks."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    @property
    def folder(self) -> Path:
        """Where they were read from."""
        return Path(cast(np.memmap, self.images).filename or "").parent


def write_views(study: Study, image_ids: Sequence[str], view: View, out: Path) -> None:
    """Write the views of these films, in their order, into `out`, unless they are there already.

    The cut is left to training and testing, where the mask may be grown or shrunk first.
    """
    stamp, key = out / _STAMP, _key(study, image_ids, view)
    if stamp.exists() and stamp.read_text() == key:
        return
    stamp.unlink(missing_ok=True)
    shape = (len(image_ids), view.input_size, view.input_size)
    images, masks = (_memory_map(out / f"{name}.npy", shape) for name in ("images", "masks"))
    names = study.table.set_index("image_id").loc[list(image_ids), ["film", "mask"]]
    for index, (film_name, mask_name) in enumerate(track(list(names.itertuples(index=False)), "reading films")):
        image, shown = view_of(study.folder / str(film_name), study.folder / str(mask_name), view)
        images[index], masks[index] = np.rint(image * 255), shown
    del images, masks  # writes them out, before the stamp says that they are whole
    write_bytes(stamp, key.encode())


def share_views(study: Study, image_ids: Sequence[str], view: View, store: Path, out: Path) -> None:
    """As `write_views`, but runs with equal views share them: written once into `store` and linked into `out`."""
    key = _key(study, image_ids, view)
    if (out / _STAMP).exists() and (out / _STAMP).read_text() == key:
        return
    shared = store / hashlib.sha256(key.encode()).hexdigest()[:16]
    shared.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(shared / ".lock"):
        write_views(study, image_ids, view, shared)
    link_views(shared, out)


def link_views(folder: Path, out: Path) -> None:
    """Give `out` the views that `folder` has: as links, or copied where the disk takes none."""
    for name in ("images.npy", "masks.npy", _STAMP):
        (out / name).unlink(missing_ok=True)
        try:
            os.link(folder / name, out / name)
        except OSError:
            shutil.copyfile(folder / name, out / name)


def view_of(film_path: Path, mask_path: Path, view: View) -> tuple[Floats, Mask]:
    """The classifier's picture (S, S), 0..1, of a study's film, and its lung mask."""
    film = read_gray(film_path).astype(np.float32) / np.float32(255)
    return view_of_pixels(film, read_gray(mask_path) > 0, view)


def view_of_pixels(film: Floats, lungs: Mask, view: View) -> tuple[Floats, Mask]:
    """The same of a study's film (H, W), 0..1, and its lung mask, in memory."""
    squashed = np.rint(resize(film, view.film_size, view.film_size) * 255) / np.float32(255)
    mask = resize_mask(lungs, view.film_size, view.film_size)
    image, shown, _ = classifier_view(squashed.astype(np.float32), mask, view)
    return image, shown


def read_views(folder: Path) -> Views:
    """The views that were written into `folder`."""
    return Views(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")))


def _key(study: Study, image_ids: Sequence[str], view: View) -> str:
    films = hashlib.sha256("\n".join(image_ids).encode()).hexdigest()
    made = view.model_copy(update={"cut": False, "blackout": False}).model_dump_json(exclude={"pool"})
    return f"{study.fingerprint} {films} {made}"


def _memory_map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    path.unlink(missing_ok=True)  # it may be a link to what other runs see
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def read_gray(path: Path) -> NDArray[np.uint8]:
    """A study's film or mask, (H, W)."""
    with Image.open(path) as image:
        return np.asarray(image, np.uint8)
