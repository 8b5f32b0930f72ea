"""What an ImageNet network sees in each zone: maps of EfficientNet-Lite0's stages, averaged over the zones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from lunglens.files import write_atomically
from lunglens.film.preprocess import Mask, bounding_box
from lunglens.film.severity import LungsBox, lungs_box
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.classifier import Classifier
from lunglens.train.networks.weights import start_from
from lunglens.train.severity.films import ScoredFilms

BACKBONE = "tf_efficientnet_lite0"
SIZE = 384  # of the image, px
STAGES = (2, 4, 6)  # 40 channels at 1/8 of the size, 112 at 1/16, 320 at 1/32
Features = NDArray[np.float32]


class LiteStages(nn.Module):
    """The first stages of EfficientNet-Lite0 with its ImageNet weights, for one channel of film."""

    def __init__(self, stages: Sequence[int]) -> None:
        """stages: numbers of the blocks (0 ... 6) whose maps are wanted, ascending."""
        super().__init__()
        self.wanted = tuple(stages)
        config = ClassifierConfig(backbone=BACKBONE, head=(), pretrained="imagenet")
        network = Classifier.of(config, 1)
        start_from(network, config)
        streams = network.streams
        self.stem = nn.Sequential(streams.net.conv_stem, streams.net.bn1)
        self.blocks = nn.ModuleList(list(streams.net.blocks)[: max(stages) + 1])
        self.mean, self.std = float(streams.mean), float(streams.std)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, S, S), 0..1 -> maps (N, C, h, w) of the wanted stages."""
        features = self.stem((images - self.mean) / self.std)
        found = []
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in self.wanted:
                found.append(features)
        return found


def zone_features(films: ScoredFilms, folder: Path, console: Console) -> dict[str, Features]:
    """Of each stage, in the lungs' zones ("lungs 4") and in the zones' boxes ("boxes 4"): (2, N, 6, C).

    The first are the films, the second the films mirrored; a zone keeps its letter, on whichever side it is seen.

    folder: keeps them; a killed run goes on from it.
    """
    kept = folder / f"features-{SIZE}-{films.fingerprint}.npz"
    if not kept.is_file():
        trunk = LiteStages(STAGES)
        pooled: dict[str, list[Features]] = {}
        pairs = list(zip(films.films, films.fields, strict=True))
        for film, fields in track(pairs, "features", console=console):
            for name, both in _of_film(seen_box(film, fields), trunk):
                pooled.setdefault(name, []).append(both)
        stacked = {name: np.stack(found, axis=1) for name, found in pooled.items()}
        write_atomically(kept, lambda path: np.savez(path, allow_pickle=False, **stacked))
    with np.load(kept) as found:
        return dict(found)


def seen_box(film: NDArray[np.uint8], fields: Mask) -> LungsBox:
    """What the network sees of a scored film (512, 512)."""
    box = lungs_box(film.astype(np.float32) / np.float32(255), fields, SIZE)
    if box is None:
        raise ValueError("a film without six zones is no scored film")
    return box


def _of_film(box: LungsBox, trunk: LiteStages) -> Iterator[tuple[str, Features]]:
    """(2, 6, C) of each kind of zones and each stage."""
    with torch.inference_mode():
        maps = trunk(torch.from_numpy(np.stack([box.image, box.image[:, ::-1]])[:, None]))
    for kind, zones in (("lungs", box.zones), ("boxes", np.stack([_filled(zone) for zone in box.zones]))):
        both = [replace(box, zones=each) for each in (zones, zones[:, :, ::-1])]
        for stage, found in zip(STAGES, maps, strict=True):
            weights = [each.weights(*found.shape[2:]) for each in both]
            yield f"{kind} {stage}", np.einsum("bzhw,bchw->bzc", weights, found.numpy())


def _filled(zone: Mask) -> Mask:
    top, left, bottom, right = bounding_box(zone, 0)
    box = np.zeros_like(zone)
    box[top:bottom, left:right] = True
    return box
