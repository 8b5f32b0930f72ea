"""Train the lung UNet on image-mask pairs (paper section 4.2, algorithm 1; one grouped split)."""

from collections.abc import Iterable
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import masks_of, read_masks
from lunglens.film.preprocess import film_square, resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import Damage, LungsConfig
from lunglens.study.manifest import manifest
from lunglens.study.sources import read_sources
from lunglens.study.sources.own import own_readers
from lunglens.train.augment import augment
from lunglens.train.loop import EpochSampler, fit, optimizers
from lunglens.train.losses import soft_dice, soft_dice_loss
from lunglens.train.lungs.damage import damage
from lunglens.train.networks.unet import UNet, create_unet

_REGION = 1  # its place among the masks


def masked_films(data: Path, config: LungsConfig) -> pd.DataFrame:
    """The manifest of all films of the configuration's data sets that have a lung mask.

    Raises:
        DataError: a data set is missing or not in its published layout, none of its films has a mask, or a mask is
            drawn by a rule that the configuration's network has no mask for.
    """
    rows = read_sources(data, config.sources, own=own_readers(config.own))
    table = manifest(row for row in rows if row.masks)
    if table.empty:
        raise DataError(f"{data}: no film of {', '.join(config.sources)} has a lung mask")
    other = table[~table["mask_rule"].isin(config.masks)]
    if len(other):
        path, rule = other.iloc[0][["path", "mask_rule"]]
        raise DataError(f"{path}: its mask is drawn by the rule {rule}; add that to lungs.masks, or leave it out")
    return table


class _LungTraining(L.LightningModule):
    """UNet + soft Dice + augmentation on the device the batch is on; a film teaches the mask of its rule."""

    def __init__(self, config: LungsConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = create_unet(config).to(memory_format=torch.channels_last)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """One batch of (N, 1, S, S) uint8 images and masks, and (N,) rules."""
        images, masks, rules = _to_float(batch)
        if self.config.damage != Damage():
            images, masks = damage(images, masks, rules == _REGION, self.config.damage)
        images, masks = augment(images, masks, self.config.augment)
        logits = self._logits(images, rules)
        loss = soft_dice_loss(logits, masks)
        hard = soft_dice((logits > 0).float(), masks).mean()
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=len(images))
        self.log("train_dice", hard, on_epoch=True, on_step=False, batch_size=len(images))
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Loss and hard Dice at 0.5 on images as they are."""
        images, masks, rules = _to_float(batch)
        logits = self._logits(images, rules)
        dice = soft_dice((logits > 0).float(), masks).mean()
        self.log("validation_loss", soft_dice_loss(logits, masks), batch_size=len(images))
        self.log("validation_dice", dice, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """Lightning's hook."""
        return optimizers(self, self.config.optimization, int(self.trainer.estimated_stepping_batches))

    def _logits(self, images: Tensor, rules: Tensor) -> Tensor:
        """(N, 1, S, S): of each film those of the mask by its rule."""
        logits: Tensor = self.unet(images.contiguous(memory_format=torch.channels_last))
        return logits[torch.arange(len(rules), device=rules.device), rules][:, None]


def _load_pairs(table: pd.DataFrame, config: LungsConfig) -> TensorDataset:
    """Image-mask pairs as uint8 tensors (N, 1, size, size), decoded once, and the number of each mask's rule (N,)."""
    size = config.input_size
    images = np.empty((len(table), 1, size, size), np.uint8)
    masks = np.empty_like(images)
    pairs: Iterable[tuple[str, str]] = zip(table["path"], table["masks"], strict=True)
    for index, (path, masked) in enumerate(track(pairs, "decoding", total=len(table))):
        images[index, 0] = np.rint(film_square(read_radiograph(Path(path)).pixels, size) * 255)
        masks[index, 0] = resize_mask(read_masks(masks_of(masked)), size, size)
    rules = torch.tensor([config.masks.index(rule) for rule in table["mask_rule"]])
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(masks), rules)


def train_lungs(table: pd.DataFrame, config: LungsConfig, folder: Path) -> UNet:
    """Train on the rows whose `part` is "train", choose the epoch by "validation".

    Args:
        table: manifest rows with `masks`, `mask_rule` and `part`.
        config: sizes, augmentation, optimization.
        folder: where checkpoints and logs go; a killed run in it is continued.
    """
    L.seed_everything(config.optimization.seed, verbose=False)
    train = _load_pairs(table[table["part"] == "train"], config)
    validation = _load_pairs(table[table["part"] == "validation"], config)
    sampler = EpochSampler(len(train), config.optimization.seed)
    loader = DataLoader(train, batch_size=config.optimization.batch_size, sampler=sampler, drop_last=True)
    module = _LungTraining(config)
    fit(module, loader, validation, folder, config.optimization)
    return module.unet.eval()


def _to_float(batch: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    images, masks, rules = batch
    return images.float() / 255, masks.float(), rules
