"""Train a classifier on prepared views (paper section 4.3, tables 5 and 6)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d
from torch.utils.data import DataLoader, Dataset, Subset

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.augment import augment
from lunglens.train.cost import cost_of
from lunglens.train.loop import EpochSampler, fit, load_kept, optimizers
from lunglens.train.networks.network import Network
from lunglens.train.networks.weights import freeze, start_from, trunk_of
from lunglens.train.objective import MOST_GROUPS, Batch, Objective
from lunglens.train.systems import network_of
from lunglens.train.views import Views


class ViewImages(Dataset[Batch]):
    """A film of every row, as a `Batch` holds them; table: source, class, `target` and perhaps `opacity`, if wanted."""

    def __init__(self, views: Views, table: pd.DataFrame | None = None) -> None:
        self.views = views
        films = len(views.images)
        self.targets, self.opacity = torch.zeros(films), torch.full((films,), torch.nan)
        self.groups = torch.zeros(films, dtype=torch.long)
        if table is not None:
            self.targets = torch.tensor(table["target"].to_numpy(), dtype=torch.float32)
            sources, classes = (pd.factorize(table[name], sort=True) for name in ("source", "class"))
            self.groups = torch.tensor(sources[0] * len(classes[1]) + classes[0])
            if "opacity" in table:
                self.opacity = torch.tensor(table["opacity"].to_numpy(), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Batch:
        image = torch.from_numpy(np.array(self.views.images[index]))
        mask = torch.from_numpy(np.array(self.views.masks[index]))
        return Batch(image[None], mask[None], self.targets[index], self.opacity[index], self.groups[index])


class ClassifierTraining(L.LightningModule):
    """Classifier, its loss and augmentation, on the device the batch is on.

    outputs: 1 for two classes (binary cross-entropy, target 1 is the positive one), else the number of classes (cross-
    entropy, targets 0 ... outputs - 1). class_weights: (classes,), of the loss, in the order of the study's classes.
    """

    class_weights: Tensor | None

    def __init__(self, config: ClassifierConfig, outputs: int = 1, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        network = network_of(config, outputs)
        freeze(network, config.freeze)
        self.classifier: Network = network.to(memory_format=torch.channels_last)
        trunk = trunk_of(network)
        self.objective = Objective(config, 0 if trunk is None else sum(trunk.channels))
        self.register_buffer("class_weights", class_weights, persistent=False)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step."""
        images, masks = augment(batch.images.float() / 255, batch.masks.float(), self.config.augment)
        masks = jitter(masks, self.config.augment.mask_jitter_px)
        loss: Tensor
        given = shown(images, masks, self.config.view)
        loss, logits = self.objective(self.classifier, given, batch, self.class_weights)
        accuracy = _accuracy(logits, self.classifier.classes_of(batch.targets))
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=len(images))
        self.log("train_accuracy", accuracy, on_epoch=True, on_step=False, batch_size=len(images))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Loss and accuracy on images as they are."""
        images = shown(batch.images.float() / 255, batch.masks.float(), self.config.view)
        loss, logits = self.objective(self.classifier, images, batch, self.class_weights)
        self.log("validation_loss", loss, batch_size=len(logits))
        self.log("validation_accuracy", _accuracy(logits, batch.targets), prog_bar=True, batch_size=len(logits))

    def predict_step(self, batch: Batch, _: int) -> Tensor:
        """(N,) probabilities of the positive class, or (N, classes)."""
        return self._answers(batch)[0]

    def _answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        told = self.classifier.told(shown(batch[0].float() / 255, batch[1].float(), self.config.view))
        logits = told.logits.float()
        return (logits.sigmoid() if logits.ndim == 1 else logits.softmax(1)), told.opacity.float().sigmoid()

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """Lightning's hook."""
        steps = int(self.trainer.estimated_stepping_batches)
        trunk = trunk_of(self.classifier)
        slower = None if trunk is None else (trunk, self.config.trunk_rate)
        return optimizers(self, self.config.optimization, steps, slower)

    def predict(self, views: Views, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities (len(rows),) or (len(rows), classes) of the given views, float32 arithmetic."""
        return self.predict_both(views, rows)[0]

    def predict_both(self, views: Views, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `predict`, and (len(rows),) the probability of any opacity, NaN where the network does not tell it."""
        images = Subset(ViewImages(views), rows.tolist())
        with torch.inference_mode():
            parts = zip(*(self._answers(batch) for batch in DataLoader(images, batch_size=32)), strict=True)
            answers, opacity = (torch.cat(part).numpy().astype(np.float32) for part in parts)
        return answers, opacity

    def cost(self) -> dict[str, float]:
        """Parameters, GFLOPs and time of one film."""
        network = self.classifier
        parameters = sum(parameter.numel() for parameter in network.parameters())
        view = self.config.view
        return cost_of(network, parameters, view.input_size, view.channels)

    def batches(self, views: Views, rows: NDArray[np.int64]) -> Iterator[Tensor]:
        """The given views as the network is given them, (N, channels, S, S) in 0..1."""
        images = Subset(ViewImages(views), rows.tolist())
        for batch in DataLoader(images, batch_size=32):
            yield shown(batch.images.float() / 255, batch.masks.float(), self.config.view)


def shown(images: Tensor, masks: Tensor, view: View) -> Tensor:
    """What the network is given of (N, 1, S, S) images, 0..1, and masks, 0 or 1: (N, view.channels, S, S)."""
    given = images * masks if view.cut else images * (1 - masks) if view.blackout else images
    if view.pool == "region":
        given = torch.cat([given, masks], 1)
    return given.contiguous(memory_format=torch.channels_last)


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


def assert_can_begin(config: ClassifierConfig, outputs: int) -> None:
    """Build the network and load what it starts from, so that what is wrong is said before any fold has begun.

    Raises:
        ConfigurationError: there is no such network, or its weights, frozen parts or class weights do not fit it.
    """
    classes = pd.Series(range(max(outputs, 2)))
    module = ClassifierTraining(config, outputs, _class_weights(classes, config, outputs))
    start_from(module.classifier, config)


def train_classifier(
    table: pd.DataFrame, views: Views, config: ClassifierConfig, folder: Path, outputs: int = 1
) -> ClassifierTraining:
    """Train on rows whose `part` is "train", validate on "validation"; a killed run in `folder` is continued.

    Args:
        table: films in the order of `views`, with source, class, `part` and `target` (1 for the first of two classes
            and 0 for the second, or the number of the class); where the configuration needs them also `opacity` (1, 0
            or NaN: not known) and `taught` (what the teacher answers, NaN where it does not).
        views: the rows' images.
        config: model, view, augmentation, optimization.
        folder: where checkpoints and logs go.
        outputs: 1 for two classes, else their number.
    """
    L.seed_everything(config.optimization.seed, verbose=False)
    images = ViewImages(views, table)
    training = np.flatnonzero(table["part"] == "train").astype(np.int64)
    batch_size = config.optimization.batch_size
    sampler = sampler_of(table.iloc[training], config)
    loader = DataLoader(Subset(images, training.tolist()), batch_size=batch_size, sampler=sampler, drop_last=True)
    validation = Subset(images, np.flatnonzero(table["part"] == "validation").tolist())
    module = ClassifierTraining(config, outputs, _class_weights(table.iloc[training]["target"], config, outputs))
    if not (folder / "checkpoints" / "last.ckpt").exists():
        start_from(module.classifier, config)
    if (config.group_dro or config.source_head) and int(images.groups.max()) >= MOST_GROUPS:
        raise ConfigurationError(f"group_dro, source_head: more than {MOST_GROUPS} sources x classes; leave them out")
    rows = torch.from_numpy(training)
    if config.teacher:
        taught = torch.tensor(table.iloc[training]["taught"].to_numpy(), dtype=torch.float32)
        images.targets[rows] = torch.where(taught.isnan(), images.targets[rows], taught)
    batches = partial(module.batches, views, training)
    images.targets[rows] = module.classifier.fit_targets(batches, images.targets[rows], folder)
    fit(module, loader, validation, folder, config.optimization)
    return module.eval()


def load_trained(config: ClassifierConfig, folder: Path, outputs: int = 1) -> ClassifierTraining:
    """The classifier that `train_classifier` has left in `folder`, ready to predict."""
    module = ClassifierTraining(config, outputs)
    load_kept(module, folder, config.optimization)
    return module.eval()


def sampler_of(table: pd.DataFrame, config: ClassifierConfig) -> EpochSampler:
    """Shuffle, or draw the classes equally often and each source x class in proportion to size ** balance_power.

    Films of the second of two classes with an opacity are drawn `hard_negatives` times as often as those without.
    """
    seed = config.optimization.seed
    if config.balance_power is None:
        return EpochSampler(len(table), seed)
    size = table.groupby(["source", "class"])["class"].transform("size").astype(float)
    weight = size ** (config.balance_power - 1)
    if config.hard_negatives != 1:
        hard = (table["target"] == 0) & (table["opacity"] == 1)
        weight = weight.where(~hard, weight * config.hard_negatives)
    weight = weight / weight.groupby(table["target"]).transform("sum")
    return EpochSampler(len(table), seed, torch.tensor(weight.to_numpy()), config.images_per_epoch)


def _class_weights(targets: pd.Series, config: ClassifierConfig, outputs: int) -> Tensor | None:
    """(classes,) in the order of the study's classes; their mean over the films is 1 where they are balanced."""
    classes = max(outputs, 2)
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        numbers = 1 - targets if outputs == 1 else targets
        count = np.bincount(numbers.astype(int), minlength=classes)
        return torch.tensor(len(targets) / (classes * count), dtype=torch.float32)
    if len(config.class_weights) != classes:
        raise ConfigurationError(f"class_weights: {len(config.class_weights)} numbers for {classes} classes")
    return torch.tensor(config.class_weights, dtype=torch.float32)
