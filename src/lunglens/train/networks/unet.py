"""The UNet of the paper's table 4, and one whose encoder has learned on ImageNet; an output channel for each mask."""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import LungsConfig
from lunglens.train.networks.classifier import network_settings
from lunglens.train.networks.weights import imagenet_weights

_REDUCTIONS = [2, 4, 8, 16, 32]  # of a trunk's levels


def _double_convolution(channels_in: int, channels_out: int, batch_norm: bool) -> nn.Sequential:
    """Two 3x3 convolutions, padding "same", each followed by ReLU (before it batch normalisation, if asked for)."""
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers.append(nn.Conv2d(channels, channels_out, 3, padding=1))
        layers += [nn.BatchNorm2d(channels_out)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class _PaperEncoder(nn.ModuleList):
    """Five levels, each after the first on half the side."""

    def __init__(self, base: int, batch_norm: bool) -> None:
        self.channels: Sequence[int] = [base * 2**level for level in range(5)]
        pairs = zip([1, *self.channels[:-1]], self.channels, strict=True)
        super().__init__(_double_convolution(i, o, batch_norm) for i, o in pairs)

    def forward(self, features: Tensor) -> list[Tensor]:
        levels: list[Tensor] = []
        for block in self:
            features = block(max_pool2d(features, 2) if levels else features)
            levels.append(features)
        return levels


class _TrunkEncoder(nn.Module):
    """A level at full size, for the fine edge, and the five of a network of timm."""

    def __init__(self, name: str, base: int, batch_norm: bool) -> None:
        super().__init__()
        settings = network_settings(name)
        self.name, self.mean, self.std = name, sum(settings.mean) / 3, sum(settings.std) / 3
        self.fine = _double_convolution(1, base, batch_norm)
        self.net = timm.create_model(name, in_chans=1, features_only=True)
        levels: Any = self.net.feature_info
        if levels.reduction() != _REDUCTIONS:
            raise ConfigurationError(f"encoder {name}: has no levels of 1/2, 1/4, 1/8, 1/16 and 1/32 of the side")
        self.channels = [base, *levels.channels()]

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.fine(images), *self.net((images - self.mean) / self.std)]

    def learn_from_imagenet(self) -> None:
        """One channel of film stands for three of colour: the first layer's kernels are added up."""
        state, own = imagenet_weights(self.name, 224), self.net.state_dict()
        gray = {name: v.sum(1, keepdim=True) if v.ndim == 4 and v.shape[1] == 3 else v for name, v in state.items()}
        self.net.load_state_dict({name: gray[name] for name in own})


class UNet(nn.Module):
    """Levels of `base`, 2, 4, 8 and 16 x `base` channels; an output channel of logits for each of `masks`.

    With `base` 32, one mask and a (N, 1, 512, 512) input it has the shapes of table 4 and 7,759,521 parameters. The
    last layer is a 1x1 convolution; its sigmoid is applied by the loss and at export. Height and width must be
    multiples of 16. Batch normalisation is not in the paper; it trains in half the epochs and costs nothing at run time
    (it is folded away). trunk: a network of timm as encoder; then height and width must be multiples of 32.
    """

    def __init__(self, base: int = 32, batch_norm: bool = False, masks: int = 1, trunk: str | None = None) -> None:
        super().__init__()
        self.encoder = _PaperEncoder(base, batch_norm) if trunk is None else _TrunkEncoder(trunk, base, batch_norm)
        deepest, *skips = self.encoder.channels[::-1]
        widths = [base * 2**level for level in range(len(skips))][::-1]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in zip([deepest, *widths[:-1]], widths, strict=True)
        )
        pairs = zip(skips, widths, strict=True)
        self.decoder = nn.ModuleList(_double_convolution(skip + o, o, batch_norm) for skip, o in pairs)
        self.last = nn.Conv2d(base, masks, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the encoder's levels, finest first."""
        levels: list[Tensor] = self.encoder(images)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Logits (N, masks, H, W) from the encoder's levels."""
        features = levels[-1]
        for up, block, skip in zip(self.up, self.decoder, levels[-2::-1], strict=True):
            features = block(torch.cat([skip, up(features)], dim=1))
        logits: Tensor = self.last(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in 0..1 -> (N, masks, H, W) logits."""
        return self.decode(self.encode(images))


def create_unet(config: LungsConfig) -> UNet:
    """The network of a configuration, an encoder of timm with the weights that it has learned on ImageNet.

    Raises:
        ConfigurationError: there is no such encoder, or its weights are not here.
    """
    trunk = None if config.encoder == "paper" else config.encoder
    unet = UNet(config.base_channels, config.batch_norm, len(config.masks), trunk)
    if isinstance(unet.encoder, _TrunkEncoder):
        unet.encoder.learn_from_imagenet()
    return unet
