"""A run's table of predictions: one row an image, its class, where it comes from, and a probability a class."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError

THRESHOLD = 0.5  # of two classes, on the first one's probability
EXTERNAL, UNUSED = "external", "unused"

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


def read_predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read `predictions.csv` of a classifier's run, checked.

    Returns:
        image_id, class, source, group_id ("": unknown), fold as text, and a column `p_<class>` a class.

    Raises:
        DataError: the file is missing or is no such table; see `check_predictions`.
    """
    texts = dict.fromkeys(["image_id", "class", "source", "group_id", "fold"], str)
    try:
        empty = {f"p_{name}": [""] for name in classes}
        table = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=empty)
        check_predictions(table, classes)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no predictions here; finish the cross-validation first") from error
    except (OSError, ValueError, DataError) as error:
        raise DataError(f"{path}: {error}; make it again with crossval") from error
    return table


def mean_predictions(folders: Iterable[str], classes: Sequence[str]) -> "pd.Series[float]":
    """image_id -> the first class's probability: the mean of all the folders' `predictions.csv` that have the film.

    Raises:
        DataError: see `read_predictions`.
    """
    tables = [read_predictions(Path(folder) / "predictions.csv", classes) for folder in folders]
    return pd.concat(tables).groupby("image_id")[f"p_{classes[0]}"].mean()


def check_predictions(table: pd.DataFrame, classes: Sequence[str]) -> None:
    """Raise DataError unless it is one row an image, of known classes, with probabilities 0..1 that sum to 1."""
    wanted = ["image_id", "class", "source", "group_id", "fold", *(f"p_{name}" for name in classes)]
    missing = [name for name in wanted if name not in table]
    if missing:
        raise DataError(f"column {missing[0]} is missing")
    if table.empty:
        raise DataError("no row")
    twice = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(twice):
        raise DataError(f"image {twice.iloc[0]} has two rows")
    unknown = set(table["class"]) - set(classes)
    if unknown:
        raise DataError(f"class {sorted(map(str, unknown))[0]} is none of {', '.join(classes)}")
    scores = table[[f"p_{name}" for name in classes]].to_numpy(float)
    wrong = ~(np.isclose(scores.sum(axis=1), 1, atol=1e-3) & ((scores >= 0) & (scores <= 1)).all(axis=1))
    if wrong.any():
        raise DataError(f"image {table['image_id'].to_numpy()[wrong][0]}: its probabilities do not sum to 1")


def cross_validated(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that were tested out of fold: neither external nor unused."""
    return table[~table["fold"].isin([EXTERNAL, UNUSED])]


def fold_order(names: Iterable[str]) -> list[str]:
    """Each name once: numbers in their order, then words in theirs."""
    return sorted(set(names), key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))


def codes_and_scores(table: pd.DataFrame, classes: Sequence[str]) -> tuple[Codes, Floats]:
    """Number of the true class (N,) and probabilities (N, classes)."""
    number = {name: index for index, name in enumerate(classes)}
    truth = np.array([number[name] for name in table["class"]], np.int64)
    return truth, np.asarray(table[[f"p_{name}" for name in classes]], np.float64)


def groups_of(table: pd.DataFrame) -> NDArray[Any]:
    """(N,) groups to draw; a film of an unknown patient is one of its own."""
    known = table["group_id"] != ""
    return ("group " + table["group_id"]).where(known, "film " + table["image_id"]).to_numpy(str)


def calls(scores: Floats) -> Codes:
    """(N,) number of the class called: the first of two from 0.5 on, else the largest."""
    if scores.shape[1] == 2:
        return np.where(scores[:, 0] >= THRESHOLD, 0, 1).astype(np.int64)
    return np.asarray(scores.argmax(axis=1), np.int64)
