"""Classifiers: any timm backbone, HRNet's streams as they are, and the paper's fully connected head (fig. 11)."""

import itertools
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class Streams(nn.Module):
    """A timm backbone as a list of last feature maps: HRNet's parallel streams, or the one map of other networks."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.is_hrnet = name.startswith("hrnet")
        self.net: Any  # timm's networks carry methods that nn.Module does not name
        if self.is_hrnet:
            # feature_location "" gives the fused streams themselves (1/4, 1/8, 1/16, 1/32), without the wide
            # ImageNet head that would halve the speed.
            self.net = timm.create_model(
                name, features_only=True, in_chans=1, feature_location="", out_indices=(1, 2, 3, 4)
            )
            self.channels = tuple(self.net.feature_info.channels())
        else:
            self.net = timm.create_model(name, in_chans=1, num_classes=0)
            self.channels = (self.net.num_features,)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, H, W) -> maps (N, C_i, H_i, W_i), finest first."""
        if self.is_hrnet:
            return list(self.net(images))
        return [self.net.forward_features(images)]


class Classifier(nn.Module):
    """Backbone, global average pooling of every stream, dropout and fully connected layers.

    backbone: any timm name whose features are (N, C, H, W); hrnet_w18 is the paper's.
    outputs: 1 for two classes, else their number.
    head: widths of the hidden layers; the paper does not print them, 2048 and 512 is the reading built here.
    """

    def __init__(
        self, backbone: str = "hrnet_w18", head: tuple[int, ...] = (2048, 512), dropout: float = 0.5, outputs: int = 1
    ) -> None:
        super().__init__()
        self.streams = Streams(backbone)
        widths = [sum(self.streams.channels), *head, outputs]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in 0..1 -> (N,) logits of the positive class, or (N, outputs) with several outputs."""
        return self.logits(pool(self.streams(images)))

    def logits(self, pooled: Tensor) -> Tensor:
        """(N, C) pooled features -> (N,) or (N, outputs) logits."""
        hidden = self.dropout(pooled)
        for layer in self.layers[:-1]:
            hidden = self.dropout(layer(hidden).relu())
        logits: Tensor = self.layers[-1](hidden)
        return logits.squeeze(1) if logits.shape[1] == 1 else logits

    def pooled_gradient(self, pooled: Tensor, output: int = 0) -> Tensor:
        """d logit / d pooled, (N, C), in closed form: backwards through linear layers and the ReLUs that are open."""
        open_gates: list[Tensor] = []
        hidden = pooled
        for layer in self.layers[:-1]:
            hidden = layer(hidden).relu()
            open_gates.append((hidden > 0).to(pooled.dtype))
        gradient = self.layers[-1].weight[output].expand(pooled.shape[0], -1)  # type: ignore[index]
        for layer, gate in zip(self.layers[-2::-1], open_gates[::-1], strict=True):
            gradient = (gradient * gate) @ layer.weight  # type: ignore[operator]
        return gradient


def pool(maps: list[Tensor]) -> Tensor:
    """Global average of every map, side by side: (N, sum of C_i)."""
    return torch.cat([features.mean((2, 3)) for features in maps], dim=1)


def class_activation(maps: list[Tensor], gradient: Tensor) -> Tensor:
    """Grad-CAM in closed form, (N, h, w) at the finest stream's resolution, >= 0, in units of the logit.

    After global average pooling the gradient of the logit is the same at every position of a map, so Grad-CAM
    (Selvaraju et al. 2017) is the sum of maps weighted by `gradient` (N, sum of C_i). Streams are resized and added.
    """
    finest = maps[0].shape[-2:]
    total = torch.zeros_like(maps[0][:, 0])
    for features, weights in zip(maps, gradient.split_with_sizes([m.shape[1] for m in maps], dim=1), strict=True):
        weighted = (features * weights[:, :, None, None]).sum(1, keepdim=True)
        total = total + interpolate(weighted, size=finest, mode="bilinear", align_corners=False).squeeze(1)
    return total.relu()


class ClassifierGraph(nn.Module):
    """What the classifier package computes in one pass: probability, logit, heat-map and pooled features."""

    outputs = ("probability", "logit", "heat", "features")

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 1, S, S) -> (N,), (N,), (N, h, w), (N, C)."""
        maps = self.classifier.streams(images)
        pooled = pool(maps)
        logit = self.classifier.logits(pooled)
        heat = class_activation(maps, self.classifier.pooled_gradient(pooled))
        return logit.sigmoid(), logit, heat, pooled
