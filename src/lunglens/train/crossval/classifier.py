"""`lunglens crossval classifier` (algorithm 2 of the paper) over a curated study and its folds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray
from rich.console import Console

from lunglens.errors import ConfigurationError, DataError, OutputError
from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.figures import table6, write_figures
from lunglens.evaluate.opacity import PROBABILITY
from lunglens.evaluate.predictions import EXTERNAL, mean_predictions, read_predictions
from lunglens.evaluate.run_record import METRICS, RUN, ClassifierMetrics, ClassifierRun, StudyName, read_run
from lunglens.files import save_csv, write_json
from lunglens.film.parameters import Postprocess
from lunglens.jobs import Job, is_finished
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import Study
from lunglens.study.folds import fold_names, parts_of, read_folds
from lunglens.study.opacity import opacity_of
from lunglens.train.classifier import ClassifierTraining
from lunglens.train.crossval.run_folder import Runner, describe, gather, run_folds
from lunglens.train.guard import assert_no_copies
from lunglens.train.loop import lighten
from lunglens.train.model import Model, assert_can_train, load_model, train_model
from lunglens.train.precision import settled
from lunglens.train.views import Views, read_views, write_views

FILMS = "films.csv"
SOURCES = "sources.csv"
PREDICTIONS = "predictions.csv"
VALIDATED = "validation.csv"  # of a fold
UNSEEN = "unseen"
VALIDATION = "validation"


def crossval_classifier(
    study: Study,
    config: ClassifierConfig,
    out: Path,
    runner: Runner,
    console: Console,
    unseen: Study | None = None,
    only: str | None = None,
) -> ClassifierMetrics | None:
    """Train and test a classifier on every fold of a study; a killed run goes on, finished folds are not run again.

    Args:
        study: with its `folds.csv`.
        config: model, view, augmentation and optimization; its sources, cut and quality threshold are the study's own.
        out: the run folder to make.
        runner: runs the folds' jobs.
        console: for progress.
        unseen: a study of the same classes that was curated apart from this one; every fold's model is tested on it.
        only: train this fold alone; whoever finishes the last fold puts all together.

    Returns:
        the content of `metrics.json`; None while folds are missing.

    Raises:
        DataError: the study has no folds, or the unseen study is not apart from it.
        FoldsFailedError: some folds failed.
        OutputError: the folder holds another run, or is in use.
    """
    if unseen is not None:
        assert_unseen(study, unseen)
    table = read_folds(study)
    folds = fold_names(table)
    if only not in (None, *folds):
        raise DataError(f"{study.folder}: has no fold {only}; it has {', '.join(folds)}")
    run = begin(study, config, out, table, folds, console)
    jobs = jobs_of(run, out)
    run_folds([job for job in jobs if only is None or job.folder.name == only], runner, console)
    if any(not is_finished(job.folder) for job in jobs):
        return None
    tables = [gather(out, run.folds)]
    if unseen is not None:
        run_folds(tests_of(unseen, run, out), runner, console)
        tables.append(gather(out / UNSEEN, run.folds))
        run = run.model_copy(update={"unseen": named(unseen)})
    return finish(run, pd.concat(tables, ignore_index=True), out)


def begin(
    study: Study, config: ClassifierConfig, out: Path, table: pd.DataFrame, folds: list[str], console: Console
) -> ClassifierRun:
    """Make a run folder, or go on with the same run: its films, its views, and `run.json`, whose content it returns."""
    if not (out / RUN).exists():
        assert_can_train(config, outputs_of(study.classes))
    table = _with_what_is_taught(table, study, config)
    config = settled(config, out / RUN, console)
    content = {
        "model": config.called,
        "study": named(study).to_json(),
        "classes": study.classes,
        "cut": config.view.cut,
        "config": config.model_dump(mode="json"),
        "folds": folds,
        "seed": config.optimization.seed,
    }
    if study.record.postprocess != Postprocess():
        content["postprocess"] = study.record.postprocess.model_dump()
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / ".begin.lock"):  # folds that are tasks of a cluster begin together
        described = describe("classifier", content, out, ClassifierConfig.of_run)
        run = {name: value for name, value in described.items() if name != "unseen"}
        _assert_same_folds(table, out)
        save_csv(table, out / FILMS)
        save_csv(study.table[["source", "licence", "citation"]].drop_duplicates(), out / SOURCES)
        write_views(study, list(table["image_id"]), config.view, out)
    return ClassifierRun.model_validate(run)


def _with_what_is_taught(table: pd.DataFrame, study: Study, config: ClassifierConfig) -> pd.DataFrame:
    """The films with their `opacity`, and what the teachers say, where the configuration needs them."""
    if config.opacity_loss or config.hard_negatives != 1:
        table = table.assign(opacity=opacity_of(study).loc[table["image_id"]].to_numpy())
    if config.teacher and len(study.classes) != 2:
        raise ConfigurationError(f"teacher: is for two classes; {study.folder} has {', '.join(study.classes)}")
    if config.teacher:
        said = mean_predictions(config.teacher, study.classes)
        table = table.assign(taught=table["image_id"].map(said.map("{:.6f}".format)).fillna(""))
        if (table["taught"] == "").all():
            raise DataError(f"teacher: {', '.join(config.teacher)}: knows no film of {study.folder}")
    return table


def jobs_of(run: ClassifierRun, out: Path) -> list[Job]:
    """A job a fold. Its arguments name the data, so that another study's folds are never taken for these."""
    shared = {"run": str(out.resolve()), "study": run.study.fingerprint, "config": run.config}
    target, epochs = f"{__name__}:run_fold", run.config["optimization"]["epochs"]
    return [Job(f"fold {fold}", out / "folds" / fold, target, shared | {"fold": fold}, epochs) for fold in run.folds]


