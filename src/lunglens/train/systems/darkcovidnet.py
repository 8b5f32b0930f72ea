"""System 5, DarkCovidNet: seventeen convolutions and one linear layer, trained from scratch.

T. Ozturk, M. Talo, E. A. Yildirim, U. B. Baloglu, O. Yildirim, U. R. Acharya, "Automated detection of COVID-19 cases
using deep neural networks with X-ray images", Comput Biol Med 121 (2020) 103792.

Certain, from the published notebooks: every layer, the order of the last ones (convolution, ReLU, then batch
normalisation) and the padding of the 1x1 convolutions, each of which widens its map by two; the parameters come out
as there (1,164,434 for two classes, 1,167,586 for three). A reading: He's initial weights for all convolutions. Ours
must differ: the film is gray and repeated for the three channels; below 256 px the linear layer is smaller.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.layers import fully_connected
from lunglens.train.networks.network import Network
from lunglens.train.systems.mapped import Mapped

_SLOPE = 0.1  # of the leaky ReLU below zero


class DarkCovidNet(Mapped):
    """Maps of 13 x 13 with one channel a class at 256 px, laid out flat."""

    class Options(Network.Options):
        """What `classifier.options` may say."""

        pad1x1: bool = Field(True, description="1x1 convolutions have the padding of the 3x3 ones, as published")

    options: Options
    flat = True

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.body = nn.Sequential(
            *(_block(3, 8), nn.MaxPool2d(2), _block(8, 16), nn.MaxPool2d(2)),
            *(self._triple(16, 32), nn.MaxPool2d(2), self._triple(32, 64), nn.MaxPool2d(2)),
            *(self._triple(64, 128), nn.MaxPool2d(2), self._triple(128, 256)),
            *(self._narrow(256, 128), _block(128, 256)),
            *(nn.Conv2d(256, self.classes, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(self.classes)),
        )
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, _SLOPE)
        side = config.view.input_size
        with torch.inference_mode():
            features = self.eval()._features(self.maps(torch.zeros(1, 1, side, side)))
        self.layers = fully_connected([features.shape[1], self.classes])
        self.dropout = nn.Identity()
        self.train()

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> (N, classes, h, w)."""
        return [self.body(images.expand(-1, 3, -1, -1))]

    def _triple(self, before: int, width: int) -> nn.Sequential:
        return nn.Sequential(_block(before, width), self._narrow(width, width // 2), _block(width // 2, width))

    def _narrow(self, before: int, width: int) -> nn.Sequential:
        return _block(before, width, kernel=1, padding=int(self.options.pad1x1))


def _block(before: int, width: int, kernel: int = 3, padding: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, width, kernel, padding=padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.LeakyReLU(_SLOPE, inplace=True))
