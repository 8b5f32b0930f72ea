"""System 3, Truncated Inception Net: the first blocks of a pretrained network, pooled, and one linear layer.

D. Das, K. C. Santosh, U. Pal, "Truncated inception net: COVID-19 outbreak screening using chest X-rays", Phys Eng Sci
Med 43 (2020) 915-925.

Certain: Inception V3 up to the first reduction of the grid after three modules, max-pooling, global average, softmax.
That the cut is at timm's `Mixed_6a` follows from the printed 2.1 million parameters: it has 2,144,480, and no other
block comes near. A reading: the max-pooling is 3x3 with stride 2 and a margin of one. Ours may differ: any other trunk
can be cut likewise.
"""

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Streams
from lunglens.train.networks.layers import fully_connected
from lunglens.train.networks.network import Network
from lunglens.train.systems.mapped import Mapped


class TruncatedInception(Mapped):
    """A trunk of which the blocks after `cut_after` are left out."""

    class Options(Network.Options):
        """What `classifier.options` may say."""

        cut_after: str = Field("Mixed_6a", description="the trunk's last block, by timm's name of it")

    options: Options

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.streams = Streams(config.backbone, config.view.input_size, self.options.cut_after)
        self.layers = fully_connected([*self.streams.channels, *config.head, self.classes])
        self.dropout = nn.Dropout(config.dropout)

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> the cut trunk's map at half its resolution."""
        return [max_pool2d(self.streams(images)[0], 3, 2, padding=1)]
