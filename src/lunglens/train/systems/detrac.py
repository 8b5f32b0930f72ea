"""System 10, DeTraC: each class is taken apart into two, the network learns those, and the answer is put together.

A. Abbas, M. M. Abdelsamea, M. M. Gaber, "Classification of COVID-19 in chest X-ray images using DeTraC deep
convolutional neural network", Appl Intell 51 (2021) 854-864; the method: IEEE Access 8 (2020) 74901-74913.

Certain: pretrained features, principal components that hold 95 % of the variance, k-means with k = 2 in every class,
transfer to twice as many outputs. A reading: cross-entropy (a later notebook has squared errors); the probability of a
class is the sum of its sub-classes' (the publication takes the most probable sub-class); a class whose sub-class would
have under five films stays whole. Ours must differ: the features are those that the trunk begins with, and only films
that train the fold are taken apart. `subclasses.csv` beside the training says which film is of which.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lunglens.files import save_csv
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Streams, pool
from lunglens.train.networks.layers import fully_connected, through
from lunglens.train.networks.network import evaluating
from lunglens.train.systems.mapped import Mapped

SUBCLASSES = "subclasses.csv"
_PARTS = 2  # of each class
_VARIANCE = 0.95
_FEWEST = 5


class Detrac(Mapped):
    """A trunk with two outputs a class; output // 2 is the class."""

    exists: Tensor

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.streams = Streams(config.backbone, config.view.input_size)
        self.layers = fully_connected([sum(self.streams.channels), *config.head, _PARTS * self.classes])
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("exists", torch.ones(_PARTS * self.classes, dtype=torch.bool))

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> the trunk's."""
        found: list[Tensor] = self.streams(images)
        return found

    def compose(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Of each class the logarithm of its sub-classes' sum, and their shares in it."""
        parts = self._existing(outputs).view(-1, self.classes, _PARTS)
        own = torch.eye(self.classes, device=outputs.device)[None, :, :, None]
        return parts.logsumexp(2), (own * parts.softmax(2)[:, None]).flatten(2)

    def loss(self, images: Tensor, targets: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the sub-classes in training, of the classes in validation."""
        if not self.training:
            return super().loss(images, targets, class_weights)
        outputs = through(self.layers, pool(self.streams(images)), self.dropout).float()
        weights = None if class_weights is None else class_weights.repeat_interleave(_PARTS)
        return cross_entropy(self._existing(outputs), targets.long(), weights), self.logits(self.compose(outputs)[0])

    def fit_targets(self, batches: Callable[[], Iterator[Tensor]], targets: Tensor, folder: Path) -> Tensor:
        """The number of each film's sub-class."""
        numbers = (1 - targets if self.outputs == 1 else targets).long().numpy()
        path = folder / SUBCLASSES
        if not path.exists():
            with evaluating(self):
                features = torch.cat([pool(self.streams(images)) for images in batches()]).float().numpy()
            found = numbers * _PARTS
            for number in range(self.classes):
                of_class = numbers == number
                found[of_class] += _taken_apart(features[of_class], self.config.optimization.seed)
            save_csv(pd.DataFrame({"class_number": numbers, "subclass": found}), path)
        subclasses = pd.read_csv(path)["subclass"].to_numpy()
        self.exists.copy_(torch.from_numpy(np.isin(np.arange(len(self.exists)), subclasses)))
        return torch.from_numpy(subclasses).to(targets)

    def classes_of(self, targets: Tensor) -> Tensor:
        """Of sub-classes."""
        numbers = targets // _PARTS
        return 1 - numbers if self.outputs == 1 else numbers

    def _existing(self, outputs: Tensor) -> Tensor:
        """No probability for a sub-class of a class that stays whole."""
        return outputs.masked_fill(~self.exists, -torch.inf)


def _taken_apart(features: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """(films, C) features of one class -> (films,) 0 or 1; all 0 where a part would be too small."""
    whole = np.zeros(len(features), np.int64)
    if len(features) < _PARTS * _FEWEST:
        return whole
    components = PCA(_VARIANCE, svd_solver="full").fit_transform(features)
    parts = KMeans(_PARTS, n_init=10, random_state=seed).fit_predict(components)
    return whole if np.bincount(parts, minlength=_PARTS).min() < _FEWEST else parts.astype(np.int64)
