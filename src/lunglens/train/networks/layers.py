"""Fully connected layers with ReLU between them, and their gradient in closed form, which exports."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def fully_connected(widths: Sequence[int]) -> nn.ModuleList:
    """Linear layers from each width to the next."""
    return nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(widths))


def through(layers: nn.ModuleList, features: Tensor, dropout: nn.Module) -> Tensor:
    """(N, F) -> (N, outputs): dropout before every layer, ReLU after every layer but the last."""
    hidden = dropout(features)
    for layer in layers[:-1]:
        hidden = dropout(layer(hidden).relu())
    found: Tensor = layers[-1](hidden)
    return found


def gradient_through(layers: nn.ModuleList, features: Tensor, outward: Tensor) -> Tensor:
    """The gradients of K sums of the outputs: backwards through linear layers and the ReLUs that are open.

    Args:
        layers: as `fully_connected` makes them.
        features: (N, F), where the gradient is taken, without dropout.
        outward: (1, K, outputs) or (N, K, outputs), the weight of each output in each sum.

    Returns:
        (N, K, F).
    """
    open_gates: list[Tensor] = []
    hidden = features
    for layer in layers[:-1]:
        hidden = layer(hidden).relu()
        open_gates.append((hidden > 0).to(features.dtype)[:, None])
    gradient = (outward @ layers[-1].weight).expand(features.shape[0], -1, -1)  # type: ignore[operator]
    for layer, gate in zip(layers[-2::-1], open_gates[::-1], strict=True):
        gradient = torch.matmul(gradient * gate, layer.weight)  # type: ignore[arg-type]
    return gradient
