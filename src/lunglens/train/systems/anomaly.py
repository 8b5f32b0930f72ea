"""System 9, COVID-19 as an anomaly: a score that is near 0 for the usual and beyond 5 for what is not.

First version: J. Zhang, Y. Xie, Y. Li, C. Shen, Y. Xia, "COVID-19 screening on chest X-ray images using deep learning
based anomaly detection", arXiv 2003.12338v1. Second: the same and others, "Viral pneumonia screening on chest X-rays
using confidence-aware anomaly detection", IEEE Trans Med Imaging 40 (2021) 879-890.

Certain: a trunk with a classification and an anomaly head (first), with an anomaly and a confidence module whose
gradient does not reach the trunk (second); the deviation loss (G. Pang, C. Shen, A. van den Hengel, KDD 2019). A
reading: widths of heads; both losses of the first weigh the same, and its answer is the mean of the two sigmoids; a
module of the second is a 3x3 convolution to 256 maps, their average, and hidden layers. Its two thresholds are one
here: the answer is the larger of the probability of an anomaly (one half in the middle between 0 and 5) and of the
anomaly module being wrong. Both tell two classes apart; the first of the study is the anomaly.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Streams, class_activation, mean_logit, pool
from lunglens.train.networks.layers import fully_connected, gradient_through, through
from lunglens.train.networks.network import Network

_MARGIN = 5.0  # least deviation wanted of an anomaly, in standard deviations
_DRAWS = 5000
_WIDTH = 256  # of a module's maps


class _TwoScores(Network):
    """A trunk, and two scores from its maps."""

    deviations: Tensor  # mean and standard deviation that scores are measured by

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        if outputs != 1:
            raise ConfigurationError(f"network {config.network} tells two classes apart; the study has {outputs}")
        self.streams = Streams(config.backbone, config.view.input_size)
        self.dropout = nn.Dropout(config.dropout)
        drawn = torch.randn(_DRAWS, generator=torch.Generator().manual_seed(0))
        self.register_buffer("deviations", torch.stack([drawn.mean(), drawn.std()]))

    @property
    def has_heat(self) -> bool:
        """Whether its trunk has maps."""
        return self.streams.has_maps

    def _deviation(self, score: Tensor) -> Tensor:
        return (score - self.deviations[0]) / self.deviations[1]


class Anomaly(_TwoScores):
    """The first version: both heads see the same pooled maps."""

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        widths = [sum(self.streams.channels), *config.head, 1]
        self.classification, self.anomaly = fully_connected(widths), fully_connected(widths)

    def forward(self, images: Tensor) -> Tensor:
        """Logit of the mean of two probabilities, (N,)."""
        return mean_logit(torch.stack(self._scores(pool(self.streams(images)), self.dropout)))

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Logit, Grad-CAM of it in closed form, pooled features."""
        maps = self.streams(images)
        pooled = pool(maps)
        scores = torch.stack(self._scores(pooled, nn.Identity()))
        by_score = (
            logsigmoid(scores).softmax(0) * (-scores).sigmoid() + logsigmoid(-scores).softmax(0) * scores.sigmoid()
        )
        by_score = by_score / torch.stack([torch.ones_like(self.deviations[1]), self.deviations[1]])[:, None]
        heads = (self.classification, self.anomaly)
        gradients = [
            gradient_through(head, pooled, by[:, None, None])[:, 0] for head, by in zip(heads, by_score, strict=True)
        ]
        return mean_logit(scores), class_activation(maps, gradients[0] + gradients[1]), pooled

    def loss(self, images: Tensor, targets: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Binary cross-entropy of one head and deviation loss of the other."""
        scores = self._scores(pool(self.streams(images)), self.dropout)
        each = binary_cross_entropy_with_logits(scores[0], targets, reduction="none") + deviation_loss(
            scores[1], targets
        )
        return _weighted(each, targets, class_weights), mean_logit(torch.stack(scores))

    def _scores(self, pooled: Tensor, dropout: nn.Module) -> tuple[Tensor, Tensor]:
        found, score = (through(head, pooled, dropout)[:, 0].float() for head in (self.classification, self.anomaly))
        return found, self._deviation(score)


class AnomalyConfidence(_TwoScores):
    """The second version: two modules on the trunk's coarsest map."""

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        channels = self.streams.channels[-1]
        self.anomaly, self.confidence = _Module(channels, config.head), _Module(channels, config.head)

    def forward(self, images: Tensor) -> Tensor:
        """The larger of both logits, (N,)."""
        return _larger(*self._scores(self._maps(images), self.dropout))

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Logit, Grad-CAM in closed form of the score that has given it, pooled features of both modules."""
        maps = self._maps(images)
        deviation, confidence = self._scores(maps, nn.Identity())
        usual = torch.ones(1, 1, 1, device=images.device)
        heats = [
            class_activation([found], gradient_through(module.layers, pool([found]), outward)[:, 0])
            for module, found, outward in zip(self._both, maps, (usual / self.deviations[1], -usual), strict=True)
        ]
        larger = _larger(deviation, confidence)
        heat = torch.where((larger > -confidence)[:, None, None], heats[0], heats[1])
        return larger, heat, pool(maps)

    def loss(self, images: Tensor, targets: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Deviation loss, and the squared error of the probability that the anomaly module is right."""
        deviation, confidence = self._scores(self._maps(images), self.dropout)
        anomaly = (deviation.detach() - _MARGIN / 2).sigmoid()
        right = targets * anomaly + (1 - targets) * (1 - anomaly)
        each = deviation_loss(deviation, targets) + (right - confidence.sigmoid()).square()
        return _weighted(each, targets, class_weights), _larger(deviation, confidence)

    @property
    def _both(self) -> "tuple[_Module, _Module]":
        return self.anomaly, self.confidence

    def _maps(self, images: Tensor) -> list[Tensor]:
        coarsest = self.streams(images)[-1]
        return [self.anomaly(coarsest), self.confidence(coarsest.detach())]

    def _scores(self, maps: list[Tensor], dropout: nn.Module) -> tuple[Tensor, Tensor]:
        """Deviation of the anomaly score, and logit of the confidence."""
        score, confidence = (
            through(module.layers, pool([found]), dropout)[:, 0].float()
            for module, found in zip(self._both, maps, strict=True)
        )
        return self._deviation(score), confidence


class _Module(nn.Module):
    """A convolution, and fully connected layers for what is made of its maps."""

    def __init__(self, channels: int, head: tuple[int, ...]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(_WIDTH), nn.ReLU(inplace=True)
        )
        self.layers = fully_connected([_WIDTH, *head, 1])

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, 256, h, w)."""
        found: Tensor = self.body(maps)
        return found


def deviation_loss(deviation: Tensor, targets: Tensor) -> Tensor:
    """(N,) deviations, 1 where the film is an anomaly -> (N,): |deviation| of the usual, what an anomaly lacks to 5.

    >>> deviation_loss(torch.tensor([0.0, 5.0, 2.0]), torch.tensor([0.0, 1.0, 1.0]))
    tensor([0., 0., 3.])
    """
    return (1 - targets) * deviation.abs() + targets * (_MARGIN - deviation).relu()


def _weighted(each: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    return (each if class_weights is None else each * class_weights[1 - targets.long()]).mean()


def _larger(deviation: Tensor, confidence: Tensor) -> Tensor:
    return torch.maximum(deviation - _MARGIN / 2, -confidence)
