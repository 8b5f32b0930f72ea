"""What the systems share that end in fully connected layers on their last maps: the answer and where it comes from."""

import torch
from torch import Tensor, nn

from lunglens.train.networks.classifier import class_activation, pool
from lunglens.train.networks.layers import gradient_through, through
from lunglens.train.networks.network import Network


class Mapped(Network):
    """Fully connected layers on the last maps, which are averaged, or laid out in one row where `flat`.

    There is an output for each of two classes too, as published; the logit is then their difference. Of softmax and
    cross-entropy over two outputs, that is sigmoid and binary cross-entropy exactly.
    """

    layers: nn.ModuleList
    dropout: nn.Module
    flat = False

    @property
    def has_heat(self) -> bool:
        """Whether the maps have places: not those of a trunk that gives numbers alone."""
        streams = getattr(self, "streams", None)
        return streams is None or streams.has_maps

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> the last maps, (N, C, h, w) each; one where they are laid out `flat`."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Network's."""
        return self.logits(self.compose(through(self.layers, self._features(self.maps(images)), self.dropout))[0])

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, exact heat of each, and what the fully connected layers see."""
        maps = self.maps(images)
        features = self._features(maps)
        scores, shares = self.compose(through(self.layers, features, nn.Identity()))
        outward = shares[:, :1] - shares[:, 1:] if self.outputs == 1 else shares
        gradient = gradient_through(self.layers, features, outward)
        heat = torch.stack([self._heat(maps, gradient[:, k]) for k in range(self.outputs)], 1)
        return self.logits(scores), heat.squeeze(1) if self.outputs == 1 else heat, features

    def compose(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """(N, outputs) -> scores of the classes (N, K), and their derivatives by the outputs (N or 1, K, outputs)."""
        return outputs, torch.eye(self.classes, device=outputs.device)[None]

    def logits(self, scores: Tensor) -> Tensor:
        """(N, K) -> as `forward` gives them."""
        return scores[:, 0] - scores[:, 1] if self.outputs == 1 else scores

    def _features(self, maps: list[Tensor]) -> Tensor:
        return maps[0].flatten(1) if self.flat else pool(maps)

    def _heat(self, maps: list[Tensor], gradient: Tensor) -> Tensor:
        """(N, h, w), >= 0; its mean is what the places have added to the logit."""
        if not self.flat:
            return class_activation(maps, gradient)
        places = maps[0].shape[2] * maps[0].shape[3]
        return places * (maps[0] * gradient.view_as(maps[0])).sum(1).relu()
