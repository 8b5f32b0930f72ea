"""The audited run's own models: what each fold's says of films, and the features it says it from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.evaluate.predictions import groups_of
from lunglens.evaluate.run_record import ClassifierRun, read_classifier_run
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import Study
from lunglens.train.classifier import ClassifierTraining
from lunglens.train.crossval.classifier import FILMS, VALIDATION, outputs_of
from lunglens.train.familiarity import network_features
from lunglens.train.model import Model, load_model
from lunglens.train.views import Views, read_views


@dataclass(frozen=True, eq=False)
class AuditedRun:
    """A finished cross-validation of a study.

    table: its films that were tested out of fold, with `row`, their place in the run's views.
    """

    folder: Path
    about: ClassifierRun
    config: ClassifierConfig
    table: pd.DataFrame

    @property
    def target(self) -> NDArray[np.int64]:
        """(N,) number of each film's class."""
        return self.table["class"].map(self.about.classes.index).to_numpy(np.int64)

    @property
    def folds(self) -> NDArray[Any]:
        """(N,) name of the fold that tested each film."""
        return self.table["fold"].to_numpy(str)

    @property
    def groups(self) -> NDArray[Any]:
        """(N,) whose film each is."""
        return groups_of(self.table)

    def models(self) -> Iterator[tuple[Model, NDArray[np.int64]]]:
        """Fold after fold: its model, and the places in `table` of the films that it was tested on."""
        for fold in self.about.folds:
            model = load_model(self.config, self.folder / "folds" / fold, outputs_of(self.about.classes))
            yield model, np.flatnonzero(self.folds == fold)


def read_audited(folder: Path, study: Study) -> AuditedRun:
    """Read a run folder.

    Raises:
        DataError: it is no finished cross-validation of this study.
    """
    about = read_classifier_run(folder)
    if about.folds == [VALIDATION]:
        raise DataError(
            f"{folder}: is no cross-validation: its films were trained on; give a run of crossval classifier"
        )
    if about.study.fingerprint != study.fingerprint:
        raise DataError(f"{folder}: is a run on another study than {study.folder}")
    table = pd.read_csv(folder / FILMS, dtype=str, keep_default_na=False)
    table["row"] = np.arange(len(table))
    tested = table[table["fold"].isin(about.folds)].reset_index(drop=True)
    return AuditedRun(folder, about, ClassifierConfig.of_run(about.config), tested)


def first_class(model: Model, views: Views, rows: Sequence[int]) -> NDArray[np.float64]:
    """(N,) probability of the first class."""
    scores = np.asarray(model.predict(views, np.asarray(rows)), np.float64)
    return scores if scores.ndim == 1 else scores[:, 0]


def features_of(run: AuditedRun) -> NDArray[np.float64] | None:
    """(N, C) pooled features of every film by its own fold's network; None of a system without a network.

    Features of two folds' networks have nothing to do with each other: they are to be compared within a fold only.
    """
    views, found = read_views(run.folder), list[NDArray[np.float64]]()
    places: list[NDArray[np.int64]] = []
    for model, at in run.models():
        if not isinstance(model, ClassifierTraining):
            return None
        rows = run.table["row"].to_numpy(np.int64)[at]
        found.append(network_features(model, views, rows.tolist(), run.config.view))
        places.append(at)
    order = np.argsort(np.concatenate(places))
    return np.asarray(np.concatenate(found)[order], np.float64)
