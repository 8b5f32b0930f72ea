"""`lunglens export`: a finished run of a classifier -> a model package with its card."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.torch import save_file

from lunglens.errors import DataError
from lunglens.evaluate.abstention import PROMISED, coverage_rows, possible_from
from lunglens.evaluate.classification import external_tables, measures
from lunglens.evaluate.opacity import PROBABILITY, known_opacity, opacity_measures
from lunglens.evaluate.operating_point import chosen_threshold, false_alarms, operating_points
from lunglens.evaluate.predictions import EXTERNAL, cross_validated, read_predictions
from lunglens.evaluate.purposes import purpose_rows
from lunglens.evaluate.recalibration import calibration_of, recalibrated
from lunglens.evaluate.run_record import ClassifierRun, read_classifier_run
from lunglens.files import write_atomically, write_bytes
from lunglens.film.drift import PARTS
from lunglens.film.model_package.package import load_package
from lunglens.film.model_package.record import (
    Abstention,
    AnswerClass,
    AnswerSettings,
    ClassifierParameters,
    OpacitySettings,
)
from lunglens.study.before_covid import before_covid
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.card import card
from lunglens.train.crossval.classifier import FILMS, PREDICTIONS, SOURCES, VALIDATION, outputs_of
from lunglens.train.crossval.run_folder import gather
from lunglens.train.export import CARD, FittedGraph, export_package
from lunglens.train.familiarity import familiarity_of
from lunglens.train.model import graph_of, load_model
from lunglens.train.networks.classifier import ClassifierGraph
from lunglens.train.networks.weights import WEIGHTS
from lunglens.train.provenance import today

_NEAR = 0.98  # share of held-out films that count as near to those of the training


@dataclass(frozen=True, eq=False)
class _Exported:
    """What is exported of a run: the folds whose models are the members, and the films that they are measured on.

    predictions: of films that no member, or (of an ensemble) not the member that predicted them, was trained on.
    """

    run: ClassifierRun
    folds: list[str]
    films: pd.DataFrame
    sources: pd.DataFrame
    predictions: pd.DataFrame

    @property
    def measured_on(self) -> str:
        """What the predictions are of, in words."""
        if self.folds == [VALIDATION]:
            return "validation patients, who choose the threshold and, where the best is kept, the epoch: they flatter"
        if len(self.folds) == 1:
            return f"the films of fold {self.folds[0]}, which this model has not seen"
        return "all films out of fold, each by the members that have not seen its patient"

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Words -> rows of predictions: all that was held out, of each source, and what was never trained on."""
        inside = cross_validated(self.predictions)
        words = VALIDATION if self.folds == [VALIDATION] else "out of fold"
        sources = {f"{words}, {source}": rows for source, rows in inside.groupby("source", sort=True)}
        found = {words: inside} | (sources if len(sources) > 1 else {})
        unseen = external_tables(self.predictions[self.predictions["fold"] == EXTERNAL], self.run.classes)
        return found | {f"never trained on: {films}": rows for films, rows in unseen.items()}

    @property
    def opacity(self) -> dict[str, Any] | None:
        """What the second answer is worth, on the same films as far as they are known; None where there is none."""
        if PROBABILITY not in self.predictions:
            return None
        inside = next(iter(self.tables))  # "out of fold" or the validation: its films choose the threshold
        tables = {
            words: known_opacity(rows, self.films)
            for words, rows in self.tables.items()
            if words.startswith(inside) or " of " not in words
        }
        return opacity_measures(tables, self.run.seed)


def export_run(run: Path, folder: Path, *, fold: str | None = None, ensemble: bool = False) -> None:
    """Write the package.

    Args:
        run: folder of `fit`, or of `crossval classifier`.
        folder: the package to make; a card in it is replaced.
        fold: of a cross-validation, whose model to take.
        ensemble: of a cross-validation, take the models of all folds and answer with their mean probability.

    Raises:
        DataError: the run is not finished, or it holds several models and none was chosen.
        ModelPackageError: the graph does not agree with torch.
    """
    exported = _read(run, fold, ensemble)
    about, classes = exported.run, exported.run.classes
    config = ClassifierConfig.of_run(about.config)
    folds = [run / "folds" / name for name in exported.folds]
    models = [load_model(config, fold, outputs_of(classes)) for fold in folds]
    familiar, distances = familiarity_of(run, exported.films, exported.folds, models, classes, config.view)
    graph = graph_of(models, familiar)
    files = _save_weights(graph, folder)
    exported, answer = _settled(exported, round(float(np.quantile(distances, _NEAR)), 4) if len(distances) else None)
    threshold = answer.threshold
    tables = {words: rows for words, rows in exported.tables.items() if len(rows)}
    opacity = exported.opacity
    metrics = {words: measures(rows, classes, about.seed).to_json() for words, rows in tables.items()}
    rows = [] if threshold is None else operating_points(tables, classes, threshold, about.seed)
    export_package(
        graph,
        folder,
        name=_name(about, config, len(folds)),
        input_size=config.view.input_size,
        parameters=ClassifierParameters(
            postprocess=about.postprocess,
            view=config.view,
            answer=answer,
            opacity=None if opacity is None else OpacitySettings(threshold=opacity["threshold"]),
        ),
        provenance={
            "date": today(),
            "run": about.model_dump(include={"date", "seed", "versions", "hardware"}),
            "folds": exported.folds,
            "images": _counts(exported.films),
            "config": config.model_dump(mode="json"),
            **({"averaged": about.averaged} if about.averaged else {}),
            "metrics": metrics,
            **({} if opacity is None else {"opacity": opacity}),
            **({} if threshold is None else _beside(exported, threshold)),
            **_coverage(exported, answer),
        },
        files=files,
        origin={
            "pretrained": config.pretrained,
            "data": about.study.to_json(),
            "members": len(folds),
            **({"averaged": len(about.averaged)} if about.averaged else {}),
        },
        measured={"on": exported.measured_on, "rows": rows},
        reference=_reference(exported, distances),
    )
    package = load_package(folder, "classification")
    text = card(package.record, exported.films, exported.sources, has_heat="heat" in graph.outputs)
    write_bytes(folder / CARD, text.encode())


