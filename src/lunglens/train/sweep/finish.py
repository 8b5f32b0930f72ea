"""The last job of a run in a sweep: it puts the folds together once they are all there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lunglens.evaluate.run_record import RUN, ClassifierRun, StudyName
from lunglens.files import read_record
from lunglens.jobs import Job
from lunglens.train.crossval.classifier import UNSEEN, finish
from lunglens.train.crossval.run_folder import gather


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
    finish(about, pd.concat(tables, ignore_index=True), out)
