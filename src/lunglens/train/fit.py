"""`lunglens fit`: one classifier on all training films of a study."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.run_record import ClassifierMetrics
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import Study
from lunglens.study.folds import COLUMNS, read_folds
from lunglens.train.crossval.classifier import VALIDATION, begin, finish, jobs_of
from lunglens.train.crossval.run_folder import Runner, gather, run_folds


def fit_classifier(
    study: Study, config: ClassifierConfig, out: Path, runner: Runner, console: Console
) -> ClassifierMetrics:
    """Train one classifier; a killed run goes on.

    Args:
        study: with `folds.csv` its external films are not trained on, but predicted; without, all films are trained on.
        config: model, view, augmentation and optimization.
        out: the run folder to make: as a cross-validation's, of one fold that is called "validation": a tenth of the
            patients of each class, who do not train but choose the weights to keep. Their measures flatter.
        runner: runs the job.
        console: for progress.

    Returns:
        the content of `metrics.json`.

    Raises:
        DataError: a film has no patient.
        FoldsFailedError: the training failed.
        OutputError: the folder holds another run.
    """
    run = begin(study, config, out, folded_films(study), [VALIDATION], console)
    run_folds(jobs_of(run, out), runner, console)
    return finish(run, gather(out, [VALIDATION]), out)


def folded_films(study: Study) -> pd.DataFrame:
    """A study's films with their folds; without `folds.csv` all are of fold 0.

    Raises:
        DataError: a film has no patient.
    """
    if (study.folder / "folds.csv").exists():
        return read_folds(study)
    if unknown := int((study.table["group_id"] == "").sum()):
        raise DataError(
            f"{study.folder}: {unknown} films have no patient; say first what they are: lunglens folds "
            f"{study.folder} --missing-patient leave-out or one-film-one-patient"
        )
    return study.table.assign(fold="0")[COLUMNS]
