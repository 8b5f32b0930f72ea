"""`lunglens average`: several runs of one network -> one run, whose folds' networks have the mean of their weights.

Networks that begin with the same learned weights end near enough to one another for the mean of their weights to
answer like the mean of their answers, in the time of one (a "model soup": Wortsman et al. 2022,
https://arxiv.org/abs/2203.05482).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Subset

from lunglens.errors import DataError
from lunglens.evaluate.run_record import RUN, ClassifierMetrics, ClassifierRun, read_classifier_run
from lunglens.files import read_json, write_bytes
from lunglens.jobs import Job
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.augment import augment
from lunglens.train.classifier import ClassifierTraining, ViewImages, sampler_of, shown
from lunglens.train.crossval.classifier import FILMS, SOURCES, films_of_fold, finish, outputs_of, write_answers
from lunglens.train.crossval.run_folder import Runner, describe, gather, run_folds
from lunglens.train.loop import keep
from lunglens.train.model import Model, load_model
from lunglens.train.views import Views, link_views, read_views

_KEPT = ("study", "classes", "cut", "config", "folds", "seed", "postprocess")


def average_runs(runs: Sequence[Path], out: Path, runner: Runner, console: Console) -> ClassifierMetrics:
    """Make the run; a killed one goes on.

    Args:
        runs: finished, of one network on the same films, folds and seed. What the first one's networks are shown, those
            of the mean are shown too.
        out: the run folder to make: as a cross-validation's, for all that takes one.
        runner: runs a job a fold.
        console: for progress.

    Returns:
        the content of `metrics.json`.

    Raises:
        DataError: there is one run alone, or they are not of one network on the same films.
        FoldsFailedError: some folds failed.
        OutputError: the folder holds another run.
    """
    abouts = _that_go_together(runs)
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / ".begin.lock"):
        run = _begin(abouts, runs, out)
    run_folds(_jobs_of(run, runs, out), runner, console)
    return finish(run, gather(out, run.folds), out)


def _that_go_together(runs: Sequence[Path]) -> list[ClassifierRun]:
    """What the runs say of themselves.

    Raises:
        DataError: there is one run alone, they are not of the same films, folds and seed, or the views are gone.
    """
    first, *others = abouts = [read_classifier_run(run) for run in runs]
    if not others:
        raise DataError(f"{runs[0]}: is one run; give those it is to be averaged with too")
    if not (runs[0] / "images.npy").is_file():
        raise DataError(f"{runs[0]}: the views of its films are gone; start the same crossval again")
    folded = _folded(runs[0])
    for run, other in zip(runs[1:], others, strict=True):
        for name in ("study", "classes", "folds", "seed"):
            if getattr(other, name) != getattr(first, name):
                raise DataError(f"{run}: is a run of another {name} than {runs[0]}; only those of the same go together")
        if not _folded(run).equals(folded):
            raise DataError(f"{run}: its films are folded otherwise than those of {runs[0]}: some would test and train")
    return abouts


def _folded(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / FILMS, dtype=str, usecols=["image_id", "fold"])


def _begin(abouts: Sequence[ClassifierRun], runs: Sequence[Path], out: Path) -> ClassifierRun:
    """Make the run folder with `run.json`, the films and their views, or go on with the same."""
    content = {name: value for name, value in abouts[0].to_json().items() if name in _KEPT}
    content |= {"model": f"mean of {len(runs)} x {abouts[0].model}", "averaged": [about.config for about in abouts]}
    for name in ("draws", "train_seconds"):
        known = [getattr(about, name) for about in abouts]
        content[name] = None if None in known else sum(known)
    described = describe("classifier", content, out, ClassifierConfig.of_run)
    for name in (FILMS, SOURCES):
        write_bytes(out / name, (runs[0] / name).read_bytes())
    link_views(runs[0], out)
    return ClassifierRun.model_validate(described)


def _jobs_of(run: ClassifierRun, runs: Sequence[Path], out: Path) -> list[Job]:
    folders = [str(folder.resolve()) for folder in runs]
    shared = {"run": str(out.resolve()), "runs": folders, "study": run.study.fingerprint, "averaged": run.averaged}
    target = f"{__name__}:average_fold"
    return [Job(f"fold {fold}", out / "folds" / fold, target, shared | {"fold": fold}) for fold in run.folds]


def average_fold(
    folder: Path,
    run: str,
    runs: list[str],
    fold: str,
    averaged: list[dict[str, Any]],
    study: str,  # noqa: ARG001
) -> int:
    """One fold, in a process of its own: the mean network, and what it answers; how many networks it is the mean of."""
    about = ClassifierRun.model_validate(read_json(Path(run) / RUN, "average the runs again"))
    configs = [ClassifierConfig.of_run(config) for config in averaged]
    outputs = outputs_of(about.classes)
    models = [
        load_model(config, Path(one) / "folds" / fold, outputs) for config, one in zip(configs, runs, strict=True)
    ]
    module, config = mean_of_weights(models), configs[0]
    table, views = films_of_fold(Path(run), fold, config), read_views(Path(run))
    training = np.flatnonzero(table["part"] == "train")
    L.seed_everything(config.optimization.seed, verbose=False)
    update_bn(_seen_in_training(views, table, training, config), module.classifier)
    keep(module.eval(), folder, config.optimization)
    write_answers(module, table, views, folder, about.classes)
    return len(models)


def mean_of_weights(models: Sequence[Model]) -> ClassifierTraining:
    """The first of several networks, with the mean of all their weights.

    Raises:
        DataError: they are not of one shape, or have no weights.
    """
    modules = [model for model in models if isinstance(model, ClassifierTraining)]
    states = [module.classifier.state_dict() for module in modules]
    shapes = [{name: weight.shape for name, weight in state.items()} for state in states]
    if len(modules) < len(models) or any(shape != shapes[0] for shape in shapes):
        raise DataError("the runs' networks are not of one shape, so that their weights have no mean")
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(weight.dtype)
        for name, weight in states[0].items()
    }
    modules[0].classifier.load_state_dict(mean)
    return modules[0]


def _seen_in_training(
    views: Views, table: pd.DataFrame, training: NDArray[np.int64], config: ClassifierConfig
) -> Iterator[Tensor]:
    """One epoch of the network's input, drawn and changed as in training.

    Batch normalisation learns its statistics from it anew: a mean network's are not the mean of theirs (Izmailov et al.
    2018, https://arxiv.org/abs/1803.05407).
    """
    films = Subset(ViewImages(views, table), training.tolist())
    for batch in DataLoader(films, batch_size=32, sampler=sampler_of(table.iloc[training], config)):
        images, masks = augment(batch.images.float() / 255, batch.masks.float(), config.augment)
        yield shown(images, masks, config.view)