def _beside(exported: _Exported, threshold: float) -> dict[str, Any]:
    """Of two classes: thresholds for purposes, and how often films from before COVID-19 are called so."""
    classes, seed = exported.run.classes, exported.run.seed
    return {
        "purposes": purpose_rows(exported.predictions, classes, seed),
        "false_alarms": false_alarms(before_covid(exported.predictions, classes), classes, threshold, seed),
    }


def _coverage(exported: _Exported, answer: AnswerSettings) -> dict[str, Any]:
    """How often a film's class is among those held possible; on own films flattered, for these have set the limits."""
    if answer.abstention is None:
        return {}
    least, classes = answer.abstention.possible_from, exported.run.classes
    return {"coverage": coverage_rows(exported.tables, classes, least, exported.run.seed)}


def _reference(exported: _Exported, distances: NDArray[np.float64]) -> dict[str, Any]:
    """By which `lunglens watch` tells drift: every number that is given for a film, on those held out."""
    names = [f"p_{name}" for name in exported.run.classes]
    numbers = {name: cross_validated(exported.predictions)[name].to_numpy(float) for name in names}
    numbers |= {"distance": distances} if len(distances) else {}
    tenths = np.arange(1, PARTS) / PARTS
    return {
        name: {"n": len(values), "deciles": np.quantile(values, tenths).round(6).tolist()}
        for name, values in numbers.items()
    }


def _settled(exported: _Exported, far_above: float | None) -> tuple[_Exported, AnswerSettings]:
    """How it answers, fitted on films that it has not seen, and the same run with its probabilities calibrated so."""
    classes, held_out = exported.run.classes, cross_validated(exported.predictions)
    answer = AnswerSettings(
        activation="sigmoid" if len(classes) == 2 else "softmax",
        classes=[AnswerClass(name=name) for name in classes],
        threshold=chosen_threshold(held_out, classes) if len(classes) == 2 else None,
    )
    if (calibration := calibration_of(held_out, classes)) is None:
        return exported, answer
    answer = answer.model_copy(update={"calibration": calibration})
    exported = replace(exported, predictions=recalibrated(exported.predictions, classes, calibration))
    held_out = cross_validated(exported.predictions)
    least = possible_from(held_out, classes)
    abstention = None if least is None else Abstention(promised=PROMISED, possible_from=least, far_above=far_above)
    threshold = None if answer.threshold is None else chosen_threshold(held_out, classes)
    return exported, answer.model_copy(update={"abstention": abstention, "threshold": threshold})


def _read(run: Path, fold: str | None, ensemble: bool) -> _Exported:
    about = read_classifier_run(run)
    folds = about.folds
    if ensemble == (fold is not None) and len(folds) > 1:
        raise DataError(f"{run}: holds {len(folds)} models: give --fold, one of {', '.join(folds)}, or --ensemble")
    if fold is not None and fold not in folds:
        raise DataError(f"{run}: has no fold {fold}; it has {', '.join(folds)}")
    films = pd.read_csv(run / FILMS, dtype=str, keep_default_na=False)
    path = run / SOURCES
    sources = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame(columns=["source"])
    if fold is None:
        return _Exported(about, folds, films, sources, read_predictions(run / PREDICTIONS, about.classes))
    return _Exported(about, [fold], films, sources, gather(run, [fold]))


def _save_weights(graph: ClassifierGraph | FittedGraph, folder: Path) -> list[str]:
    """The weights of a single network, for others to start from: in the graph they are folded together."""
    (folder / WEIGHTS).unlink(missing_ok=True)
    if not isinstance(graph, ClassifierGraph) or len(graph.members) > 1:
        return []
    state = {name: value.contiguous() for name, value in graph.members[0].state_dict().items()}
    write_atomically(folder / WEIGHTS, lambda path: save_file(state, path))
    return [WEIGHTS]


def _name(about: ClassifierRun, config: ClassifierConfig, members: int) -> str:
    """Study, network, size; only letters that a package's name may have."""
    words = f"{about.study.name}-{config.called}-{config.view.input_size}"
    words += f"-x{members}" if members > 1 else ""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in words).strip("-")
    return plain[:100] or "classifier"


def _counts(films: pd.DataFrame) -> dict[str, int]:
    counts = (films["source"] + " " + films["class"] + " fold " + films["fold"]).value_counts().sort_index()
    return {str(key): int(count) for key, count in counts.items()}
