"""One fold's model, whatever it is: a network, or what was fitted without one."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import ClassifierTraining, assert_can_begin, load_trained, train_classifier
from lunglens.train.export import FittedGraph
from lunglens.train.networks.classifier import ClassifierGraph
from lunglens.train.networks.familiar import Familiarity
from lunglens.train.systems import FITTED, assert_is_trunk
from lunglens.train.views import Views


class Model(Protocol):
    """A trained model of one fold."""

    def predict(self, views: Views, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities (len(rows),) of the first of two classes, or (len(rows), classes)."""

    def cost(self) -> dict[str, float]:
        """Parameters, GFLOPs and time of one film, as `cost_of` gives them."""


def assert_can_train(config: ClassifierConfig, outputs: int) -> None:
    """Raise ConfigurationError for what cannot be trained, before any fold has begun."""
    assert_is_trunk(config)
    if config.network in FITTED:
        _fitted(config).assert_can_train(config, outputs)
    else:
        assert_can_begin(config, outputs)


def train_model(table: pd.DataFrame, views: Views, config: ClassifierConfig, folder: Path, outputs: int = 1) -> Model:
    """Train on the rows whose `part` is "train", as `train_classifier`; a killed training goes on."""
    if config.network in FITTED:
        model: Model = _fitted(config).train(table, views, config, folder, outputs)
        return model
    return train_classifier(table, views, config, folder, outputs)


def load_model(config: ClassifierConfig, folder: Path, outputs: int = 1) -> Model:
    """What `train_model` has left in `folder`."""
    if config.network in FITTED:
        model: Model = _fitted(config).load(config, folder, outputs)
        return model
    return load_trained(config, folder, outputs)


def graph_of(models: Sequence[Model], familiar: Sequence[Familiarity] = ()) -> ClassifierGraph | FittedGraph:
    """What a package of these models computes; of several the mean of their probabilities.

    familiar: of each network, if the distance from its training is told.

    Raises:
        DataError: models without a network do not answer together.
    """
    networks = [model.classifier for model in models if isinstance(model, ClassifierTraining)]
    if len(networks) == len(models):
        return ClassifierGraph(*networks, familiar=familiar)
    graph: FittedGraph = models[0].graph(models)  # type: ignore[attr-defined]
    return graph


def _fitted(config: ClassifierConfig) -> Any:
    return import_module(FITTED[config.network])
