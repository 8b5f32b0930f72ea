"""Classifiers: any timm backbone, HRNet's streams as they are, and the paper's fully connected head (fig. 11)."""

import math
from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, logsigmoid

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks import alexnet  # noqa: F401, which names it among timm's networks
from lunglens.train.networks.familiar import Familiarity
from lunglens.train.networks.layers import fully_connected, gradient_through, through
from lunglens.train.networks.network import Network, Told

STRIDE = 32  # of nearly every network
_LEAST_SHARE = 1e-6  # so that a region that was warped out of the picture divides nothing by 0


def network_settings(name: str) -> Any:
    """What timm knows of a network: its input's size, mean and standard deviation.

    Raises:
        ConfigurationError: timm has no such network.
    """
    settings = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if settings is None:
        raise ConfigurationError(f"backbone {name!r} is none of timm's networks; timm.list_models() names them")
    return settings


def create_trunk(name: str, size: int | None, *, pretrained: bool = False, stride: int = STRIDE) -> Any:
    """A timm network without its last layer; HRNet as its four streams.

    stride: px of the image that a place of the last map stands for. Below the usual one convolutions are widened
    (dilated) where others would leave out places, so that the weights mean the same.

    Raises:
        ConfigurationError: there is no such network, or it has no other stride.
    """
    settings = network_settings(name)
    how: dict[str, Any] = {"num_classes": 0}
    if name.startswith("hrnet"):
        # feature_location "" gives the fused streams themselves (1/4, 1/8, 1/16, 1/32), without the wide
        # ImageNet head that would halve the speed.
        how = {"features_only": True, "feature_location": "", "out_indices": (1, 2, 3, 4)}
    elif settings.fixed_input_size and size is not None:
        how["img_size"] = size
    if stride != STRIDE:
        how["output_stride"] = stride
    try:
        net = timm.create_model(name, in_chans=1, pretrained=pretrained, **how)
    except (AssertionError, TypeError) as error:
        if stride == STRIDE:
            raise
        raise ConfigurationError(
            f"stride: {name} has no other than {STRIDE}; an EfficientNet or a ResNet has"
        ) from error
    if hasattr(net, "pre_logits"):  # VGG's wide layers, which are no part of the features
        net.pre_logits = nn.Identity()
    return net


def _cut(net: nn.Module, last: str) -> None:
    """Let everything pass unchanged that a network has after the block `last`, at every level of its name.

    Raises:
        ConfigurationError: the network has no such block.
    """
    within = net
    for name in last.split("."):
        names = [child for child, _ in within.named_children()]
        if name not in names:
            raise ConfigurationError(f"cut_after: no block {last!r}: in place of {name!r} there are {', '.join(names)}")
        for later in names[names.index(name) + 1 :]:
            setattr(within, later, nn.Identity())
        within = within.get_submodule(name)


