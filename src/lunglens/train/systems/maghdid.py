"""System 11, Maghdid's small network from scratch; its other one is AlexNet with a new last layer, a trunk like others.

H. S. Maghdid, A. T. Asaad, K. Z. Ghafoor, A. S. Sadiq, M. K. Khan, "Diagnosing COVID-19 pneumonia from X-ray and CT
images using deep learning and transfer learning algorithms", arXiv 2004.00038; Proc SPIE 11734 (2021).

Certain: one convolution of sixteen 5x5 filters, batch normalisation, ReLU, two linear layers, softmax. A reading:
padding that keeps the size, max-pooling by 4, 64 hidden units with ReLU (two linear layers without it would be one).
Ours must differ: one gray channel.
"""

from torch import Tensor, nn

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.layers import fully_connected
from lunglens.train.systems.mapped import Mapped


class MaghdidCnn(Mapped):
    """Sixteen maps of a quarter of the side, laid out flat."""

    flat = True

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(4))
        )
        self.layers = fully_connected([16 * (config.view.input_size // 4) ** 2, 64, self.classes])
        self.dropout = nn.Identity()

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> (N, 16, S / 4, S / 4)."""
        return [self.body(images)]
