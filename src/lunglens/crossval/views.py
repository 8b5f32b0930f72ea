"""A study's films as the classifier sees them, decoded once and memory-mapped: `images.npy` and `masks.npy`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from lunglens.classify.data import Views, memory_map
from lunglens.config import View
from lunglens.curate.study_folder import Study
from lunglens.files import write_bytes
from lunglens.preprocess import classifier_view, resize, resize_mask


def write_views(study: Study, image_ids: Sequence[str], view: View, out: Path) -> None:
    """Write the views of these films, in their order, into `out`, unless they are there already.

    The cut is left to training and testing, where the mask may be grown or shrunk first.
    """
    stamp = out / "views.txt"
    key = f"{study.description['fingerprint']} {view.model_copy(update={'cut': True}).model_dump_json()}"
    if stamp.exists() and stamp.read_text() == key:
        return
    stamp.unlink(missing_ok=True)
    shape = (len(image_ids), view.input_size, view.input_size)
    images, masks = (memory_map(out / f"{name}.npy", shape) for name in ("images", "masks"))
    names = study.table.set_index("image_id").loc[list(image_ids), ["film", "mask"]]
    for index, (film_name, mask_name) in enumerate(track(list(names.itertuples(index=False)), "reading films")):
        film = _read(study.folder / str(film_name)).astype(np.float32) / np.float32(255)
        film = np.rint(resize(film, view.film_size, view.film_size) * 255) / np.float32(255)
        mask = resize_mask(_read(study.folder / str(mask_name)) > 0, view.film_size, view.film_size)
        image, shown, _ = classifier_view(film.astype(np.float32), mask, view)
        images[index], masks[index] = np.rint(image * 255), shown
    del images, masks  # writes them out, before the stamp says that they are whole
    write_bytes(stamp, key.encode())


def read_views(folder: Path) -> Views:
    """The views that were written into `folder`."""
    return Views(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")))


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image, np.uint8)