def finish(run: ClassifierRun, predictions: pd.DataFrame, out: Path) -> ClassifierMetrics:
    """Write the predictions, what they measure, what the network costs, and figures; returns the measures."""
    save_csv(_one_row_an_image(predictions), out / PREDICTIONS)
    metrics = metrics_of(read_predictions(out / PREDICTIONS, run.classes), run.classes, run.seed)
    write_json(out / METRICS, metrics.to_json())
    if not run.is_finished:
        config, outputs = ClassifierConfig.of_run(run.config), outputs_of(run.classes)
        run = run.model_copy(update=load_model(config, out / "folds" / run.folds[0], outputs).cost())
    write_json(out / RUN, run.to_json())
    for fold in run.folds:
        lighten(out / "folds" / fold)
    write_figures(out)
    table6(out)
    return metrics


def run_fold(folder: Path, run: str, fold: str, config: dict[str, Any], study: str) -> dict[str, Any]:  # noqa: ARG001
    """One fold, in a process of its own: train on the others, predict this one and the external films.

    The fold "validation" is none of the study: all films train but the external ones, and the validation films, which
    choose the weights to keep, are predicted in its stead.
    """
    settings = ClassifierConfig.model_validate(config)
    table, views, outputs = (
        films_of_fold(Path(run), fold, settings),
        read_views(Path(run)),
        outputs_of(_classes(Path(run))),
    )
    assert_no_copies(table, views.images)
    model = train_model(table, views, settings, folder, outputs)
    write_answers(model, table, views, folder, _classes(Path(run)))
    return {str(part): int(n) for part, n in table["part"].value_counts().sort_index().items()}


def films_of_fold(run: Path, fold: str, config: ClassifierConfig) -> pd.DataFrame:
    """The films of a run, in the order of its views, with `part` and `target`, as `train_classifier` takes them."""
    table, classes = pd.read_csv(run / FILMS, dtype=str, keep_default_na=False), _classes(run)
    number = table["class"].map(classes.index)
    table["target"] = (number == 0).astype(float) if outputs_of(classes) == 1 else number.astype(float)
    table["part"] = parts_of(table, fold, config.optimization.seed)
    for column in {"opacity", "taught"} & set(table):
        table[column] = pd.to_numeric(table[column])
    return table


def write_answers(model: Model, table: pd.DataFrame, views: Views, folder: Path, classes: list[str]) -> None:
    """What a fold's model answers for its validation films and those tested, into the fold's folder."""
    tested, validated = table["part"] == "test", table["part"] == VALIDATION
    if validated.any():
        save_csv(_predicted(model, views, table, validated, classes), folder / VALIDATED)
    if folder.name == VALIDATION:
        table = table.assign(fold=table["fold"].mask(validated, VALIDATION))
        tested |= validated
    save_csv(_predicted(model, views, table, tested, classes), folder / PREDICTIONS)


