"""Several arms that answer together, as a run that `measure_arms.py` measures beside them.

    python tools/join_arms.py ARM... --by answers --out ARM

ARM: folder of a run that trained one fold; all with the same study, fold and seed. By `answers` the answer is the mean
of their answers, whatever their networks; by `mirrored` the mean over each film and its mirror image besides. One
network of their mean weights: `lunglens average`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.run_record import METRICS, RUN, ClassifierRun, read_classifier_run
from lunglens.files import save_csv, write_json
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import ClassifierTraining, load_trained
from lunglens.train.crossval.classifier import FILMS, PREDICTIONS, VALIDATED, outputs_of
from lunglens.train.views import Views, read_views


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", type=Path, nargs="+", metavar="ARM")
    parser.add_argument("--by", choices=("answers", "mirrored"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arms, by, out = arguments.arms, arguments.by, arguments.out
    abouts = [read_classifier_run(arm) for arm in arms]
    about = one_of(abouts)
    fold = Path("folds", about.folds[0])
    others: list[pd.Series] = []
    if by == "mirrored":
        others = [answers_mirrored(*of_arm) for of_arm in zip(arms, abouts, strict=True)]
    for name, to in ((PREDICTIONS, out / PREDICTIONS), (VALIDATED, out / fold / VALIDATED)):
        tables = [read_predictions(arm / fold / name, about.classes) for arm in arms]
        found = [answered(tables[0], answers) for answers in others]
        save_csv(mean_of([*tables, *found]), to)
    metrics = metrics_of(read_predictions(out / PREDICTIONS, about.classes), about.classes, about.seed)
    write_json(out / METRICS, metrics.to_json())
    write_json(out / RUN, about.model_copy(update=costs(arms, abouts, by)).to_json())


def one_of(abouts: Sequence[ClassifierRun]) -> ClassifierRun:
    """The first of the runs, which are of one study, one fold and one seed; raises DataError where they are not."""
    about = abouts[0]
    if len(about.folds) != 1 or any(
        (a.study, a.folds, a.seed) != (about.study, about.folds, about.seed) for a in abouts
    ):
        raise DataError("these arms are not of one study, one fold and one seed")
    return about


def costs(arms: Sequence[Path], abouts: Sequence[ClassifierRun], by: str) -> dict[str, object]:
    """What all of them together are called and take."""
    found: dict[str, object] = {"model": f"mean by {by}: {', '.join(arm.name for arm in arms)}"}
    for name in ("draws", "train_seconds"):
        known = [getattr(about, name) for about in abouts]
        found[name] = None if None in known else sum(known)
    found["gflops"] = sum(about.gflops or 0 for about in abouts) * (2 if by == "mirrored" else 1)
    return found


def mean_of(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The films' mean probabilities; raises DataError if the tables are not of the same films."""
    films = tables[0]["image_id"]
    if any(not table["image_id"].equals(films) for table in tables):
        raise DataError("these arms did not answer the same films")
    columns = [name for name in tables[0] if name.startswith("p_")]
    return tables[0].assign(**{name: np.mean([table[name] for table in tables], axis=0) for name in columns})


def answered(films: pd.DataFrame, answers: "pd.Series[float]") -> pd.DataFrame:
    """The films with other answers for the first of two classes."""
    first, second = (name for name in films if name.startswith("p_"))
    found = answers.loc[films["image_id"]].to_numpy()
    return films.assign(**{first: found, second: 1 - found})


def trained(arm: Path, about: ClassifierRun) -> ClassifierTraining:
    """The network that an arm has trained."""
    config = ClassifierConfig.of_run(about.config)
    return load_trained(config, arm / "folds" / about.folds[0], outputs_of(about.classes))


def films_of(arm: Path) -> pd.DataFrame:
    """The films of an arm, in the order of its views."""
    return pd.read_csv(arm / FILMS, dtype=str, keep_default_na=False)


def answers_mirrored(arm: Path, about: ClassifierRun) -> "pd.Series[float]":
    """image_id -> probability of the first of two classes of the film's mirror image."""
    films, seen = films_of(arm), read_views(arm)
    mirrored = Views(seen.images[..., ::-1], seen.masks[..., ::-1])
    return pd.Series(trained(arm, about).predict(mirrored, np.arange(len(films))), index=films["image_id"])


if __name__ == "__main__":
    main()
