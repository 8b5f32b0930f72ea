"""The last look before a fold is trained: no film that is tested may stand in its training part under another name."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.study.folds import assert_apart


def assert_no_copies(table: pd.DataFrame, images: NDArray[np.uint8]) -> None:
    """Refuse a fold that trains on a tested patient, or on a copy of a tested film, mirrored or turned too.

    Copies have the same grey values equally often, which no two films have that are not copies; views of one value,
    such as the black rim of two films, are not compared.

    Args:
        table: image_id, group_id and `part` ("train", "validation", "test", or other for films that are not used).
        images: (rows of `table`, S, S) views.

    Raises:
        DataError: names the film or group that is on both sides.
    """
    learned, tested = table["part"].isin(["train", "validation"]), table["part"] == "test"
    assert_apart(table.loc[learned, "group_id"], table.loc[tested, "group_id"])
    names = table["image_id"].to_numpy(str)
    seen = {_histogram(images[row]): names[row] for row in np.flatnonzero(tested)}
    seen.pop(b"", None)
    for row in np.flatnonzero(learned):
        if copy := seen.get(_histogram(images[row])):
            raise DataError(f"{names[row]} would be trained on, and is a copy of {copy}, which is tested: {_MEND}")


def assert_made_of_training(made_of: Collection[str], table: pd.DataFrame) -> None:
    """Refuse synthetic rows that were made of anything but training films.

    Args:
        made_of: image_id of every film that a synthetic row was made of.
        table: image_id and `part` of the fold's films.

    Raises:
        DataError: names a film that is not trained on.
    """
    strangers = sorted(set(made_of) - set(table.loc[table["part"] == "train", "image_id"]))
    if strangers:
        raise DataError(f"synthetic rows were made of {strangers[0]}, which is no training film of this fold")


_MEND = "put both into one group (curate with the criterion duplicates) and make the folds again"


def _histogram(image: NDArray[np.uint8]) -> bytes:
    """Nothing of a view in which there is nothing to see."""
    counts = np.bincount(image.ravel(), minlength=256)
    return counts.tobytes() if np.count_nonzero(counts) > 1 else b""
