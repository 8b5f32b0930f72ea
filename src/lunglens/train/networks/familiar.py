"""How unlike a film is to those that a classifier was trained on, from its own features."""

import torch
from torch import Tensor, nn

_DIRECTIONS = 32
_LEAST = 1e-6


class Familiarity(nn.Module):
    """Distance of features (N, C) from the nearest class of the training, about 1 of a film like them.

    Mahalanobis distance to each class's mean (Lee et al. 2018, arXiv:1807.03888), within-class covariance common to
    all, along its 32 widest directions; what lies beside these weighs as one direction more (as ViM's residual, Wang et
    al. 2022, arXiv:2203.10807).
    """

    means: Tensor
    directions: Tensor
    spread: Tensor
    beside: Tensor

    def __init__(self, means: Tensor, directions: Tensor, spread: Tensor, beside: Tensor) -> None:
        """means (K, C); directions (C, D), orthonormal; spread (D,) deviations along, beside () across them."""
        super().__init__()
        for name, value in (("means", means), ("directions", directions), ("spread", spread), ("beside", beside)):
            self.register_buffer(name, value.float())

    @classmethod
    def of(cls, features: Tensor, classes: Tensor) -> "Familiarity":
        """Fit on the features (N, C) of the films of a training, of classes (N,) 0 ... K - 1, each with a film."""
        means = torch.stack([features[classes == one].mean(0) for one in range(int(classes.max()) + 1)])
        within = features - means[classes]
        _, sizes, rows = torch.linalg.svd(within.double(), full_matrices=False)
        count = min(_DIRECTIONS, len(features) // 10, len(sizes))
        directions = rows[:count].T
        spread = (sizes[:count] / len(features) ** 0.5).clamp_min(_LEAST)
        beside = (within.double() - within.double() @ directions @ directions.T).square().sum(1).mean().sqrt()
        return cls(means, directions, spread, beside.clamp_min(_LEAST))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C) -> (N,)."""
        away = features[:, None] - self.means
        along = away @ self.directions
        across = (away.square().sum(2) - along.square().sum(2)).clamp_min(0) / self.beside.square()
        squares = (along / self.spread).square().sum(2) + across
        return (squares / (len(self.spread) + 1)).amin(1).sqrt()
