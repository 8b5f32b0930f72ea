"""`lunglens train gate` and `lunglens evaluate gate`.

The gate's linear checks are learned from films and from what must be refused or warned of, and judged on groups held
out.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lunglens.files import save_csv, write_json
from lunglens.film.gate.look import look_at
from lunglens.film.gate.traits import AP, SHARPNESS, TRAITS, trait_features
from lunglens.film.lungs.segmenter import segment_square
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models, write_description
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Floats, film_square
from lunglens.film.radiograph import read_radiograph
from lunglens.train.gate.checks import Limit, Samples, elsewhere, fit_check
from lunglens.train.gate.films import gate_films
from lunglens.train.gate.negatives import badly_made, spoiled, synthetic
from lunglens.train.provenance import today

REFUSED_FILMS = 0.01  # share of good films, out of fold, that the frontal check may refuse
FALSE_INVERSIONS = 0.001  # share of good films, out of fold, that may be taken for inverted
FALSE_WARNINGS = 0.01  # likewise, warned of as a child's or as badly made


def learn_gate(data: Path, lungs: Path, console: Console) -> None:
    """Fit the gate's checks for a lungs package and write them, with out-of-fold rates, into its `package.json`."""
    package = load_package(lungs)
    table = gate_films(data, per_source=600)
    parameters, rates = _fit_gate(*_gather(table, package, seed=0), seed=0)
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


def _gather(table: pd.DataFrame, lungs: ModelPackage, seed: int) -> tuple[Samples, NDArray[np.str_]]:
    """Features (those of traits) of every film, of its inversion, a spoiled copy and badly made ones (of one film in
    four each), and of synthetic images; and the projection of each film that tells it, "AP" or "PA".

    Args:
        table: as `gate_films` gives it.
        lungs: the packaged lung network.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    rows: list[tuple[NDArray[np.float64], str, str, str, str]] = []

    def add(film: Floats, kind: str, source: str, group: str, view: object = "") -> None:
        features = trait_features(segment_square(film, lungs, Postprocess()))
        rows.append((features, kind, source, group, str(view)[:2].upper()))

    for row in track(list(table.itertuples()), "reading films"):
        film = film_square(read_radiograph(Path(str(row.path))).pixels, lungs.input_size)
        of, kind = (str(row.source), str(row.group_id)), str(row.kind)
        add(film, kind, *of, row.view if kind == "film" else "")
        if kind == "film" and generator.random() < 0.25:
            add(np.float32(1) - film, "inverted", *of)
        if kind == "film" and generator.random() < 0.25:
            add(spoiled(film, generator), "spoiled", *of)
        if kind == "film" and generator.random() < 0.25:
            for name, image in badly_made(film, generator).items():
                add(image, name, *of)
    for index in range(len(table) // 5):
        add(synthetic(generator, lungs.input_size), "synthetic", "", f"synthetic-{index}")
    features, kinds, sources, groups, views = zip(*rows, strict=True)
    return Samples(np.stack(features), np.array(kinds), np.array(sources), np.array(groups)), np.array(views)


def _fit_gate(samples: Samples, view: NDArray[np.str_], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Package parameters of all checks, and their out-of-fold rates over grouped folds.

    Returns:
        parameters {"frontal": ..., "inverted": ..., "traits": ...} and a report: kind -> number, share refused or
        taken for that; of traits also AUROC on sources not trained on.
    """
    fitted, report = {}, {}
    judged = replace(samples, features=samples.features[:, :-SHARPNESS])
    fitted["frontal"], report["refused_by_frontal_check"] = fit_check(
        judged.of("film", "lateral", "CT", "spoiled", "synthetic"), "film", Limit(REFUSED_FILMS, below=True), seed
    )
    fitted["inverted"], report["taken_for_inverted"] = fit_check(
        judged.of("film", "inverted"), "inverted", Limit(FALSE_INVERSIONS), seed
    )
    traits, sides = {}, replace(samples, kind=view).of("AP", "PA")
    for name in TRAITS:
        chosen, positive = (sides, "AP") if name == AP else (samples.of("film", name), name)
        if not {positive} < set(chosen.kind):
            continue  # no such films here
        traits[name], found = fit_check(chosen, positive, None if name == AP else Limit(FALSE_WARNINGS), seed)
        report[f"taken_for_{name}"] = found | {"auroc_without_the_source": elsewhere(chosen, positive)}
    parameters: dict[str, Any] = {name: check.to_parameters() for name, check in fitted.items()}
    return parameters | {"traits": {name: check.to_parameters() for name, check in traits.items()}}, report
