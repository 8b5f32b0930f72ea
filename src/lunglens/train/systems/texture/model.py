"""System 4 on one fold: fitted, kept as ONNX, and answering through it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from lunglens.errors import ConfigurationError, DataError
from lunglens.files import write_bytes, write_json
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.cost import cost_of
from lunglens.train.export import onnx_bytes
from lunglens.train.guard import assert_made_of_training
from lunglens.train.systems.texture.clus import Hierarchy
from lunglens.train.systems.texture.estimators import fit_estimator
from lunglens.train.systems.texture.features import Features, Texture, features_of
from lunglens.train.systems.texture.joining import FEATURES, PROBABILITIES, SURE, answering, joined
from lunglens.train.systems.texture.options import options_of
from lunglens.train.views import Views

ESTIMATOR, RESAMPLING = "estimator.onnx", "resampling.json"


@dataclass(frozen=True, eq=False)
class TextureModel:
    """The estimators of one fold on their descriptors; `estimator` is the content of `estimator.onnx`."""

    config: ClassifierConfig
    classes: int
    estimator: bytes

    @cached_property
    def texture(self) -> Texture:
        """The descriptors."""
        return Texture(self.config).eval()

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(self.estimator, options, providers=["CPUExecutionProvider"])

    def probabilities(self, features: Features) -> Features:
        """(N, F) -> (N, K)."""
        found: Features = self._session.run([PROBABILITIES], {FEATURES: features})[0]
        return found

    def predict(self, views: Views, rows: NDArray[np.int64]) -> Features:
        """Probabilities (len(rows),) of the first of two classes, or (len(rows), K)."""
        found = self.probabilities(features_of(views, self.texture, self.config)[rows])
        return found[:, 0] if self.classes == 2 else found

    def graph(self, models: Sequence["TextureModel"]) -> "TextureGraph":
        """What a package of these models of one run computes."""
        return TextureGraph(models)

    def cost(self) -> dict[str, float]:
        """As `cost_of`: parameters are the numbers in the estimator and the trunk, GFLOPs those of the filters."""
        numbers = _numbers_in(self.estimator) + sum(one.numel() for one in self.texture.parameters())
        return cost_of(
            lambda image: self.probabilities(self.texture(image).numpy()), numbers, self.config.view.input_size
        )


@dataclass(frozen=True, eq=False)
class TextureGraph:
    """Descriptors once, then the mean of the models' probabilities. There is no heat: a histogram has no places."""

    models: Sequence[TextureModel]
    outputs = ("probability", "logit", "features")

    @cached_property
    def _whole(self) -> TextureModel:
        first = self.models[0]
        parts = [onnx.load_model_from_string(model.estimator) for model in self.models]
        spans = [(0, sum(first.texture.lengths))] * len(parts)
        estimator = joined(parts, spans, "late-sum", first.classes).SerializeToString()
        return TextureModel(first.config, first.classes, estimator)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, S, S) -> probability and logit, (N,) or (N, K), and features (N, F)."""
        features = self._whole.texture(images)
        found = torch.from_numpy(self._whole.probabilities(features.numpy()))
        found = found[:, 0] if self._whole.classes == 2 else found
        inside = found.clamp(SURE, 1 - SURE)
        return found, inside.logit() if found.ndim == 1 else inside.log(), features

    def onnx_bytes(self, example: Tensor) -> bytes:
        """The ONNX graph with a free batch size."""
        descriptors = onnx.load_model_from_string(onnx_bytes(self._whole.texture, example))
        estimator = onnx.load_model_from_string(self._whole.estimator)
        return bytes(answering(descriptors, estimator, self._whole.classes).SerializeToString())


def assert_can_train(config: ClassifierConfig, outputs: int) -> None:
    """Refuse options before any fold has begun.

    Raises:
        ConfigurationError: they do not fit one another, the classes, or the trunk's weights.
    """
    if options_of(config).hierarchy and outputs == 1:
        raise ConfigurationError(
            "classifier.options: estimator clus is not applicable: with two classes the tree is flat. "
            "Take a study of three classes or more, or another estimator"
        )
    Texture(config)


def train(table: pd.DataFrame, views: Views, config: ClassifierConfig, folder: Path, outputs: int = 1) -> TextureModel:
    """Fit on the rows whose `part` is "train"; arguments as those of `train_classifier`.

    Writes `estimator.onnx`, and `resampling.json`: how many films and made-up rows of each class it was fitted on.

    Raises:
        DataError: a class has no training films, or too few for the resampling.
    """
    options, seed = options_of(config), config.optimization.seed
    texture = Texture(config)
    features = features_of(views, texture, config)
    numbers = (1 - table["target"] if outputs == 1 else table["target"]).to_numpy(np.int64)
    parts = [np.flatnonzero(table["part"] == part) for part in ("train", "validation")]
    classes = max(outputs, 2)
    if missing := set(range(classes)) - set(numbers[parts[0]]):
        raise DataError(f"{folder}: {len(missing)} of the classes have no films to train on")
    names = dict(zip(numbers, table["class"], strict=True))
    hierarchy = Hierarchy.of([names[k] for k in range(classes)], options.parents) if options.hierarchy else None
    assert_made_of_training(table["image_id"].iloc[parts[0]], table)
    ends = np.cumsum([0, *texture.lengths]).tolist()
    spans = [(0, ends[-1])] if options.fusion == "early" else list(itertools.pairwise(ends))
    models, made = [], []
    for start, stop in spans:
        training, validation = ((features[rows, start:stop], numbers[rows]) for rows in parts)
        model, counts = fit_estimator(options.estimator, training, validation, options.resampling, hierarchy, seed)
        models.append(model)
        made.append(counts)
    estimator = joined(models, spans, options.fusion, classes).SerializeToString()
    write_json(folder / RESAMPLING, {"resampling": options.resampling, "estimators": made})
    write_bytes(folder / ESTIMATOR, estimator)
    return TextureModel(config, classes, estimator)


def load(config: ClassifierConfig, folder: Path, outputs: int = 1) -> TextureModel:
    """What `train` has left in `folder`.

    Raises:
        DataError: there is nothing.
    """
    try:
        return TextureModel(config, max(outputs, 2), (folder / ESTIMATOR).read_bytes())
    except OSError as error:
        raise DataError(
            f"{folder / ESTIMATOR}: cannot be read; finish the fold: start the same command again"
        ) from error


def _numbers_in(content: bytes) -> int:
    """How many numbers an ONNX model holds, in tensors and in attributes of trees and kernels."""
    graph = onnx.load_model_from_string(content).graph
    tensors = sum(numpy_helper.to_array(one).size for one in graph.initializer)
    return tensors + sum(len(one.floats) for node in graph.node for one in node.attribute)
