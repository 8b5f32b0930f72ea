"""`lunglens crossval severity`: out-of-fold Brixia scores of every scored film, beside how well two readers agree."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich.console import Console

from lunglens.evaluate.brixia import READERS, zone_agreement
from lunglens.evaluate.figures.severity import grades_figure, sums_figure
from lunglens.evaluate.figures.style import save_svg
from lunglens.evaluate.run_record import METRICS
from lunglens.evaluate.severity import Scores, agreement, half_width, measures, readers_agreement
from lunglens.files import save_csv, write_json
from lunglens.film.severity import ZONES
from lunglens.jobs import Job
from lunglens.study.folds import FoldSettings, fold_names, make_folds, training_rows
from lunglens.train.crossval.run_folder import Runner, describe, run_folds
from lunglens.train.severity.bsnet_fold import BsnetSettings
from lunglens.train.severity.features import zone_features
from lunglens.train.severity.films import ScoredFilms, scored_films
from lunglens.train.severity.zones import predict_fold, shipped_settings

CACHE = "cache"


@dataclass(frozen=True)
class SeveritySettings:
    """system: "zones" (ImageNet features of the zones) or "bsnet". repeats: how often the folds are drawn anew."""

    system: Literal["zones", "bsnet"] = "zones"
    folds: int = 5
    repeats: int = 1
    seed: int = 0
    bsnet: BsnetSettings = field(default_factory=BsnetSettings)


def crossval_severity(
    data: Path, settings: SeveritySettings, out: Path, runner: Runner, console: Console
) -> dict[str, Any]:
    """Every film scored once a repeat by a model that has not seen its patient; a killed run goes on.

    Args:
        data: folder that holds covid-chestxray-dataset with `brixia-scores.csv` and `covid-severity-scores.csv`.
        settings: how.
        out: the run folder to make.
        runner: runs BS-Net's folds.
        console: for progress.

    Returns:
        the content of `metrics.json`: `readers` (one radiologist against the other), `consensus`, `senior`, `junior`
        (the model of the first repeat against each; see `severity.agreement`), `zones` (whether each film's zones are
        in the radiologists' order: `brixia.zone_agreement`), `within` (`severity.half_width` of all repeats), and
        `ways`: of each way mean and standard deviation over the repeats.
    """
    films = scored_films(data, out / CACHE, console)
    folds = [_folds(films, settings, repeat) for repeat in range(settings.repeats)]
    how = shipped_settings() if settings.system == "zones" else settings.bsnet.model_dump(mode="json")
    content = {"model": settings.system, "data": films.fingerprint, "config": how, "folds": settings.folds}
    describe("severity", content | {"repeats": settings.repeats, "seed": settings.seed}, out)
    answers = _zones(films, folds, settings, out, console) if settings.system == "zones" else {}
    if settings.system == "bsnet":
        answers = _bsnet(films, folds, settings, (data, out), runner, console)
    metrics = _metrics(films, answers, settings)
    save_csv(_predictions(films, folds, answers), out / "predictions.csv")
    write_json(out / METRICS, metrics)
    scored = films.scored
    both = films.readers[:, scored]
    first = next(iter(answers.values()))[0, scored]
    save_svg(out / "figures" / "sums.svg", sums_figure, first, *both, metrics)
    save_svg(out / "figures" / "grades.svg", grades_figure, first, *both)
    return metrics


def _folds(films: ScoredFilms, settings: SeveritySettings, repeat: int) -> pd.DataFrame:
    """Folds by group in which mild, moderate and severe films have their share; films without zone scores are in them
    too, so that nobody of a tested group is learned from.
    """
    sums = pd.Series(films.consensus.sum(axis=1))
    third = pd.qcut(sums, 3, labels=["mild", "moderate", "severe"]).astype(object).fillna("extent alone")
    table = films.table.assign(**{"class": third.to_numpy()})
    return make_folds(table, FoldSettings("patient", settings.folds, seed=settings.seed + repeat))


def _zones(
    films: ScoredFilms, folds: list[pd.DataFrame], settings: SeveritySettings, out: Path, console: Console
) -> dict[str, Scores]:
    """Name of a way -> (repeats, N, 6), the way that ships first."""
    found = zone_features(films, out / CACHE, console)
    answers: dict[str, Scores] = {}
    for repeat, table in enumerate(folds):
        for fold in fold_names(table):
            tested = (table["fold"] == fold).to_numpy()
            train = training_rows(table, fold).to_numpy()
            for name, scores in predict_fold(films, found, train, settings.seed + repeat).items():
                answers.setdefault(name, np.full((len(folds), *scores.shape), np.nan))[repeat, tested] = scores[tested]
    return answers


def _bsnet(
    films: ScoredFilms,
    folds: list[pd.DataFrame],
    settings: SeveritySettings,
    places: tuple[Path, Path],
    runner: Runner,
    console: Console,
) -> dict[str, Scores]:
    """BS-Net's folds as jobs."""
    data, out = places
    shared: dict[str, Any] = {
        "data": str(data.resolve()),
        "cache": str((out / CACHE).resolve()),
        "films": films.fingerprint,
    }
    shared |= {"settings": settings.bsnet.model_dump(mode="json")}
    jobs = []
    for repeat, table in enumerate(folds):
        for fold in fold_names(table):
            tested = np.flatnonzero((table["fold"] == fold).to_numpy() & films.scored).tolist()
            train = np.flatnonzero(training_rows(table, fold).to_numpy() & films.scored).tolist()
            what = shared | {"train": train, "test": tested, "seed": settings.seed + repeat}
            folder = out / "folds" / f"{repeat}-{fold}"
            target = "lunglens.train.severity.bsnet_fold:run_fold"
            jobs.append(Job(f"repeat {repeat}, fold {fold}", folder, target, what, settings.bsnet.epochs))
    run_folds(jobs, runner, console)
    found = np.full((len(folds), *films.consensus.shape), np.nan)
    for number, job in enumerate(jobs):
        found[number // settings.folds, job.arguments["test"]] = np.load(job.folder / "scores.npy")
    return {"bsnet": found}


def _metrics(films: ScoredFilms, answers: Mapping[str, Scores], settings: SeveritySettings) -> dict[str, Any]:
    scored = films.scored
    truth, groups, (senior, junior) = films.consensus[scored], films.groups[scored], films.readers[:, scored]
    ours = next(iter(answers.values()))[:, scored]
    against = {"consensus": truth, "senior": senior, "junior": junior}
    repeated = np.broadcast_to(truth, ours.shape)
    within = half_width(ours.reshape(-1, len(ZONES)), repeated.reshape(-1, len(ZONES)))
    return {
        "settings": asdict(settings) | {"bsnet": settings.bsnet.model_dump(mode="json")},
        "readers": readers_agreement(senior, junior, groups, settings.seed),
        **{name: agreement(ours[0], other, groups, settings.seed) for name, other in against.items()},
        "zones": zone_agreement(ours[0], truth, groups, settings.seed),
        "within": round(within, 3),
        "ways": {name: _over_repeats(scores[:, scored], truth) for name, scores in answers.items()},
    }


def _over_repeats(scores: Scores, truth: Scores) -> dict[str, float]:
    """Mean over the repeats of what `measures` says, and the standard deviation of the correlation."""
    found = [measures(each, truth) for each in scores]
    means = {
        name: float(np.mean([one[name] for one in found])) for name in ("pearson", "spearman", "zone_mae", "sum_mae")
    }
    spread = {"pearson_sd": float(np.std([one["pearson"] for one in found]))}
    return {name: round(value, 4) for name, value in (means | spread).items()}


def _predictions(films: ScoredFilms, folds: list[pd.DataFrame], answers: Mapping[str, Scores]) -> pd.DataFrame:
    """A row a film, repeat and way: fold, the zones' scores out of fold, and what both radiologists gave."""
    kept = [f"{reader}-{zone}" for reader in READERS for zone in ZONES]
    about = films.table[["image_id", "group_id", *kept]]
    parts = [
        about.assign(
            repeat=repeat, way=way, fold=table["fold"].to_numpy(), **dict(zip(ZONES, scores[repeat].T, strict=True))
        )
        for way, scores in answers.items()
        for repeat, table in enumerate(folds)
    ]
    return pd.concat(part[films.scored] for part in parts).round(4)
