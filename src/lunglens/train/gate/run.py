"""`lunglens train gate` and `lunglens evaluate gate`.

The gate's two linear checks are learned from films and from what must be refused, and judged on held-out groups.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from lunglens.files import save_csv, write_json
from lunglens.film.gate.judge import LinearCheck, gate_features
from lunglens.film.gate.look import look_at
from lunglens.film.lungs.segmenter import segment_square
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models, write_description
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Floats, film_square
from lunglens.film.radiograph import read_radiograph
from lunglens.train.gate.films import gate_films
from lunglens.train.gate.negatives import spoiled, synthetic
from lunglens.train.provenance import today

FOLDS = 5
REFUSED_FILMS = 0.01  # share of good films, out of fold, that the frontal check may refuse
FALSE_INVERSIONS = 0.001  # share of good films, out of fold, that may be taken for inverted


def learn_gate(data: Path, lungs: Path, console: Console) -> None:
    """Fit the gate's checks for a lungs package and write them, with out-of-fold rates, into its `package.json`."""
    package = load_package(lungs)
    table = gate_films(data, per_source=600)
    parameters, rates = _fit_gate(_gather(table, package, seed=0), seed=0)
    console.print_json(data=rates)
    fitted = {"gate": {"out_of_fold": rates, "films": len(table)}}
    changes = {
        "parameters": package.description["parameters"] | {"gate": parameters},
        "provenance": package.description.get("provenance", {}) | fitted,
    }
    write_description(lungs, package.description | changes)


def measure_gate(data: Path, lungs: Path, out: Path, per_source: int | None, console: Console) -> None:
    """The whole gate as the analysis applies it, over so many films a source (None: all), into `out/gate.json`."""
    package, orientation = load_package(lungs), load_package(shipped_models() / "orientation")
    table = gate_films(data, per_source)
    table["reason"] = [
        look_at(read_radiograph(Path(path)), package, orientation).gate.reason
        for path in track(table["path"], "judging", console=console)
    ]
    save_csv(table, out / "gate.csv")
    refused = table["reason"].notna()
    by_source = {
        f"{kind} {source}": {"n": len(rows), "refused": round(float(refused[rows.index].mean()), 4)}
        for (kind, source), rows in table.groupby(["kind", "source"])
    }
    overall = {str(kind): round(float(refused[rows.index].mean()), 4) for kind, rows in table.groupby("kind")}
    write_json(out / "gate.json", {"lungs": package.name, "date": today(), "refused": overall, "by_source": by_source})
    console.print_json(data=overall)


@dataclass(frozen=True, eq=False)
class _GateData:
    """Features (N, C) with kind ("film", "inverted", "lateral", "CT", "spoiled", "synthetic") and group of each."""

    features: NDArray[np.float64]
    kind: NDArray[np.str_]
    group: NDArray[np.str_]
    path: NDArray[np.str_]


def _gather(table: pd.DataFrame, lungs: ModelPackage, seed: int) -> _GateData:
    """Features of every film, its inversion and a spoiled copy (one film in four each), and synthetic images.

    Args:
        table: manifest rows with `kind`: "film" (frontal radiographs), "lateral" or "CT".
        lungs: the packaged lung network.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.float64], str, str, str]] = []

    def add(film: Floats, kind: str, group: str, path: str) -> None:
        rows.append((gate_features(segment_square(film, lungs, Postprocess())), kind, group, path))

    for row in track(list(table.itertuples()), "reading films"):
        film = film_square(read_radiograph(Path(str(row.path))).pixels, lungs.input_size)
        group, path, kind = str(row.group_id), str(row.path), str(row.kind)
        add(film, kind, group, path)
        if kind == "film" and generator.random() < 0.25:
            add(np.float32(1) - film, "inverted", group, path)
        if kind == "film" and generator.random() < 0.25:
            add(spoiled(film, generator), "spoiled", group, path)
    for index in range(len(table) // 5):
        add(synthetic(generator, lungs.input_size), "synthetic", f"synthetic-{index}", "")
    features, kinds, groups, paths = zip(*rows, strict=True)
    return _GateData(np.stack(features), np.array(kinds), np.array(groups), np.array(paths))


def _fit_gate(data: _GateData, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Package parameters of both checks, and their out-of-fold rates over grouped folds.

    Returns:
        parameters {"frontal": ..., "inverted": ...} and a report: kind -> number, share refused or taken for inverted.
    """
    frontal, frontal_report = _fit(data, "film", data.kind != "inverted", seed, ("lower", REFUSED_FILMS))
    inverted, inverted_report = _fit(
        data, "inverted", np.isin(data.kind, ["film", "inverted"]), seed, ("upper", FALSE_INVERSIONS)
    )
    parameters = {"frontal": frontal.to_parameters(), "inverted": inverted.to_parameters()}
    return parameters, {"refused_by_frontal_check": frontal_report, "taken_for_inverted": inverted_report}


def _fit(
    data: _GateData, positive: str, chosen: NDArray[np.bool_], seed: int, threshold_rule: tuple[str, float]
) -> tuple[LinearCheck, dict[str, Any]]:
    features, kind, group = data.features[chosen], data.kind[chosen], data.group[chosen]
    target = kind == positive
    scores = np.zeros(len(target))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(features, kind, group):
        check = _logistic(features[train], target[train], kind[train])
        scores[test] = [check.score(row) for row in features[test]]
    side, share = threshold_rule
    films = scores[kind == "film"]
    threshold = float(np.quantile(films, share if side == "lower" else 1 - share))
    flagged = scores < threshold if side == "lower" else scores > threshold
    report = {
        str(name): {"n": int((kind == name).sum()), "share": round(float(flagged[kind == name].mean()), 4)}
        for name in np.unique(kind)
    }
    final = _logistic(features, target, kind)
    check = LinearCheck(final.mean, final.scale, final.weights, final.bias, threshold)
    return check, report | {"threshold": round(threshold, 4), "folds": FOLDS, "seed": seed}


def _logistic(features: NDArray[np.float64], target: NDArray[np.bool_], kind: NDArray[np.str_]) -> LinearCheck:
    mean, scale = features.mean(0), features.std(0) + 1e-3
    standard = np.clip((features - mean) / scale, -8, 8)
    # Every kind weighs the same: there are 60 lateral films and thousands of frontal ones.
    names, counts = np.unique(kind, return_counts=True)
    weight_of = {name: len(kind) / (len(names) * count) for name, count in zip(names, counts, strict=True)}
    model = LogisticRegression(C=0.02, max_iter=2000)
    model.fit(standard, target, sample_weight=[weight_of[name] for name in kind])
    return LinearCheck(mean, scale, model.coef_[0], float(model.intercept_[0]), 0.5)
