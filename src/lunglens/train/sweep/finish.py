"""The last job of a run in a sweep: it puts the folds together once they are all there."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from lunglens.evaluate.run_record import RUN, ClassifierRun, StudyName
from lunglens.files import read_record
from lunglens.jobs import Job
from lunglens.jobs.job import RESULT, read_status
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.crossval.classifier import UNSEEN, finish
from lunglens.train.crossval.run_folder import gather
from lunglens.train.systems import FITTED


def finish_job(run: ClassifierRun, unseen: StudyName | None, out: Path, jobs: Sequence[Job]) -> Job:
    """The job that comes after all others of a run: predictions, measures, costs, figures."""
    tested = None if unseen is None else unseen.to_json()
    arguments = {"run": str(out.resolve()), "study": run.study.fingerprint, "config": run.config, "unseen": tested}
    folder = out / "finish" if unseen is None else out / UNSEEN / "finish"
    return Job("finish", folder, f"{__name__}:finish_run", arguments, after=tuple(job.folder for job in jobs))


def finish_run(folder: Path, run: str, unseen: dict[str, Any] | None, config: Any, study: str) -> None:  # noqa: ARG001
    """Gather the folds' tables of a run, and of its unseen films, and finish it, in a process of its own."""
    out = Path(run)
    about = read_record(out / RUN, ClassifierRun, "start the sweep again")
    tables = [gather(out, about.folds)]
    if unseen is not None:
        tables.append(gather(out / UNSEEN, about.folds))
        about = about.model_copy(update={"unseen": StudyName.model_validate(unseen)})
    finish(about.model_copy(update=_spent(about, out)), pd.concat(tables, ignore_index=True), out)


def _spent(run: ClassifierRun, out: Path) -> dict[str, float | None]:
    """Mean over the folds of the films drawn and of the seconds; a fold that was interrupted tells no time."""
    folds = [out / "folds" / fold for fold in run.folds]
    films = [json.loads((fold / RESULT).read_text(encoding="utf-8"))["train"] for fold in folds]
    statuses = [read_status(fold) for fold in folds]
    seconds = [status.seconds() for status in statuses if status.attempt == 1]
    known = [one for one in seconds if one is not None]
    config = ClassifierConfig.of_run(run.config)
    return {
        "draws": round(fmean(_draws(config, n) for n in films)),
        "train_seconds": round(fmean(known), 1) if known else None,
    }


def _draws(config: ClassifierConfig, films: int) -> int:
    """How many films a training draws; what is fitted without a network sees each once."""
    if config.network in FITTED:
        return films
    drawn = films if config.balance_power is None else config.images_per_epoch or films
    batch = config.optimization.batch_size
    return drawn // batch * batch * config.optimization.epochs
