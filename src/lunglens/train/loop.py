"""What the two trainings share: the optimizer and schedule, a lightning run that can be killed and goes on."""

import logging
import os
import warnings
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, Sampler

from lunglens.errors import DataError
from lunglens.files import write_atomically
from lunglens.study.config.training import Optimization
from lunglens.train.precision import fastest, keep_grouped_in_float32

_NEVER = 2**31  # epochs between lightning's own steps of a plateau, see _StepPlateau


class EpochSampler(Sampler[int]):
    """Row numbers in a random order, or drawn with weights; each epoch's draw follows from seed and epoch alone.

    So a run that was killed and goes on sees what an undisturbed one would have seen. Lightning calls `set_epoch`.
    """

    def __init__(self, rows: int, seed: int, weights: Tensor | None = None, draws: int | None = None) -> None:
        self.rows, self.seed, self.weights = rows, seed, weights
        self.draws = rows if draws is None else draws
        self.epoch = 0

    def __len__(self) -> int:
        return self.draws

    def set_epoch(self, epoch: int) -> None:
        """Choose the draw."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(_mixed(self.seed, self.epoch))
        if self.weights is None:
            yield from torch.randperm(self.rows, generator=generator).tolist()
        else:
            yield from torch.multinomial(self.weights, self.draws, replacement=True, generator=generator).tolist()


class _SeedEachStep(Callback):
    """Augmentation and dropout too follow from seed and step alone, whoever else draws random numbers meanwhile."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, _: L.LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Lightning's hook."""
        torch.manual_seed(_mixed(self.seed, trainer.global_step))


class _StepPlateau(Callback):
    """Lightning's own step of a plateau comes after the checkpoint, so that a training that goes on would lack one."""

    def on_validation_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        """Lightning's hook."""
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(float(trainer.callback_metrics["validation_loss"]))


def _mixed(seed: int, number: int) -> int:
    return (seed * 1_000_003 + number) % 2**32


def optimizers(
    module: torch.nn.Module,
    settings: Optimization,
    total_steps: int,
    trunk: tuple[torch.nn.Module, float] | None = None,
) -> dict[str, Any]:
    """Optimizer and schedule for lightning's `configure_optimizers`.

    Args:
        module: whose parameters learn, but for those that are frozen.
        settings: rule and rates.
        total_steps: for onecycle.
        trunk: a part of `module` and the factor of its learning rate.
    """
    rate = settings.learning_rate
    slower, factor = (set(trunk[0].parameters()), trunk[1]) if trunk and trunk[1] != 1 else (set(), 1.0)
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    parts = [([p for p in learning if p not in slower], rate), ([p for p in learning if p in slower], rate * factor)]
    parts = [(parameters, lr) for parameters, lr in parts if parameters]
    groups = [{"params": parameters, "lr": lr} for parameters, lr in parts]
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, rate, momentum=settings.momentum, weight_decay=settings.weight_decay)
    else:
        optimizer = torch.optim.AdamW(groups, rate, betas=settings.betas, weight_decay=settings.weight_decay)
    schedule: torch.optim.lr_scheduler.LRScheduler
    if settings.schedule == "steps":
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(settings.steps), settings.step_factor)
        interval = "epoch"
    elif settings.schedule == "plateau":
        schedule = ReduceLROnPlateau(
            optimizer, factor=settings.step_factor, patience=settings.patience, min_lr=settings.lowest_rate
        )
        by_hand = {"interval": "epoch", "frequency": _NEVER, "monitor": "validation_loss"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, **by_hand}}
    else:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [lr for _, lr in parts], total_steps=total_steps, pct_start=settings.warm_up
        )
        interval = "step"
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}


