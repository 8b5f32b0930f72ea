"""What training, export and heat-maps ask of a classifier's network, whichever it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.training import ClassifierConfig


class Told(NamedTuple):
    """What a network says in training.

    logits: as `Network.forward` gives them. opacity: (N,) logits of any opacity in the lungs, NaN where that is not
    told. features: (N, C) before the head, of a trunk and head alone.
    """

    logits: Tensor
    opacity: Tensor
    features: Tensor


class Network(nn.Module):
    """A classifier of films.

    A network that has a trunk of timm's keeps it as `streams`: its weights can begin elsewhere, and be frozen.
    config: what it was built from. outputs: 1 for two classes (the logit of the first), else the number of classes.
    """

    class Options(Section):
        """What `classifier.options` may say of this network."""

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__()
        self.config, self.outputs = config, outputs
        try:
            self.options = self.Options.model_validate(config.options)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigurationError(f"classifier.options of network {config.network}: {problems}") from error

    @classmethod
    def of(cls, config: ClassifierConfig, outputs: int) -> "Network":
        """The network that a configuration describes."""
        return cls(config, outputs)

    @property
    def has_heat(self) -> bool:
        """Whether `answer` gives a heat-map."""
        return False

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return max(self.outputs, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, S, S) images in 0..1 -> (N,) logits of the first of two classes, or (N, outputs)."""
        raise NotImplementedError

    def told(self, images: Tensor) -> Told:
        """All that it tells of (N, 1, S, S)."""
        logits = self(images)
        return Told(logits, logits.new_full((len(logits),), torch.nan), logits.new_zeros(len(logits), 0))

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """(N, 1, S, S) -> logits, heat (N, h, w) or (N, K, h, w), >= 0, or None, and features (N, C)."""
        raise NotImplementedError

    def loss(self, images: Tensor, targets: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """What training makes smaller, and the logits.

        Args:
            images: (N, 1, S, S), 0..1.
            targets: (N,) as `fit_targets` gives them in training, as `classification_loss` takes them in validation.
            class_weights: (classes,) in the order of the study's classes.
        """
        logits = self(images).float()
        return classification_loss(logits, targets, class_weights), logits

    def fit_targets(
        self,
        batches: Callable[[], Iterator[Tensor]],  # noqa: ARG002
        targets: Tensor,
        folder: Path,  # noqa: ARG002
    ) -> Tensor:
        """What the training films are to answer, where that is not their class.

        Args:
            batches: gives the training films, as the network sees them, in batches of (N, 1, S, S).
            targets: (films,), as `classification_loss` takes them.
            folder: of the training; what was fitted is kept there, so that a training that goes on does not fit anew.
        """
        return targets

    def classes_of(self, targets: Tensor) -> Tensor:
        """The classes, as `classification_loss` takes them, of what `fit_targets` has given."""
        return targets.round()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; what was frozen in it stays so."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def classification_loss(
    logits: Tensor, targets: Tensor, class_weights: Tensor | None, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of (N,) logits (target 1 is the first class), cross-entropy of (N, K) (targets 0 ... K - 1).

    Of two classes a target may be a probability. class_weights: (classes,) in the order of the study's classes.
    """
    if logits.ndim > 1:
        return cross_entropy(logits, targets.long(), class_weights, reduction=reduction)
    each = None if class_weights is None else targets * class_weights[0] + (1 - targets) * class_weights[1]
    return binary_cross_entropy_with_logits(logits, targets, each, reduction=reduction)
