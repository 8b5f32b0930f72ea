"""AlexNet as a trunk like timm's own, which has none; importing this module names it there.

A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997: five convolutions
without local normalisation and three linear layers, laid out and named as the weights are that torchvision offers.
"""

from collections.abc import Callable
from typing import Any

from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn

default_cfgs = {
    "alexnet": {
        "url": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "first_conv": "features.0",
        "classifier": "classifier.6",
    }
}


class AlexNet(nn.Module):
    """Its features are the 4096 numbers before the last layer, which have no place on the film."""

    num_features = 4096

    def __init__(self, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(in_chans, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        wide = self.num_features
        last = nn.Linear(wide, num_classes) if num_classes else nn.Identity()
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * 36, wide), nn.ReLU(inplace=True)),
            *(nn.Dropout(), nn.Linear(wide, wide), nn.ReLU(inplace=True)),
            last,
        )

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002
        """timm's hook: the stage of a parameter by its name; each layer is one."""
        return lambda name: int(name.split(".")[1]) + 100 * name.startswith("classifier")

    def forward_features(self, images: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, 4096)."""
        found: Tensor = self.classifier[:-1](self.avgpool(self.features(images)).flatten(1))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_chans, H, W) -> (N, num_classes), or the features where there are no classes."""
        found: Tensor = self.classifier[-1](self.forward_features(images))
        return found


@register_model
def alexnet(pretrained: bool = False, **how: Any) -> AlexNet:
    """timm's hook."""
    model: AlexNet = build_model_with_cfg(AlexNet, "alexnet", pretrained, **how)
    return model
