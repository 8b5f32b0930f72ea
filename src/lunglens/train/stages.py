"""The stages that train and measure: each reads a data folder, writes a run folder, and can be killed and run again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.overlap import dice, share_inside, summarize
from lunglens.evaluate.rates import report, youden_threshold
from lunglens.files import write_atomically, write_json
from lunglens.film.gate.look import look_at
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.published_masks import read_mask
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models, write_description
from lunglens.film.model_package.record import AnswerClass, AnswerSettings, ClassifierParameters, LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import ClassifierConfig, LungsConfig
from lunglens.study.manifest import manifest, split_by_group
from lunglens.study.sources import read_sources
from lunglens.study.sources.lung_masks import with_masks
from lunglens.train.classifier import predict, train_classifier
from lunglens.train.export import LungGraph, export_package
from lunglens.train.gate.fit import fit_gate, gather
from lunglens.train.lungs import train_lungs
from lunglens.train.networks.classifier import ClassifierGraph
from lunglens.train.precision import settled
from lunglens.train.views import EXTERNAL, build_film_cache, build_views, fingerprint, targets

console = Console(stderr=True)


def lungs_stage(data: Path, config: LungsConfig, out: Path) -> None:
    """Train, export to `out/package`, measure the packaged model on the held-out patients into `out/metrics.json`."""
    table = manifest(row for row in read_sources(data, config.sources) if row.mask_path)
    table["part"] = split_by_group(table, config.split)
    config = settled(config, out / "config.json", console)
    _save_inputs(table, config.model_dump_json(indent=2), out)
    unet = train_lungs(table, config, out)
    provenance = _provenance(table, config.model_dump(mode="json"))
    export_package(
        LungGraph(unet),
        out / "package",
        name=f"lungs-unet{config.base_channels}-{config.input_size}",
        input_size=config.input_size,
        parameters=LungsParameters(postprocess=Postprocess()),
        provenance=provenance,
    )
    metrics = _measure_lungs(table[table["part"] == "test"], load_package(out / "package"), out)
    write_json(out / "metrics.json", {**provenance, "test": metrics})
    console.print_json(data=metrics)


def gate_stage(data: Path, lungs: Path) -> None:
    """Fit the gate's checks for a lungs package and write them, with out-of-fold rates, into its `package.json`."""
    package = load_package(lungs)
    table = _gate_films(data, per_source=600)
    parameters, rates = fit_gate(gather(table, package, seed=0), seed=0)
    console.print_json(data=rates)
    fitted = {"gate": {"out_of_fold": rates, "films": len(table)}}
    changes = {
        "parameters": package.description["parameters"] | {"gate": parameters},
        "provenance": package.description.get("provenance", {}) | fitted,
    }
    write_description(lungs, package.description | changes)


def classifier_stage(data: Path, config: ClassifierConfig, lungs: Path, out: Path) -> None:
    """Train, export to `out/package`, and measure by source: `out/predictions.csv` and `out/metrics.json`."""
    usable = manifest(row for row in read_sources(data) if row.exclude is None and row.label not in (None, "other"))
    table = _classifier_table(usable, config)
    config = settled(config, out / "config.json", console)
    _save_inputs(table, config.model_dump_json(indent=2), out)
    cache = build_film_cache(usable, config, load_package(lungs), out.parent / f"films-{config.view.film_size}")
    views = build_views(cache, table.index.to_numpy(), config.view, out)
    module = train_classifier(table, views, config, out)
    table["region_px"] = cache.area_px[table.index]
    held_out = np.flatnonzero(table["part"] != "train")
    predicted = table.iloc[held_out].assign(probability=predict(module, views, held_out))
    _save_table(predicted, out / "predictions.csv")
    threshold = _threshold(predicted[predicted["part"] == "validation"])
    metrics = _measure_classifier(predicted, threshold)
    provenance = _provenance(table, config.model_dump(mode="json"))
    export_package(
        ClassifierGraph(module.classifier),
        out / "package",
        name=f"covid-{config.backbone.replace('_', '-')}-{config.view.input_size}",
        input_size=config.view.input_size,
        parameters=ClassifierParameters(
            view=config.view,
            postprocess=config.postprocess,
            answer=AnswerSettings(
                activation="sigmoid",
                classes=[AnswerClass(name="covid"), AnswerClass(name="not covid", words="not COVID-19")],
                threshold=round(threshold, 4),
            ),
        ),
        provenance=provenance,
    )
    write_json(out / "metrics.json", {**provenance, "threshold": round(threshold, 4), **metrics})
    console.print_json(data={name: values.get("auc") for name, values in metrics.items()})


