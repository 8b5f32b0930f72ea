"""System 2, BS-Net: the six Brixia scores of a film by one network.

Signoroni et al., Med Image Anal 71 (2021) 102046, doi:10.1016/j.media.2021.102046; code in TensorFlow, MIT. Certain:
the parts and their widths. From memory: the loss. Readings: alpha 0.7, beta 10. Ours differs where it must: the lungs
come from our own UNet's mask and not from a UNet++ trained with the rest, so that alignment is taught nothing but to
find zones; 176 public films cannot train it to the printed level (zone error 0.44), which took 4,703.
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, interpolate, max_pool2d, silu

GRADES = 4
# (top, left, bottom, right) as shares of the aligned map: patient's right upper, left upper, right middle, ...
REGIONS = tuple((top, left, top + 0.4, left + 0.5) for top in (0.0, 0.3, 0.6) for left in (0.0, 0.5))
_ENCODER = (64, 128, 256, 512)  # channels of its four maps
_LATERAL = (64, 64, 128, 256)  # of what the pyramid takes of each
_ALIGNED = 128  # side of the mask that the alignment looks at


class Alignment(nn.Module):
    """A spatial transformer on the lungs' mask (Jaderberg et al. 2015); it begins as the identity."""

    def __init__(self) -> None:
        super().__init__()
        side = ((_ALIGNED // 2 - 4) // 2) - 4
        layers = [nn.MaxPool2d(2), nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 20, 5), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(20 * side * side, 50), nn.ReLU())
        self.affine = nn.Linear(50, 6)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def forward(self, lungs: Tensor) -> Tensor:
        """(N, 1, S, S) lung probability -> (N, 2, 3) affine maps from the aligned film to the film."""
        small = max_pool2d(lungs, lungs.shape[-1] // _ALIGNED) if lungs.shape[-1] > _ALIGNED else lungs
        small = interpolate(small, (_ALIGNED, _ALIGNED), mode="bilinear", align_corners=False)
        found: Tensor = self.affine(self.layers(small)).view(-1, 2, 3)
        return found


class _Encoder(nn.Module):
    """ResNet-18 to the last map that is used.

    The original's taps are the activations that enter a block (its ResNet normalises first): of the first stage the
    first block, of the others the second. Here, where a block ends in its activation, they are the maps before it.
    """

    def __init__(self) -> None:
        super().__init__()
        net: Any = timm.create_model("resnet18", in_chans=1, num_classes=0)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool)
        self.steps = nn.ModuleList(
            nn.Sequential(*blocks)
            for blocks in (
                (*net.layer1, net.layer2[0]),
                (net.layer2[1], net.layer3[0]),
                (net.layer3[1], net.layer4[0]),
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S) -> maps of 64, 128, 256 and 512 channels at 1/4, 1/8, 1/16 and 1/32 of S."""
        found = [self.stem(images)]
        for step in self.steps:
            found.append(step(found[-1]))
        return found


class _Pyramid(nn.Module):
    """Bottom-up: each level's map takes in the one before it; the last is used alone."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(_ENCODER, _LATERAL, strict=True))
        outs = (*_LATERAL[1:], _ENCODER[-1])
        self.merge = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(_LATERAL, outs, strict=True))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Four maps, finest first -> (N, 512, h, w) of the coarsest."""
        features = self.lateral[0](maps[0])
        for level in (1, 2, 3):
            features = interpolate(features, maps[level].shape[-2:], mode="bilinear", align_corners=False)
            features = silu(self.merge[level - 1](features)) + self.lateral[level](maps[level])
        return silu(self.merge[3](features))


def _head() -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide in (512, 8, 8):
        layers += [nn.Conv2d(wide, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(8, GRADES, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class BSNet(nn.Module):
    """aligned: with the spatial transformer; without it the film is taken to be upright and centred already."""

    def __init__(self, *, aligned: bool = True) -> None:
        super().__init__()
        self.encoder, self.pyramid = _Encoder(), _Pyramid()
        self.alignment = Alignment() if aligned else None
        self.heads = nn.ModuleList(_head() for _ in REGIONS)

    def logits(self, images: Tensor, lungs: Tensor) -> Tensor:
        """(N, 1, S, S) images and lung probabilities, 0..1 -> (N, 3, 2, 4): rows down, columns as on the film."""
        maps = self.encoder(images)
        if self.alignment is not None:
            affine = self.alignment(lungs)
            lungs, maps = _warped(lungs, affine), [_warped(features, affine) for features in maps]
        sized = [interpolate(lungs, features.shape[-2:], mode="bilinear", align_corners=False) for features in maps]
        masked = [features * mask for features, mask in zip(maps, sized, strict=True)]
        # All regions at once: one pyramid for all, a head for each.
        regions = [torch.cat([_region(features, box) for box in REGIONS]) for features in masked]
        parts = self.pyramid(regions).chunk(len(REGIONS))
        answers = [head(part) for head, part in zip(self.heads, parts, strict=True)]
        return torch.stack(answers, dim=1).view(-1, 3, 2, GRADES)

    def forward(self, images: Tensor, lungs: Tensor) -> Tensor:
        """Probability of each grade, (N, 3, 2, 4): the left column is A, B, C, the right one D, E, F."""
        return self.logits(images, lungs).softmax(-1)


def zones_of(probabilities: Tensor) -> Tensor:
    """(N, 3, 2, 4) -> expected grades (N, 6) of the zones A ... F."""
    grades = torch.arange(GRADES, dtype=probabilities.dtype, device=probabilities.device)
    return (probabilities * grades).sum(-1).transpose(1, 2).flatten(1)


def bsnet_loss(logits: Tensor, grades: Tensor, alpha: float = 0.7, beta: float = 10.0) -> Tensor:
    """alpha x cross-entropy + (1 - alpha) x differentiable mean absolute error.

    Args:
        logits: (N, 3, 2, 4).
        grades: (N, 3, 2), whole, 0..3.
        alpha: share of the cross-entropy.
        beta: sharpness of the soft arg-max that the absolute error is taken of; large: nearly the arg-max itself.
    """
    exact = cross_entropy(logits.reshape(-1, GRADES), grades.reshape(-1).long())
    soft = (beta * logits.softmax(-1)).softmax(-1) @ torch.arange(GRADES, dtype=logits.dtype, device=logits.device)
    return alpha * exact + (1 - alpha) * (soft - grades).abs().mean()


def _warped(maps: Tensor, affine: Tensor) -> Tensor:
    grid = affine_grid(affine, list(maps.shape), align_corners=False)
    return grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _region(maps: Tensor, box: tuple[float, float, float, float]) -> Tensor:
    """A box of a map, resized to the map's own size."""
    height, width = maps.shape[-2:]
    top, left, bottom, right = (round(share * side) for share, side in zip(box, (height, width) * 2, strict=True))
    part = maps[..., top : max(bottom, top + 1), left : max(right, left + 1)]
    return interpolate(part, (height, width), mode="bilinear", align_corners=False)