def _predicted(model: Model, views: Views, table: pd.DataFrame, chosen: pd.Series, classes: list[str]) -> pd.DataFrame:
    """Answers for the chosen films, with the probability of any opacity where the model tells it."""
    rows = np.flatnonzero(chosen)
    if not isinstance(model, ClassifierTraining):
        return _answers(table[chosen], model.predict(views, rows), classes)
    scores, opacity = model.predict_both(views, rows)
    answers = _answers(table[chosen], scores, classes)
    return answers if np.isnan(opacity).all() else answers.assign(**{PROBABILITY: opacity})


def run_test(folder: Path, run: str, fold: str, config: dict[str, Any], unseen: str) -> int:  # noqa: ARG001
    """The films of an unseen study through the model of one fold, in a process of its own."""
    table = pd.read_csv(Path(run) / UNSEEN / FILMS, dtype=str, keep_default_na=False)
    classes = _classes(Path(run))
    settings = ClassifierConfig.model_validate(config)
    model = load_model(settings, Path(run) / "folds" / fold, outputs_of(classes))
    scores = model.predict(read_views(Path(run) / UNSEEN), np.arange(len(table)))
    save_csv(_answers(table, scores, classes), folder / PREDICTIONS)
    return len(table)


def outputs_of(classes: Sequence[str]) -> int:
    """How many outputs a classifier of these classes has: one for two, else one a class."""
    return 1 if len(classes) == 2 else len(classes)


def _assert_same_folds(table: pd.DataFrame, out: Path) -> None:
    """Folds that were finished must have trained and tested on the films that they are now said to have."""
    path = out / FILMS
    if path.exists() and not pd.read_csv(path, dtype=str, keep_default_na=False).equals(table.reset_index(drop=True)):
        raise OutputError(f"{out}: holds a run on other folds of this study; choose another --out")


def assert_unseen(study: Study, unseen: Study) -> None:
    """Raise DataError unless the models of a study may be tested on another: of its classes, curated apart from it."""
    if set(unseen.classes) - set(study.classes):
        found, wanted = ", ".join(unseen.classes), ", ".join(study.classes)
        raise DataError(f"{unseen.folder}: its classes ({found}) are not those of {study.folder} ({wanted})")
    if unseen.fingerprint not in study.record.apart_from and study.fingerprint not in unseen.record.apart_from:
        raise DataError(
            f"{unseen.folder}: may hold films or patients of {study.folder}; curate it anew with "
            f"--apart-from {study.folder}"
        )


def tests_of(unseen: Study, run: ClassifierRun, out: Path) -> list[Job]:
    """A job a fold, once that is finished: every film of the unseen study through its model."""
    films = unseen.table[["image_id", "class", "source", "group_id"]].assign(fold=EXTERNAL)
    (out / UNSEEN).mkdir(exist_ok=True)
    save_csv(films, out / UNSEEN / FILMS)
    write_views(unseen, list(films["image_id"]), ClassifierConfig.of_run(run.config).view, out / UNSEEN)
    shared = {"run": str(out.resolve()), "config": run.config, "unseen": unseen.fingerprint}
    folder, target = out / UNSEEN / "folds", f"{__name__}:run_test"
    return [
        Job(f"test {fold}", folder / fold, target, shared | {"fold": fold}, after=(out / "folds" / fold,))
        for fold in run.folds
    ]


def named(study: Study) -> StudyName:
    """A study as the records of runs on it name it."""
    return StudyName(name=study.name, fingerprint=study.fingerprint)


def _classes(run: Path) -> list[str]:
    about = read_run(run)
    return about.classes if isinstance(about, ClassifierRun) else []


def _answers(table: pd.DataFrame, scores: NDArray[np.float32], classes: list[str]) -> pd.DataFrame:
    """Rows of films with their probabilities; one output is the probability of the first of two classes."""
    found = table[["image_id", "class", "source", "group_id", "fold"]].reset_index(drop=True)
    columns = (scores, 1 - scores) if scores.ndim == 1 else scores.T
    for name, column in zip(classes, columns, strict=True):
        found[f"p_{name}"] = column
    return found


def _one_row_an_image(table: pd.DataFrame) -> pd.DataFrame:
    """External films have an answer of every fold's model: its mean is theirs."""
    names = ["image_id", "class", "source", "group_id", "fold"]
    return table.groupby(names, sort=False, as_index=False).mean().sort_values("image_id", ignore_index=True)
