"""Embeddings of one's own: numbers of any foundation model for each film, and a straight line through them.

`classifier.options.file` names an `.npz` of two arrays: `film` (N,) image_ids of the study (and of the unseen one), and
`embedding` (N, D) numbers. Folds, tests elsewhere, calibration and comparison are those of every other run; there is no
package, for what made the numbers is elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lunglens.errors import ConfigurationError, DataError
from lunglens.files import write_atomically
from lunglens.film.parameters import Section
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.export import FittedGraph
from lunglens.train.views import Views

ESTIMATOR = "estimator.safetensors"
_STRENGTHS = tuple(10.0**power for power in range(-4, 3))
Floats = NDArray[np.float64]


class Options(Section):
    """What `classifier.options` says."""

    file: Path


@dataclass(frozen=True, eq=False)
class EmbeddingModel:
    """Weights of one fold: mean, scale (D,), weights (K, D) and bias (K,) of the classes' log probabilities."""

    file: Path
    numbers: dict[str, Floats]
    outputs: int

    def probabilities(self, embeddings: Floats) -> Floats:
        """(N, D) -> (N, K)."""
        parts = self.numbers
        logits = (embeddings - parts["mean"]) / parts["scale"] @ parts["weights"].T + parts["bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def predict(self, views: Views, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities (len(rows),) of the first of two classes, or (len(rows), K)."""
        found = self.probabilities(_embeddings(self.file, _films(views)[rows])).astype(np.float32)
        return np.asarray(found[:, 0] if self.outputs == 1 else found)

    def graph(self, models: Sequence["EmbeddingModel"]) -> FittedGraph:
        """There is none.

        Raises:
            DataError: always.
        """
        raise DataError(f"{models[0].file}: what makes embeddings is not here, so there is no package of them")

    def cost(self) -> dict[str, float]:
        """Of the line alone: what its numbers cost, nobody knows here."""
        return {"parameters": sum(part.size for part in self.numbers.values()), "gflops": 0.0, "cpu_ms": 0.0}


def assert_can_train(config: ClassifierConfig, outputs: int) -> None:  # noqa: ARG001
    """Refuse a file that holds no embeddings, before any fold has begun.

    Raises:
        ConfigurationError: options say no file.
        DataError: it cannot be read.
    """
    _read(_file(config))


def train(
    table: pd.DataFrame,
    views: Views,  # noqa: ARG001
    config: ClassifierConfig,
    folder: Path,
    outputs: int = 1,
) -> EmbeddingModel:
    """Fit on the rows whose `part` is "train"; arguments as those of `train_classifier`.

    Logistic regression on standardised numbers, classes weighing the same; how strongly it is held back is chosen on
    the validation films.

    Raises:
        DataError: a film has no embedding, or a class no training films.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    path = _file(config)
    found = _embeddings(path, table["image_id"].to_numpy(str))
    numbers = (1 - table["target"] if outputs == 1 else table["target"]).to_numpy(np.int64)
    train_rows, validation = ((table["part"] == part).to_numpy() for part in ("train", "validation"))
    classes = max(outputs, 2)
    if missing := set(range(classes)) - set(numbers[train_rows]):
        raise DataError(f"{folder}: {len(missing)} of the classes have no films to train on")
    mean, scale = found[train_rows].mean(axis=0), np.maximum(found[train_rows].std(axis=0), 1e-9)
    scaled = (found - mean) / scale
    tried = []
    for strength in _STRENGTHS:
        line = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        line.fit(scaled[train_rows], numbers[train_rows])
        said = line.predict_proba(scaled[validation]) if validation.any() else np.zeros((0, classes))
        tried.append((log_loss(numbers[validation], said, labels=range(classes)) if validation.any() else 0.0, line))
    best = min(tried, key=lambda one: one[0])[1]
    weights, bias = best.coef_, best.intercept_
    if classes == 2:  # scikit-learn keeps one line, of the second class
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    parts = {"mean": mean, "scale": scale, "weights": weights, "bias": bias}
    write_atomically(folder / ESTIMATOR, lambda place: save_file(parts, place))
    return EmbeddingModel(path, parts, outputs)


def load(config: ClassifierConfig, folder: Path, outputs: int = 1) -> EmbeddingModel:
    """What `train` has left in `folder`.

    Raises:
        DataError: there is nothing.
    """
    try:
        return EmbeddingModel(_file(config), load_file(folder / ESTIMATOR), outputs)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{folder / ESTIMATOR}: cannot be read; finish the fold: start the same command again"
        ) from error


def _file(config: ClassifierConfig) -> Path:
    try:
        return Options.model_validate(config.options).file
    except ValueError as error:
        raise ConfigurationError(
            "classifier.options of network embedding: give file, an .npz of film (image_ids) and embedding (N, D)"
        ) from error


def _films(views: Views) -> NDArray[np.str_]:
    """image_ids of the films of a run's folder, or of what it is tested on, in the order of their views."""
    table = pd.read_csv(views.folder / "films.csv", dtype=str, keep_default_na=False)
    return table["image_id"].to_numpy(str)


def _embeddings(path: Path, films: NDArray[np.str_]) -> Floats:
    """(len(films), D)."""
    names, embeddings = _read(path)
    place = {name: row for row, name in enumerate(names.tolist())}
    missing = [name for name in films.tolist() if name not in place]
    if missing:
        raise DataError(f"{path}: has no embedding of {len(missing)} films, such as {missing[0]}")
    return embeddings[[place[name] for name in films.tolist()]]


def _read(path: Path) -> tuple[NDArray[np.str_], Floats]:
    try:
        with np.load(path, allow_pickle=False) as content:
            films, embeddings = content["film"].astype(str), content["embedding"].astype(np.float64)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as embeddings ({error}); give an .npz of film (N,) and embedding (N, D)"
        ) from error
    if films.ndim != 1 or embeddings.ndim != 2 or len(films) != len(embeddings):
        shapes = f"film {films.shape}, embedding {embeddings.shape}"
        raise DataError(f"{path}: {shapes}; give film (N,) and embedding (N, D)")
    if not np.isfinite(embeddings).all():
        raise DataError(f"{path}: an embedding holds what is no number")
    return films, embeddings
