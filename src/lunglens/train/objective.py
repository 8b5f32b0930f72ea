"""What a training makes smaller: the loss of the classes and of opacity, and terms against learning the source.

Source and class go together in public data, so a network that tells sources apart answers well and has learned nothing
of the disease. Groups are source x class.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.network import Network, Told, classification_loss

MOST_GROUPS = 64


class Batch(NamedTuple):
    """Films of a batch.

    images, masks: (N, 1, S, S) uint8. targets: (N,) as `classification_loss` takes them. opacity: (N,) 1, 0 or NaN
    (not known). groups: (N,) number of the source x classes + number of the class, below `MOST_GROUPS`.
    """

    images: Tensor
    masks: Tensor
    targets: Tensor
    opacity: Tensor
    groups: Tensor


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied on its way back (Ganin and Lempitsky 2015, arXiv:1409.7495)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.scale, None


class Objective(nn.Module):
    """The loss of a batch. In training also group DRO, `decorrelate` and `source_head`, where they are asked for.

    shares: (MOST_GROUPS,) of group DRO, its state.
    """

    shares: Tensor

    def __init__(self, config: ClassifierConfig, width: int = 0) -> None:
        """width: number of the network's features, 0 where it has none."""
        super().__init__()
        self.config = config
        if config.source_head:
            self.names_source = nn.Linear(width, MOST_GROUPS)
        if config.group_dro:
            self.register_buffer("shares", torch.ones(MOST_GROUPS))

    def forward(
        self, network: Network, images: Tensor, batch: Batch, class_weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Loss and logits; images: what the network is given of the batch."""
        config = self.config
        if not (config.opacity_loss or config.group_dro or config.decorrelate or config.source_head):
            return network.loss(images, batch.targets, class_weights)
        told = Told(*(each.float() for each in network.told(images)))
        each = classification_loss(told.logits, batch.targets, class_weights, reduction="none")
        loss = self._of_worst_groups(each, batch.groups) if config.group_dro and self.training else each.mean()
        if config.opacity_loss:
            loss = loss + config.opacity_loss * opacity_loss(told.opacity, batch.opacity)
        if config.decorrelate and self.training:
            loss = loss + config.decorrelate * source_correlation(told.features, batch.targets, batch.groups)
        if config.source_head and self.training:
            named = self.names_source(_ScaledGradient.apply(told.features, config.source_head))
            loss = loss + cross_entropy(named, batch.groups // network.classes)
        return loss, told.logits

    def _of_worst_groups(self, losses: Tensor, groups: Tensor) -> Tensor:
        """Group DRO (Sagawa et al. 2020, arXiv:1911.08731): groups of larger loss count more, step after step."""
        films = groups.bincount(minlength=MOST_GROUPS)
        of_groups = losses.new_zeros(MOST_GROUPS).index_add(0, groups, losses) / films.clamp_min(1)
        with torch.no_grad():
            self.shares *= (self.config.group_dro * of_groups).exp()
            self.shares /= self.shares.mean()
        share = self.shares * (films > 0)
        return (share * of_groups).sum() / share.sum()


def opacity_loss(logits: Tensor, opacity: Tensor) -> Tensor:
    """Mean over the batch of the binary cross-entropy of films whose opacity is known (1 or 0; else NaN)."""
    known = ~opacity.isnan()
    return binary_cross_entropy_with_logits(logits[known], opacity[known], reduction="sum") / len(opacity)


def source_correlation(features: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """How much features (N, C) tell the group among films of one class: mean over the classes, 0..1."""
    of_class = [targets == one for one in set(targets.tolist())]
    return torch.stack([distance_correlation(features[rows], groups[rows]) for rows in of_class]).mean()


def distance_correlation(features: Tensor, groups: Tensor) -> Tensor:
    """Squared distance correlation (Szekely et al. 2007) of features (N, C) and groups (N,), whose distance is 0 or 1.

    0 where there is one group alone.
    """
    first = _centred(torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist"))
    second = _centred((groups[:, None] != groups[None]).to(features.dtype))
    spread = ((first**2).mean() * (second**2).mean()).clamp_min(1e-12).sqrt()
    correlation: Tensor = (first * second).mean() / spread
    return correlation


def _centred(distances: Tensor) -> Tensor:
    return distances - distances.mean(0) - distances.mean(1, keepdim=True) + distances.mean()
