"""System 6, COVID-Net: blocks that project, expand, look at places and extend again, with links over long ranges.

L. Wang, Z. Q. Lin, A. Wong, "COVID-Net: a tailored deep convolutional neural network design for detection of COVID-19
cases from chest X-ray images", Sci Rep 10 (2020) 19549.

A reading, not a reproduction: the network came out of an automatic search whose result exists as checkpoints alone,
each block with widths of its own. Certain, from the authors' figure: stem, 3-4-6-3 blocks, their outer widths, the
blocks' order of layers (PEPX), the links of the large version. A reading: inner widths of a quarter, a half and a
quarter of the outer one; normalisation after every convolution; a `head` of 1024 and 256, as the prototype had. The
small version then has 117.6 million parameters (printed: 117.4), the large 120.3 (printed: 127.4). Nine tenths of them
stand in the first layer of the head, unless the last maps are averaged first. Ours must differ: there are
no ImageNet weights of it.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.layers import fully_connected
from lunglens.train.networks.network import Network
from lunglens.train.systems.mapped import Mapped

_STEM = 64
_STAGES = ((256, 3), (512, 4), (1024, 6), (2048, 3))  # width, blocks


class CovidNet(Mapped):
    """Four stages; each block sees the sum of what the blocks before it in its stage gave, and the stage's link."""

    class Options(Network.Options):
        """What `classifier.options` may say."""

        size: Literal["small", "large"] = Field("large", description="large has the links from stage to stage")
        average: bool = Field(False, description="average the last maps, which leaves a sixth of the parameters")

    options: Options

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.flat = not self.options.average
        self.stem = nn.Sequential(*_layer(3, _STEM, 7, stride=2, padding=3), nn.ReLU(inplace=True))
        self.stages, self.links = nn.ModuleList(), nn.ModuleList()
        before = _STEM
        for width, blocks in _STAGES:
            self.stages.append(nn.ModuleList(_pepx(width if block else before, width) for block in range(blocks)))
            if self.options.size == "large":
                self.links.append(nn.Sequential(*_layer(before, width, 1), nn.ReLU(inplace=True)))
            before = width
        self.pool = nn.MaxPool2d(2)
        places = (config.view.input_size // 32) ** 2 if self.flat else 1
        self.layers = fully_connected([before * places, *config.head, self.classes])
        self.dropout = nn.Dropout(config.dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def maps(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> (N, 2048, S / 32, S / 32)."""
        maps = self.stem(images.expand(-1, 3, -1, -1))
        for number, stage in enumerate(self.stages):
            pooled = self.pool(maps)
            total = self._link(number, maps, pooled)
            found = pooled
            for block in stage:  # type: ignore[attr-defined]
                found = block(found if found is pooled else total)
                total = found if total is None else total + found
            maps = total
        return [maps]

    def _link(self, number: int, maps: Tensor, pooled: Tensor) -> Tensor | None:
        """What reaches over a stage; the first is made of the pooled stem, the others are pooled afterwards."""
        if not len(self.links):
            return None
        found: Tensor = self.pool(self.links[number](maps)) if number else self.links[number](pooled)
        return found


def _pepx(before: int, width: int) -> nn.Sequential:
    """Project, expand, 3x3 of each channel by itself, project, extend."""
    narrow, wide = width // 4, width // 2
    layers: list[nn.Module] = []
    for i, o in ((before, narrow), (narrow, wide)):
        layers += [*_layer(i, o, 1), nn.ReLU(inplace=True)]
    layers += _layer(wide, wide, 3, padding=1, groups=wide)
    for i, o in ((wide, narrow), (narrow, width)):
        layers += [*_layer(i, o, 1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _layer(before: int, width: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, width, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(width)]
