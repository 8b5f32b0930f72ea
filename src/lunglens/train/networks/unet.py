"""The UNet of the paper's table 4, with the base width and the number of outputs as settings."""

import torch
from torch import Tensor, nn


def _double_convolution(channels_in: int, channels_out: int, batch_norm: bool) -> nn.Sequential:
    """Two 3x3 convolutions, padding "same", each followed by ReLU (before it batch normalisation, if asked for)."""
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers.append(nn.Conv2d(channels, channels_out, 3, padding=1))
        layers += [nn.BatchNorm2d(channels_out)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Five levels of `base`, 2, 4, 8 and 16 x `base` channels; one output channel of logits.

    With `base` 32 and a (N, 1, 512, 512) input it has the shapes of table 4 and 7,759,521 parameters. The last layer is
    a 1x1 convolution; its sigmoid is applied by the loss and at export. Height and width must be multiples of 16. Batch
    normalisation is not in the paper; it trains in half the epochs and costs nothing at run time (it is folded away).
    """

    def __init__(self, base: int = 32, batch_norm: bool = False) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(5)]
        self.encoder = nn.ModuleList(
            _double_convolution(i, o, batch_norm) for i, o in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        upward = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in upward)
        self.decoder = nn.ModuleList(_double_convolution(2 * o, o, batch_norm) for _, o in upward)
        self.last = nn.Conv2d(base, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the five encoder levels, finest first."""
        levels: list[Tensor] = []
        features = images
        for index, block in enumerate(self.encoder):
            features = block(self.pool(features) if index else features)
            levels.append(features)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Logits (N, 1, H, W) from the encoder's levels."""
        features = levels[-1]
        for up, block, skip in zip(self.up, self.decoder, levels[-2::-1], strict=True):
            features = block(torch.cat([skip, up(features)], dim=1))
        logits: Tensor = self.last(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in 0..1 -> (N, 1, H, W) logits."""
        return self.decode(self.encode(images))
