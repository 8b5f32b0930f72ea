"""BS-Net on one fold: trained on the scored films of the other groups, both radiologists' grades as targets."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from torch import Tensor

from lunglens.film.morphology import grow
from lunglens.film.parameters import Section
from lunglens.film.preprocess import bounding_box, resize
from lunglens.film.severity import ZONES
from lunglens.study.folds import assert_apart
from lunglens.train.severity.films import ScoredFilms, scored_films
from lunglens.train.systems.bsnet import BSNet, bsnet_loss, zones_of

_MARGIN = 0.05  # around the lungs' box
_GROWN = 8  # px of 512: what is diseased at the lungs' border is often outside of the mask


class BsnetSettings(Section):
    """size: side of the image, px. aligned: with the spatial transformer. alpha, beta: of the loss."""

    size: int = Field(192, ge=64)
    epochs: int = Field(12, ge=1)
    batch_size: int = Field(8, ge=2)
    rate: float = Field(3e-4, gt=0)
    aligned: bool = True
    alpha: float = Field(0.7, ge=0, le=1)
    beta: float = Field(10.0, gt=0)


def run_fold(  # noqa: PLR0913, PLR0917 - a job's arguments are what it is
    folder: Path,
    data: str,
    cache: str,
    films: str,
    settings: dict[str, Any],
    train: list[int],
    test: list[int],
    seed: int,
) -> dict[str, int]:
    """Train on the rows `train`, write `scores.npy`, (tested, 6); in a process of its own."""
    scored = scored_films(Path(data), Path(cache), Console(stderr=True))
    if scored.fingerprint != films:
        raise ValueError("the films have changed since the run was begun")
    assert_apart(scored.table["group_id"].iloc[train], scored.table["group_id"].iloc[test])
    found = train_and_score(scored, BsnetSettings.model_validate(settings), np.array(train), np.array(test), seed)
    np.save(folder / "scores.npy", found)
    return {"train": len(train), "test": len(test)}


def train_and_score(
    films: ScoredFilms, settings: BsnetSettings, train: NDArray[np.intp], test: NDArray[np.intp], seed: int
) -> NDArray[np.float32]:
    """(tested, 6) expected grades of the rows `test` by a network of the rows `train`, its weights at random first."""
    torch.manual_seed(seed)
    images, lungs = _inputs(films, settings.size)
    net = BSNet(aligned=settings.aligned)
    optimizer = torch.optim.AdamW(net.parameters(), settings.rate)
    generator = torch.Generator().manual_seed(seed)
    grades = torch.from_numpy(np.nan_to_num(films.readers)).float()  # (2, N, 6)
    steps = settings.epochs * (len(train) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=max(steps, 1))
    for epoch in range(settings.epochs):
        order = torch.from_numpy(train)[torch.randperm(len(train), generator=generator)]
        total = 0.0
        for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
            rows = order[start : start + settings.batch_size]
            # One radiologist or the other, and every second film mirrored with its zones swapped.
            reader = torch.randint(2, (len(rows),), generator=generator)
            target = grades[reader, rows].view(-1, 2, 3).transpose(1, 2)
            batch, mask = images[rows], lungs[rows]
            if torch.rand((), generator=generator) < 0.5:
                batch, mask, target = batch.flip(-1), mask.flip(-1), target.flip(-1)
            loss = bsnet_loss(net.logits(_jittered(batch, generator), mask), target, settings.alpha, settings.beta)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1} of {settings.epochs}: loss {total / max(len(order) // settings.batch_size, 1):.4f}")  # noqa: T201 - the job's log
    return _scores(net.eval(), images[test], lungs[test])


def _scores(net: BSNet, images: Tensor, lungs: Tensor) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [zones_of(net(images[at : at + 8], lungs[at : at + 8])) for at in range(0, len(images), 8)]
    found = torch.cat(parts).numpy()
    if found.shape[1:] != (len(ZONES),):
        raise ValueError(f"scores of shape {found.shape}")
    return found


def _inputs(films: ScoredFilms, size: int) -> tuple[Tensor, Tensor]:
    """(N, 1, size, size) histogram-equalised boxes around the lungs, 0..1, and their grown masks."""
    images = np.empty((len(films.films), 1, size, size), np.float32)
    lungs = np.empty_like(images)
    for at, (film, fields) in enumerate(zip(films.films, films.fields, strict=True)):
        top, left, bottom, right = bounding_box(fields, _MARGIN)
        part = film[top:bottom, left:right]
        levels = np.cumsum(np.bincount(part.ravel(), minlength=256)) / part.size
        images[at, 0] = resize(levels[part].astype(np.float32), size, size)
        lungs[at, 0] = resize(grow(fields, _GROWN)[top:bottom, left:right].astype(np.float32), size, size)
    return torch.from_numpy(images), torch.from_numpy(lungs)


def _jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Another contrast and brightness a film."""
    gain = 1 + 0.3 * (2 * torch.rand((len(images), 1, 1, 1), generator=generator) - 1)
    shift = 0.15 * (2 * torch.rand((len(images), 1, 1, 1), generator=generator) - 1)
    return ((images - 0.5) * gain + 0.5 + shift).clamp(0, 1)
