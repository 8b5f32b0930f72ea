"""Train the classifier on prepared views (paper section 4.3, tables 5 and 6; one grouped split)."""

from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, max_pool2d
from torch.utils.data import DataLoader, Dataset, Subset

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.augment import augment
from lunglens.train.loop import EpochSampler, fit, load_kept, optimizers
from lunglens.train.networks.classifier import Classifier
from lunglens.train.views import Views

Item = tuple[Tensor, Tensor, Tensor]


class ViewImages(Dataset[Item]):
    """(1, S, S) uint8 image, (1, S, S) uint8 mask and target of every row."""

    def __init__(self, views: Views, targets: pd.Series) -> None:
        self.views = views
        self.targets = torch.tensor(targets.to_numpy(), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Item:
        image = torch.from_numpy(np.array(self.views.images[index]))
        mask = torch.from_numpy(np.array(self.views.masks[index]))
        return image[None], mask[None], self.targets[index]


class ClassifierTraining(L.LightningModule):
    """Classifier, its loss and augmentation, on the device the batch is on.

    outputs: 1 for two classes (binary cross-entropy, target 1 is the positive one), else the number of classes (cross-
    entropy, targets 0 ... outputs - 1).
    """

    def __init__(self, config: ClassifierConfig, outputs: int = 1) -> None:
        super().__init__()
        self.config = config
        classifier = Classifier(config.backbone, config.head, config.dropout, outputs)
        self.classifier = classifier.to(memory_format=torch.channels_last)

    def training_step(self, batch: Item, _: int) -> Tensor:
        """One batch of (N, 1, S, S) uint8 images and masks, and (N,) targets."""
        images, masks = augment(batch[0].float() / 255, batch[1].float(), self.config.augment)
        masks = jitter(masks, self.config.augment.mask_jitter_px)
        logits = self._logits(images, masks)
        loss = self._loss(logits, batch[2])
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=len(images))
        self.log("train_accuracy", _accuracy(logits, batch[2]), on_epoch=True, on_step=False, batch_size=len(images))
        return loss

    def validation_step(self, batch: Item, _: int) -> None:
        """Loss and accuracy on images as they are."""
        logits = self._logits(batch[0].float() / 255, batch[1].float())
        self.log("validation_loss", self._loss(logits, batch[2]), batch_size=len(logits))
        self.log("validation_accuracy", _accuracy(logits, batch[2]), prog_bar=True, batch_size=len(logits))

    def predict_step(self, batch: Item, _: int) -> Tensor:
        """(N,) probabilities of the positive class, or (N, classes)."""
        logits = self._logits(batch[0].float() / 255, batch[1].float())
        return logits.sigmoid() if logits.ndim == 1 else logits.softmax(1)

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """Lightning's hook."""
        return optimizers(self, self.config.optimization, int(self.trainer.estimated_stepping_batches))

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if logits.ndim == 1:
            return binary_cross_entropy_with_logits(logits, targets)
        return cross_entropy(logits, targets.long())

    def _logits(self, images: Tensor, masks: Tensor) -> Tensor:
        if self.config.view.cut:
            images = images * masks
        logits: Tensor = self.classifier(images.contiguous(memory_format=torch.channels_last))
        return logits.float()


def _accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    answer = (logits > 0).float() if logits.ndim == 1 else logits.argmax(1).float()
    return (answer == targets).float().mean()


def jitter(masks: Tensor, most_px: int) -> Tensor:
    """Grow or shrink a batch of masks by up to `most_px` pixels, so that the outline's exact place says nothing."""
    radius = int(torch.randint(-most_px, most_px + 1, ()))
    if radius == 0:
        return masks
    grown = max_pool2d(masks if radius > 0 else 1 - masks, 2 * abs(radius) + 1, stride=1, padding=abs(radius))
    return grown if radius > 0 else 1 - grown


def train_classifier(
    table: pd.DataFrame, views: Views, config: ClassifierConfig, folder: Path, outputs: int = 1
) -> ClassifierTraining:
    """Train on rows whose `part` is "train", validate on "validation"; a killed run in `folder` is continued.

    Args:
        table: manifest rows in the order of `views`, with source, label, `part` and `target` (1 positive, 0 not, or the
            number of the class; missing for external).
        views: the rows' images.
        config: model, view, augmentation, optimization.
        folder: where checkpoints and logs go.
        outputs: 1 for two classes, else their number.
    """
    L.seed_everything(config.optimization.seed, verbose=False)
    images = ViewImages(views, table["target"].fillna(0))
    training = np.flatnonzero(table["part"] == "train")
    batch_size = config.optimization.batch_size
    sampler = _sampler(table.iloc[training], config)
    loader = DataLoader(Subset(images, training.tolist()), batch_size=batch_size, sampler=sampler, drop_last=True)
    validation = Subset(images, np.flatnonzero(table["part"] == "validation").tolist())
    module = ClassifierTraining(config, outputs)
    fit(module, loader, validation, folder, config.optimization)
    return module.eval()


def load_trained(config: ClassifierConfig, folder: Path, outputs: int = 1) -> ClassifierTraining:
    """The classifier that `train_classifier` has left in `folder`, ready to predict."""
    module = ClassifierTraining(config, outputs)
    load_kept(module, folder, config.optimization)
    return module.eval()


def predict(module: ClassifierTraining, views: Views, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities (len(rows),) or (len(rows), classes) of the given views, float32 arithmetic."""
    images = Subset(ViewImages(views, pd.Series(np.zeros(len(views.images)))), rows.tolist())
    with torch.inference_mode():
        parts = [module.predict_step(batch, 0) for batch in DataLoader(images, batch_size=32)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def _sampler(table: pd.DataFrame, config: ClassifierConfig) -> EpochSampler:
    """Shuffle, or draw the classes equally often and each source x label in proportion to size ** balance_power."""
    seed = config.optimization.seed
    if config.balance_power is None:
        return EpochSampler(len(table), seed)
    size = table.groupby(["source", "label"])["path"].transform("size").astype(float)
    weight = size ** (config.balance_power - 1)
    weight = weight / weight.groupby(table["target"]).transform("sum")
    return EpochSampler(len(table), seed, torch.tensor(weight.to_numpy()), config.images_per_epoch)