def fit(
    module: L.LightningModule, train: DataLoader[Any], validation: Dataset[Any], folder: Path, settings: Optimization
) -> None:
    """Train `module` in `folder`, going on from `last.ckpt` there if a run was killed, and load the weights to keep.

    Raises:
        DataError: there are fewer films than a batch, none to validate on, or the checkpoint to go on from is none.

    Writes `checkpoints/`, and `log/start-<n>/metrics.csv`: rows of the epochs that the nth start has trained.
    """
    if len(train) == 0:
        raise DataError(f"{folder}: fewer films to train on than a batch of {settings.batch_size}: lower batch_size")
    if settings.keep == "best" and len(validation) == 0:  # type: ignore[arg-type]
        raise DataError(
            f"{folder}: no film is left to choose the best epoch by; it takes more patients, or fewer folds"
        )
    keep_grouped_in_float32(module)
    trainer = _trainer(folder, settings)
    resume = folder / "checkpoints" / "last.ckpt"
    if resume.exists():
        _checkpoint_of(resume, mmap=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lightning on its own internals, loader workers and folders that exist
        trainer.fit(
            module,
            train,
            DataLoader(validation, batch_size=settings.batch_size),
            ckpt_path=resume if resume.exists() else None,
            weights_only=True,
        )
    load_kept(module, folder, settings)


def _trainer(folder: Path, settings: Optimization) -> L.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # it advertises
    checkpoints = folder / "checkpoints"
    start = f"start-{len(list((folder / 'log').glob('start-*')))}"
    # Two savers: lightning's save_last copies the best epoch, not the last.
    best = ModelCheckpoint(checkpoints, filename="best", monitor="validation_loss", enable_version_counter=False)
    # At the epoch's end, not after validation: else a resumed run repeats validation and steps out of line.
    last = ModelCheckpoint(
        checkpoints, filename="last", monitor=None, enable_version_counter=False, save_on_train_epoch_end=True
    )
    callbacks: list[Callback] = [_SeedEachStep(settings.seed), _StepPlateau(), best, last, RichProgressBar()]
    if settings.weight_average is not None:
        callbacks.append(EMAWeightAveraging(decay=settings.weight_average, update_every_n_steps=5))
    return L.Trainer(
        max_epochs=settings.epochs,
        devices=1,  # a fold is one process; several run beside each other
        precision=fastest()[0] if settings.precision == "auto" else settings.precision,
        logger=loggers(folder, start),
        callbacks=callbacks,
        default_root_dir=folder,
        log_every_n_steps=10,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def loggers(folder: Path, start: str) -> list[Logger]:
    """The CSV log, and what the user has besides: TensorBoard, and MLflow where MLFLOW_TRACKING_URI names a server.

    Events for TensorBoard go into `folder/tensorboard/<start>/`; MLflow's run is named after the last three folders.
    """
    found: list[Logger] = [CSVLogger(folder, name="log", version=start)]
    if find_spec("tensorboard"):
        found.append(TensorBoardLogger(folder, name="tensorboard", version=start))
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if address and find_spec("mlflow"):
        name = "/".join(folder.resolve().parts[-3:])
        found.append(MLFlowLogger(experiment_name="lunglens", run_name=name, tracking_uri=address))
    return found


def load_kept(module: L.LightningModule, folder: Path, settings: Optimization) -> None:
    """Load the weights that a training in `folder` keeps: those of the best validation epoch, or of the last."""
    kept = _kept(folder, settings)
    try:
        module.load_state_dict(_checkpoint_of(kept)["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{kept}: holds another network's weights; choose another --out") from error


def keep(module: L.LightningModule, folder: Path, settings: Optimization) -> None:
    """Write a module's weights as those that a training in `folder` has kept."""
    kept = _kept(folder, settings)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, partial(torch.save, {"state_dict": module.state_dict()}))


def _kept(folder: Path, settings: Optimization) -> Path:
    return folder / "checkpoints" / ("best.ckpt" if settings.keep == "best" else "last.ckpt")


def lighten(folder: Path) -> None:
    """Take out of a finished training's checkpoints what only going on needs: two thirds of them with AdamW."""
    for path in (folder / "checkpoints").glob("*.ckpt"):
        content = _checkpoint_of(path)
        if "optimizer_states" in content:
            write_atomically(path, partial(torch.save, {"state_dict": content["state_dict"]}))


def _checkpoint_of(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """What a checkpoint holds: tensors and plain values, never code (torch's `weights_only`).

    Args:
        path: the file.
        mmap: leave the tensors' values on disk until they are used.

    Raises:
        DataError: it is missing, cut off, or holds anything else, which is not executed.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # unpickling damaged bytes can throw anything
        raise DataError(
            f"{path}: is no checkpoint of a training: missing, damaged, or it holds more than weights and numbers "
            "(nothing in it was executed). Delete it and start the same command again"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no checkpoint of a training. Delete it and start the same command again")
    return found