def covid_lungs_stage(data: Path, lungs: Path, out: Path) -> None:
    """Predicted lungs against the COVID masks (V7: heart included), raw and processed, into `out/covid-lungs.json`."""
    package = load_package(lungs)
    rows = []
    for film_path, mask_path, group in _covid_masks(data):
        mask = segment_film(read_radiograph(film_path).pixels, package, Postprocess()).mask
        truth = resize_mask(read_mask(mask_path), MASK_SIZE, MASK_SIZE)
        values: list[str | float] = [group]
        for predicted in (mask.fields, mask.region):
            values += [share_inside(predicted, truth), share_inside(truth, predicted), dice(predicted, truth)]
        rows.append(values)
    names = [f"{stage}_{measure}" for stage in ("fields", "region") for measure in ("inside", "covered", "dice")]
    table = pd.DataFrame(rows, columns=["group_id", *names])
    summary = {name: summarize(table[name].to_numpy(), table["group_id"].to_numpy()) for name in names}
    write_json(out / "covid-lungs.json", {"lungs": package.name, "date": _today(), **summary})
    console.print_json(data={name: values["mean"] for name, values in summary.items()})


def gate_evaluation_stage(data: Path, lungs: Path, out: Path, per_source: int | None) -> None:
    """The whole gate as the analysis applies it, over so many films a source (None: all), into `out/gate.json`."""
    package, orientation = load_package(lungs), load_package(shipped_models() / "orientation")
    table = _gate_films(data, per_source)
    table["reason"] = [
        look_at(read_radiograph(Path(path)), package, orientation).gate.reason
        for path in track(table["path"], "judging", console=console)
    ]
    _save_table(table, out / "gate.csv")
    refused = table["reason"].notna()
    by_source = {
        f"{kind} {source}": {"n": len(rows), "refused": round(float(refused[rows.index].mean()), 4)}
        for (kind, source), rows in table.groupby(["kind", "source"])
    }
    overall = {str(kind): round(float(refused[rows.index].mean()), 4) for kind, rows in table.groupby("kind")}
    write_json(out / "gate.json", {"lungs": package.name, "date": _today(), "refused": overall, "by_source": by_source})
    console.print_json(data=overall)


def _classifier_table(usable: pd.DataFrame, config: ClassifierConfig) -> pd.DataFrame:
    """The rows to use, with part and target; sources on neither side of the configuration are "external"."""
    table = usable.assign(target=targets(usable, config))
    inside = table["target"].notna()
    external = ~table["source"].isin({*config.positive, *config.negative})
    tied = set(table.loc[external, "group_id"])
    if not inside.any():
        raise DataError("none of the sources that the configuration names is in the data folder")
    # A patient who is in an external source too must not be trained on.
    table = table[external | (inside & ~table["group_id"].isin(tied))]
    parts = split_by_group(table[table["target"].notna()], config.split)
    return table.assign(part=parts.reindex(table.index).fillna(EXTERNAL))


