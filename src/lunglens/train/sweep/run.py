"""All folds, tests and sums of a sweep's runs as one queue of jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from lunglens.errors import ConfigurationError, DataError, LungLensError
from lunglens.evaluate.run_record import METRICS, ClassifierRun
from lunglens.jobs import Job, JobResult, is_finished
from lunglens.study.config.sweep import Sweep, SweepRun
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import Study, load_study
from lunglens.study.folds import fold_names, read_folds
from lunglens.study.report.systems.page import write_systems_report
from lunglens.text import readable
from lunglens.train.crossval.classifier import UNSEEN, assert_unseen, begin, jobs_of, named, tests_of
from lunglens.train.crossval.run_folder import FoldsFailedError, Runner
from lunglens.train.sweep.finish import finish_job
from lunglens.train.sweep.record import write_swept
from lunglens.train.views import share_views

_VIEWS = "views"


def run_sweep(sweep: Sweep, out: Path, runner: Runner, console: Console) -> str:
    """Do every run of a sweep; what is finished is not done again, and what fails stops nothing else.

    Args:
        sweep: what to do.
        out: gets a run folder `<study>/<system>-<input>` a combination, `-s<seed>` behind it where seeds are given, and
            the table of what is finished (`systems.html` and others).
        runner: runs the jobs of all runs, those of the first run first.
        console: for progress.

    Returns:
        how many runs the table has, in words.

    Raises:
        FoldsFailedError: some runs could not begin or are not finished; all others are.
        OutputError: a folder cannot be written, or another runner is at work in it.
    """
    write_swept(sweep, out)
    queue: list[Job] = []
    problems: list[str] = []
    for run in sweep.runs():
        console.print(f"{run.folder}: preparing", markup=False, highlight=False)
        try:
            queue += _prepared(run, out)
        except LungLensError as error:
            problems.append(f"{run.folder}: {error}")
            console.print(readable(problems[-1]), soft_wrap=True, markup=False, highlight=False)
    problems += _problems(runner(queue, console))
    said = write_systems_report(out, out) if any(out.glob(f"*/*/{METRICS}")) else ""
    if problems:
        raise FoldsFailedError(f"{len(problems)} jobs failed: {'; '.join(problems)}. Run the same command again")
    return said


def commands(sweep: Sweep, out: Path) -> Iterator[str]:
    """A line for a shell for every fold of every run, as tasks of a cluster; `run_sweep` then puts all together.

    Raises:
        ConfigurationError, DataError: a configuration or a study is not what it should be.
    """
    for run in sweep.runs():
        run.load()
        if run.folds:
            raise ConfigurationError(f"folds of study {run.study}: a task a fold makes whole runs; leave them out")
        for fold in fold_names(read_folds(load_study(run.data))):
            yield run.command(out, fold)


def _prepared(run: SweepRun, out: Path) -> list[Job]:
    """Begin a run, or go on with it: the jobs of its folds, of the unseen films, and the one that puts all together."""
    folder, config, quiet = out / run.folder, run.load().classifier, Console(quiet=True)
    study = load_study(run.data)
    unseen = None if run.test is None else load_study(run.test)
    if unseen is not None:
        assert_unseen(study, unseen)
    table = read_folds(study)
    share_views(study, list(table["image_id"]), config.view, out / _VIEWS, folder)
    about = begin(study, config, folder, table, _folds(run, table), quiet)
    jobs = [*jobs_of(about, folder), *_tests(unseen, about, folder, out / _VIEWS)]
    jobs.append(finish_job(about, None if unseen is None else named(unseen), folder, jobs))
    return [replace(job, name=f"{run.folder} {job.name}") for job in jobs]


def _folds(run: SweepRun, table: pd.DataFrame) -> list[str]:
    """The folds to train.

    Raises:
        DataError: the study has no such fold.
    """
    folds = fold_names(table)
    if unknown := set(run.folds) - set(folds):
        raise DataError(f"{run.data}: has no fold {', '.join(sorted(unknown))}; it has {', '.join(folds)}")
    return list(run.folds) or folds


def _tests(unseen: Study | None, run: ClassifierRun, folder: Path, store: Path) -> list[Job]:
    if unseen is None:
        return []
    view = ClassifierConfig.of_run(run.config).view
    share_views(unseen, list(unseen.table["image_id"]), view, store, folder / UNSEEN)
    return tests_of(unseen, run, folder)


def _problems(outcomes: Sequence[JobResult]) -> list[str]:
    """What failed by itself, and not because another job had."""
    return [
        f"{outcome.job.name}: {outcome.error} (see {outcome.job.log})"
        for outcome in outcomes
        if outcome.state == "failed" and all(map(is_finished, outcome.job.after))
    ]
