"""A configuration's descriptors of a run's films: computed once for all its folds, as nothing in them is fitted."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from lunglens.errors import ConfigurationError
from lunglens.files import write_atomically
from lunglens.film.preprocess import seen
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Classifier, pool
from lunglens.train.networks.weights import start_from
from lunglens.train.systems.texture.descriptors import DESCRIPTORS
from lunglens.train.systems.texture.options import options_of
from lunglens.train.views import Views

Features = NDArray[np.float32]
_BATCH = 16
_VERSION = 1  # of the descriptors' definitions: another one makes kept features stale


class Texture(nn.Module):
    """The descriptors of a configuration side by side. lengths: of each."""

    outputs = ("features",)

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        names = options_of(config).descriptors
        self.parts = nn.ModuleDict({name: _Trunk(config) if name == "trunk" else DESCRIPTORS[name]() for name in names})
        self.lengths = [int(part.length) for part in self.parts.values()]  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, S, S) in 0..1, in steps of 1/255 -> (N, sum of lengths)."""
        gray = (images * 255).round()
        return torch.cat([part(gray) for part in self.parts.values()], 1)


class _Trunk(nn.Module):
    """Pooled features of a frozen network (the original's: 2048 of Inception V3)."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        if config.pretrained == "none":
            raise ConfigurationError(
                "classifier.options: trunk says nothing without weights: give pretrained, or leave it out"
            )
        plain = config.model_copy(update={"network": "trunk", "options": {}, "head": ()})
        network = Classifier.of(plain, 1)
        start_from(network, plain)
        self.streams = network.streams.eval().requires_grad_(False)
        self.length = sum(self.streams.channels)

    def forward(self, gray: Tensor) -> Tensor:
        """(N, 1, S, S) in 0..255 -> (N, C)."""
        return pool(self.streams(gray / 255))


def features_of(views: Views, texture: Texture, config: ClassifierConfig) -> Features:
    """(N, sum of lengths) of all the films of `read_views`; kept beside them in `features/`, a file a descriptor."""
    folder = views.folder
    with FileLock(folder / ".features.lock"):  # folds that run side by side share them
        paths = {name: folder / "features" / f"{name}-{_key(name, folder, config)}.npy" for name in texture.parts}
        for name, path in paths.items():
            if not path.exists():
                _write(path, views, texture.parts[name], config)
    return np.concatenate([np.load(path, mmap_mode="r") for path in paths.values()], 1)


def _key(name: str, folder: Path, config: ClassifierConfig) -> str:
    """Of the films, what is seen of them, and what describes them."""
    trunk = f"{config.backbone} {config.pretrained}" if name == "trunk" else ""
    text = f"{_VERSION} {(folder / 'views.txt').read_text()} {config.view.model_dump_json()} {trunk}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(path: Path, views: Views, part: nn.Module, config: ClassifierConfig) -> None:
    rows = []
    with torch.inference_mode():
        for start in track(range(0, len(views.images), _BATCH), f"describing films, {path.stem.split('-')[0]}"):
            batch = slice(start, start + _BATCH)
            shown = seen(views.images[batch].astype(np.float32), views.masks[batch] > 0, config.view)
            rows.append(part(torch.from_numpy(shown)[:, None]).numpy())
    found = np.concatenate(rows)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda place: _save(place, found))


def _save(path: Path, rows: Features) -> None:
    with path.open("wb") as stream:  # numpy would add a suffix to a name without one
        np.save(stream, rows)