def _measure_classifier(table: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Held-out measures: overall, within each source with both classes, and pairs of sources never seen."""
    table = table.assign(target=np.where(table["label"] == "covid", 1.0, 0.0))
    test, external = table[table["part"] == "test"], table[table["part"] == EXTERNAL]
    found = {"test: all": report(test, threshold)} if len(test) else {}
    for source, rows in test.groupby("source"):
        if rows["target"].nunique() == 2:
            found[f"test: within {source}"] = report(rows, threshold)
            pneumonia = rows[rows["label"].isin(["covid", "pneumonia"])]
            if (pneumonia["label"] == "pneumonia").any():
                found[f"test: within {source}, against other pneumonia"] = report(pneumonia, threshold)
    covid = external[external["label"] == "covid"]
    for pair, rows in external[external["label"] != "covid"].groupby(external["source"] + " " + external["label"]):
        if len(covid):
            found[f"external: COVID against {pair}"] = report(pd.concat([covid, rows]), threshold)
    return found


def _threshold(validation: pd.DataFrame) -> float:
    """Where sensitivity + specificity is largest on validation patients, every source x label weighing the same."""
    weight = 1 / validation.groupby(["source", "label"])["path"].transform("size").to_numpy(float)
    return youden_threshold(validation["target"].to_numpy(), validation["probability"].to_numpy(), weight)


def _measure_lungs(table: pd.DataFrame, package: ModelPackage, out: Path) -> dict[str, Any]:
    values = []
    for row in track(list(table.itertuples()), "measuring", console=console):
        mask = segment_film(read_radiograph(Path(str(row.path))).pixels, package, Postprocess()).mask
        truth = resize_mask(read_mask(str(row.mask_path)), MASK_SIZE, MASK_SIZE)
        values.append((dice(mask.probability >= 0.5, truth), dice(mask.fields, truth)))
    table = table.assign(**dict(zip(["dice_raw", "dice"], np.array(values).T, strict=True)))
    _save_table(table, out / "test.csv")
    parts = [("all", table), *((str(source), rows) for source, rows in table.groupby("source"))]
    return {
        f"{name} {measure}": summarize(rows[measure].to_numpy(), rows["group_id"].to_numpy())
        for name, rows in parts
        for measure in ("dice", "dice_raw")
    }


def _gate_films(data: Path, per_source: int | None) -> pd.DataFrame:
    """Frontal adult films, lateral films and CT slices of every source."""
    table = manifest(read_sources(data))
    is_film = table["exclude"].isna()
    table["kind"] = np.select([table["modality"] == "CT", table["view"] == "L", is_film], ["CT", "lateral", "film"], "")
    table = table[table["kind"] != ""]
    if per_source is None:
        return table.reset_index(drop=True)
    drawn = table[table["kind"] == "film"].groupby("source").sample(frac=1, random_state=0)
    films = drawn.groupby("source").head(per_source)
    return pd.concat([films, table[table["kind"] != "film"]]).sort_values("path", ignore_index=True)


def _covid_masks(data: Path) -> list[tuple[Path, str, str]]:
    folder = data / "covid-chestxray-dataset" / "lung-masks-v7"
    rows = with_masks(read_sources(data, ("covid-chestxray-dataset",)), folder)
    frontal = [(Path(row.path), row.mask_path, row.group_id) for row in rows if row.mask_path and row.exclude is None]
    if not frontal:
        raise DataError(f"{folder}: no masks that belong to frontal adult films; V7's masks are expected here")
    return frontal


def _provenance(table: pd.DataFrame, config: dict[str, Any]) -> dict[str, Any]:
    counts = (table["source"] + " " + table["label"] + " " + table["part"]).value_counts().sort_index()
    return {
        "date": _today(),
        "data_fingerprint": fingerprint(table),
        "images": {str(key): int(count) for key, count in counts.items()},
        "config": config,
    }


def _save_inputs(table: pd.DataFrame, config: str, out: Path) -> None:
    _save_table(table, out / "manifest.csv")
    write_atomically(out / "config.json", lambda path: path.write_text(config))


def _save_table(table: pd.DataFrame, path: Path) -> None:
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False))


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