class Streams(nn.Module):
    """A timm network as a list of last feature maps: HRNet's parallel streams, or the one map of other networks.

    Tokens of transformers are laid out as the map that they are; class tokens are left out. Images are standardised by
    `mean` and `std`, which change nothing (0 and 1) until weights that expect something else are loaded.
    channels: of each stream. has_maps: False where the network gives numbers without a place; then they are maps of
    one position. size: side of the images for networks that are built for one size. cut_after: name of the block that
    ends a shortened network. stride: see `create_trunk`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, size: int | None = None, cut_after: str | None = None, stride: int = STRIDE) -> None:
        super().__init__()
        self.is_hrnet = name.startswith("hrnet")
        self.net = create_trunk(name, size, stride=stride)
        if cut_after is not None:
            _cut(self.net, cut_after)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.has_maps, self.channels_last, self.grid = True, False, (0, 0)
        if self.is_hrnet:
            self.channels = tuple(self.net.feature_info.channels())
            return
        side = size or network_settings(name).input_size[1]
        with torch.inference_mode():
            self.channels = (self._look(self.net.eval().forward_features(torch.zeros(1, 1, side, side))),)
        self.net.train()

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, H, W) -> maps (N, C_i, H_i, W_i), finest first."""
        images = (images - self.mean) / self.std
        return list(self.net(images)) if self.is_hrnet else [self._map(self.net.forward_features(images))]

    def _look(self, features: Tensor) -> int:
        """Note how the network lays out its features; their number."""
        wide = self.net.num_features
        if features.ndim == 4:
            self.channels_last = features.shape[1] != wide and features.shape[-1] == wide
            return features.shape[-1 if self.channels_last else 1]
        if features.ndim == 3:
            tokens = features.shape[1] - getattr(self.net, "num_prefix_tokens", 0)
            side = math.isqrt(tokens)
            self.has_maps = side * side == tokens
            self.grid = (side, side) if self.has_maps else (tokens, 1)
        else:
            self.has_maps = False
        return features.shape[-1]

    def _map(self, features: Tensor) -> Tensor:
        if features.ndim == 4:
            return features.permute(0, 3, 1, 2) if self.channels_last else features
        if features.ndim == 3:
            count = self.grid[0] * self.grid[1]
            return features[:, -count:].transpose(1, 2).reshape(-1, self.channels[0], *self.grid)
        return features[:, :, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("mean", "std"):  # runs of version 0.1.0 have none
            state_dict.setdefault(prefix + name, getattr(self, name))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Classifier(Network):
    """Backbone, global average pooling of every stream, dropout and fully connected layers.

    backbone: any timm name; hrnet_w18 is the paper's.
    outputs: 1 for two classes, else their number.
    size: side of the images; only transformers that are built for one size need it.
    head: widths of the hidden layers; the paper does not print them, 2048 and 512 is the reading built here.
    by_region: average the places of the lung region alone; its mask is then a second channel of the images.
    stride: see `create_trunk`.
    tells_opacity: whether there is a second answer.

    >>> network = Classifier("test_resnet", head=(16,), outputs=3)
    >>> network(torch.zeros(2, 1, 64, 64)).shape  # logits of three classes
    torch.Size([2, 3])
    """

    def __init__(  # noqa: PLR0913 - a setting each
        self,
        backbone: str = "hrnet_w18",
        head: tuple[int, ...] = (2048, 512),
        dropout: float = 0.5,
        outputs: int = 1,
        size: int | None = None,
        *,
        by_region: bool = False,
        stride: int = STRIDE,
        tells_opacity: bool = False,
    ) -> None:
        super().__init__(ClassifierConfig(backbone=backbone, head=head, dropout=dropout), outputs)
        self.streams, self.by_region = Streams(backbone, size, stride=stride), by_region
        if by_region and not self.streams.has_maps:
            raise ConfigurationError(f"view.pool: {backbone} gives numbers without a place; say all, or take another")
        self.tells_opacity = tells_opacity
        self.layers = fully_connected([sum(self.streams.channels), *head, outputs + tells_opacity])
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def of(cls, config: ClassifierConfig, outputs: int) -> "Classifier":
        """The network that a configuration describes."""
        return cls(
            config.backbone,
            config.head,
            config.dropout,
            outputs,
            config.view.input_size,
            by_region=config.view.pool == "region",
            stride=config.stride,
            tells_opacity=config.opacity_loss > 0,
        )

    @property
    def has_heat(self) -> bool:
        """Whether its trunk has maps."""
        return self.streams.has_maps

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images in 0..1 -> (N,) logits of the positive class, or (N, outputs) with several outputs.

        With `by_region` (N, 2, H, W): image and mask.
        """
        return self.told(images).logits

    def told(self, images: Tensor) -> Told:
        """Network's."""
        return self.of_features(pool(*self.maps(images)))

    def maps(self, images: Tensor) -> tuple[list[Tensor], list[Tensor] | None]:
        """The maps of the streams, and of each what share of its positions lies in the region, (N, 1, H_i, W_i)."""
        if not self.by_region:
            return self.streams(images), None
        maps = self.streams(images[:, :1])
        return maps, [adaptive_avg_pool2d(images[:, 1:], features.shape[-2:]) for features in maps]

    def logits(self, pooled: Tensor) -> Tensor:
        """(N, C) pooled features -> (N,) or (N, outputs) logits."""
        return self.of_features(pooled).logits

    def of_features(self, pooled: Tensor) -> Told:
        """(N, C) pooled features -> what `told` gives."""
        found = through(self.layers, pooled, self.dropout)
        opacity = found[:, self.outputs] if self.tells_opacity else torch.full_like(found[:, 0], torch.nan)
        return Told(found[:, 0] if self.outputs == 1 else found[:, : self.outputs], opacity, pooled)

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Logits, Grad-CAM of each in closed form, pooled features."""
        maps, shares = self.maps(images)
        pooled = pool(maps, shares)
        logits = self.logits(pooled)
        outputs = 1 if logits.ndim == 1 else logits.shape[1]
        heats = [_heat(maps, shares, self.pooled_gradient(pooled, output)) for output in range(outputs)]
        return logits, heats[0] if logits.ndim == 1 else torch.stack(heats, 1), pooled

    def opacity_heat(self, images: Tensor) -> Tensor:
        """Grad-CAM (N, h, w) of the second answer, that there is any opacity."""
        maps, shares = self.maps(images)
        return _heat(maps, shares, self.pooled_gradient(pool(maps, shares), self.outputs))

    def pooled_gradient(self, pooled: Tensor, output: int = 0) -> Tensor:
        """d logit / d pooled, (N, C), in closed form."""
        outward = torch.eye(self.outputs + self.tells_opacity, device=pooled.device)[None, output : output + 1]
        return gradient_through(self.layers, pooled, outward)[:, 0]


def pool(maps: list[Tensor], shares: list[Tensor] | None = None) -> Tensor:
    """Average of every map, side by side: (N, sum of C_i); of all positions, or each by its share (N, 1, H_i, W_i)."""
    if shares is None:
        return torch.cat([features.mean((2, 3)) for features in maps], dim=1)
    return torch.cat([weighted_mean(features, share) for features, share in zip(maps, shares, strict=True)], dim=1)


def weighted_mean(maps: Tensor, share: Tensor) -> Tensor:
    """Mean over the positions of (N, C, h, w), each by its share (N, 1, h, w); 0 where there is no share at all."""
    return (maps * share).sum((2, 3)) / share.sum((2, 3)).clamp_min(_LEAST_SHARE)


def _heat(maps: list[Tensor], shares: list[Tensor] | None, gradient: Tensor) -> Tensor:
    return class_activation(maps, gradient) if shares is None else evidence(maps, gradient, shares)


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


def evidence(maps: list[Tensor], gradient: Tensor, shares: list[Tensor]) -> Tensor:
    """Grad-CAM of features that were pooled by `shares`: (N, h, w) at the finest stream's resolution, in logits.

    What the logit's part from the features would be if the whole region were like that place; against the class where
    below 0. Its mean by the finest shares is that part exactly. Positions without a share have none, and lend none to
    others where a coarse stream is interpolated.
    """
    finest, total = shares[0], torch.zeros_like(shares[0])
    parts = gradient.split_with_sizes([features.shape[1] for features in maps], dim=1)
    for features, weights, share in zip(maps, parts, shares, strict=True):
        weighted = (features * weights[:, :, None, None]).sum(1, keepdim=True)
        fine, cover = (
            interpolate(each, size=finest.shape[-2:], mode="bilinear", align_corners=False)
            for each in (weighted * share, share)
        )
        total = total + fine / cover.clamp_min(_LEAST_SHARE)
    # Interpolation keeps a coarse stream's sum but nearly.
    lacking = (gradient * pool(maps, shares)).sum(1, keepdim=True) - weighted_mean(total, finest)
    return ((total + lacking[:, :, None, None]) * (finest > 0)).squeeze(1)


class ClassifierGraph(nn.Module):
    """What a classifier package computes in one pass: probability, logit, heat-map and pooled features.

    Of several members (an ensemble) the mean of their probabilities, and of their heat; features side by side. Of two
    classes `probability`, `logit` and `heat` are of the first; of more, of each. A trunk without maps gives no heat.
    Members that pool by the region take (N, 2, S, S), image and mask, and their heat is `evidence`. Where they tell it,
    (N,) `opacity` is the probability of any in the lungs. familiar: of each member, if (N,) `distance`, their mean, is
    told.
    """

    outputs: tuple[str, ...]

    def __init__(self, *members: Network, familiar: Sequence[Familiarity] = ()) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.familiar = nn.ModuleList(familiar)
        with_heat = all(member.has_heat for member in members)
        self.tells_opacity = all(getattr(member, "tells_opacity", False) for member in members)
        self.outputs = ("probability", "logit", *(["heat"] if with_heat else []), "features")
        self.outputs += ("opacity",) if self.tells_opacity else ()
        self.outputs += ("distance",) if familiar else ()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, S, S) -> (N,), (N,), (N, h, w), (N, C); of K > 2 classes (N, K), (N, K), (N, K, h, w), (N, C)."""
        answers: list[Any] = [member.answer(images) for member in self.members]  # type: ignore[operator]
        logits, heats, pooled = zip(*answers, strict=True)
        logit = logits[0] if len(logits) == 1 else mean_logit(torch.stack(logits))
        probability = logit.sigmoid() if logit.ndim == 1 else logit.softmax(1)
        heat = (torch.stack(heats).mean(0),) if "heat" in self.outputs else ()
        told = zip(self.members, pooled, strict=True) if self.tells_opacity else ()
        opacity = [member.of_features(features).opacity.sigmoid() for member, features in told]  # type: ignore[operator]
        far = [one(features) for one, features in zip(self.familiar, pooled, strict=False)]
        means = [torch.stack(parts).mean(0) for parts in (opacity, far) if parts]
        return probability, logit, *heat, torch.cat(pooled, 1), *means


def mean_logit(logits: Tensor) -> Tensor:
    """Logits of the mean of the members' probabilities: (M, N) -> (N,), or (M, N, K) -> (N, K) logarithms.

    Computed from logarithms, which a probability near 0 or 1 does not round away.
    """
    if logits.ndim == 3:
        return logits.log_softmax(2).logsumexp(0) - math.log(len(logits))
    return logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)
