"""Small trainings of the audited run's own kind: T4 lungs blacked out, T5 the rim alone, T8 one source left out.

Each is an ordinary run of `crossval classifier` below the audit's folder, of small pictures and few films, so that a
study takes minutes: what is compared is compared with the same small network on whole films.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.audit.retrained import BLACKOUT, CENTRE, FILM, RIM, SOURCES, TAUGHT, Retrained
from lunglens.evaluate.run_record import METRICS, read_classifier_metrics
from lunglens.jobs import Job
from lunglens.study.config.training import Augment, ClassifierConfig
from lunglens.study.folder import Study
from lunglens.study.folds import FoldSettings, fold_names, make_folds, read_folds
from lunglens.train.crossval.classifier import begin, finish, jobs_of
from lunglens.train.crossval.run_folder import Runner, gather, run_folds

_SIDE, _FILM_SIDE, _STEPS = 96, 192, 400
_MOST_DRAWS = 2000  # an epoch, of a study whose films are drawn: three rounds of them all would take hours
# Settings by which small networks learn in few steps, whatever the run's own are.
_LEARNING: Mapping[str, Any] = {
    "optimizer": "adamw",
    "schedule": "onecycle",
    "learning_rate": 0.001,
    "weight_decay": 0.05,
    "batch_size": 12,
}
# Films are hardly changed: strong changes would hide what the audit looks for, a letter in the corner by a rotation.
_AUGMENT = Augment(
    scale=(0.95, 1.05),
    rotate_deg=4.0,
    shear=0.0,
    gamma=(0.85, 1.2),
    salt_pepper_probability=0.0,
    blur_probability=0.0,
    noise_probability=0.0,
)
_VIEWS: Mapping[str, dict[str, Any]] = {
    BLACKOUT: {"blackout": True},
    RIM: {"rectangle": 0.8},
    CENTRE: {"rectangle": 0.5},
}


def variants_of(config: ClassifierConfig) -> tuple[str, ...]:
    """All variants that a run's network can be trained as."""
    return (*(TAUGHT if config.network == "trunk" else [FILM]), *_VIEWS, SOURCES)


def retrain(
    study: Study, config: ClassifierConfig, variants: Sequence[str], out: Path, runner: Runner, console: Console
) -> dict[str, Retrained]:
    """Train and test variants; finished ones are not run again.

    Args:
        study: with its `folds.csv`.
        config: of the audited run; its network, at a small size, with few films.
        variants: of `variants_of`.
        out: gets a run folder a variant.
        runner: runs all folds of all variants as one queue.
        console: for progress.

    Returns:
        variant -> its measures, or why there are none.

    Raises:
        FoldsFailedError: some folds failed.
    """
    begun, queue, found = {}, list[Job](), dict[str, Retrained]()
    for name in variants:
        try:
            table = _folds_of(study, name)
        except DataError as error:
            found[name] = Retrained(None, str(error))
            continue
        run = begin(study, small(config, name, table), out / name, table, fold_names(table), Console(quiet=True))
        begun[name] = run
        queue += [_named(job, name) for job in jobs_of(run, out / name)]
    run_folds(queue, runner, console)
    for name, run in begun.items():
        if not (out / name / METRICS).exists():
            finish(run, gather(out / name, run.folds), out / name)
        found[name] = Retrained(read_classifier_metrics(out / name), "")
    return found


def small(config: ClassifierConfig, name: str, table: pd.DataFrame) -> ClassifierConfig:
    """The run's network on small pictures of a variant's view, for 400 steps or three rounds of the films."""
    shown = {"cut": False, "crop": False, "equalize": "none", "pool": "all", "blackout": False, "rectangle": 0.0}
    size = {"film_size": _FILM_SIDE, "input_size": _SIDE}
    view = config.view.model_copy(update=shown | size | _VIEWS.get(name, {}))
    epochs = max(3, ceil(_STEPS * _LEARNING["batch_size"] / len(table)))
    optimization = config.optimization.model_copy(update={**_LEARNING, "epochs": epochs, "keep": "last"})
    draws = None if config.balance_power is None else min(len(table), _MOST_DRAWS)
    update = {"name": name, "view": view, "optimization": optimization, "images_per_epoch": draws}
    update |= {"teacher": (), "opacity_loss": 0.0, "hard_negatives": 1.0, "stride": 32}
    update |= {"augment": _AUGMENT, "source_head": TAUGHT.get(name, 0.0)}
    return ClassifierConfig.model_validate(config.model_copy(update=update).model_dump())


def _folds_of(study: Study, name: str) -> pd.DataFrame:
    """The study's own folds, without external films; of the last variant a fold a source."""
    folds = read_folds(study)
    inside = folds[folds["fold"].isin(fold_names(folds))].reset_index(drop=True)
    return make_folds(inside, FoldSettings(by="source")) if name == SOURCES else inside


def _named(job: Job, name: str) -> Job:
    return replace(job, name=f"{name}, {job.name}")
