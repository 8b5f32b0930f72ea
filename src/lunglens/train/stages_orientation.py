"""Train and measure what tells which way round a film lies."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track

from lunglens.errors import DataError
from lunglens.files import write_json
from lunglens.film.gate.look import look_at
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.model_package.record import OrientationParameters
from lunglens.film.orientation import ALL_ORIENTATIONS, AS_STORED, Orientation
from lunglens.film.radiograph import Radiograph, radiograph_from_array, read_radiograph
from lunglens.study.manifest import find_images, manifest
from lunglens.study.sources import read_sources
from lunglens.train.export import export_package
from lunglens.train.gate.orientation_fit import (
    FALSE_MIRRORS,
    FOLDS,
    STEPS,
    TURNED_ABOVE,
    console,
    held_out,
    learn,
    load_films,
    mirror_threshold,
    out_of_fold,
    rates_by_source,
)
from lunglens.train.networks.orientation import SIZE
from lunglens.train.views import fingerprint

PER_SOURCE = 2500
SEED = 0
_MIRROR = Orientation(mirrored=True)


def orientation_stage(data: Path, out: Path, without: str) -> None:
    """Train on all frontal films, export to `out/package`; rates on patients not seen into `out/orientation.json`.

    Args:
        data: folder of the data sets.
        out: run folder; a killed run in it goes on.
        without: the source that is left out for the rate on a hospital not seen.
    """
    table = frontal_films(data, PER_SOURCE)
    films = load_films(table)
    data_fingerprint = fingerprint(table.assign(part="train"))
    rounds = out / data_fingerprint[:12]
    scores = out_of_fold(films, SEED, rounds)
    threshold = mirror_threshold(scores)
    seen, unseen = np.flatnonzero(films.source != without), np.flatnonzero(films.source == without)
    rates: dict[str, Any] = {"out_of_fold": rates_by_source(films, scores, threshold)}
    if len(seen) and len(unseen):
        elsewhere = held_out(films, seen, unseen, SEED, rounds / f"without-{without}.npy")
        rates[f"trained without {without}"] = rates_by_source(films.rows(unseen), elsewhere, threshold)["all"]
    np.savez_compressed(out / "scores.npz", scores=scores, path=table["path"].to_numpy(str))
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "data_fingerprint": data_fingerprint,
        "images": {str(name): int(count) for name, count in table["source"].value_counts().sort_index().items()},
        "config": {
            "steps": STEPS,
            "folds": FOLDS,
            "seed": SEED,
            "false_mirrors": FALSE_MIRRORS,
            "turned_above": TURNED_ABOVE,
        },
    }
    export_package(
        learn(films, SEED),
        out / "package",
        name=f"upright-{SIZE}",
        input_size=SIZE,
        parameters=OrientationParameters(mirrored_above=round(threshold, 4), turned_above=TURNED_ABOVE),
        provenance=about | {"rates": rates},
    )
    write_json(out / "orientation.json", about | {"mirrored_above": round(threshold, 4), **rates})
    console.print_json(data=rates)


def orientation_evaluation_stage(data: Path | None, folders: list[Path], out: Path, per_source: int) -> None:
    """What the whole analysis makes of films stored in each of the eight ways, into `out/orientation-whole.json`.

    Args:
        data: folder of the data sets; films of all sources, on which the shipped network was trained. None: of none.
        folders: of upright frontal films that nothing was trained on.
        out: where the result goes.
        per_source: films of each source or folder.
    """
    samples = {} if data is None else _by_source(frontal_films(data, per_source))
    samples |= {f"unseen: {folder.parent.name}": _sample(folder, per_source) for folder in folders}
    if not samples:
        raise DataError("nothing to measure: give the data sets or a folder of films")
    found = {name: _whole_rates(paths, name) for name, paths in samples.items()}
    date = datetime.now(UTC).date().isoformat()
    write_json(out / "orientation-whole.json", {"date": date, "seed": SEED, "rates": found})
    console.print_json(data=found)


def frontal_films(data: Path, per_source: int) -> pd.DataFrame:
    """At most so many frontal adult films of each source, drawn by a seed."""
    table = manifest(read_sources(data))
    table = table[table["exclude"].isna()]
    drawn = table.groupby("source").sample(frac=1, random_state=SEED).groupby("source").head(per_source)
    return drawn.sort_values("path", ignore_index=True)


def _by_source(table: pd.DataFrame) -> dict[str, list[Path]]:
    return {str(name): [Path(path) for path in rows["path"]] for name, rows in table.groupby("source")}


def _sample(folder: Path, count: int) -> list[Path]:
    paths = sorted(find_images(folder).values())
    order = np.random.default_rng(SEED).permutation(len(paths))[:count]
    return [paths[index] for index in sorted(order)]


def _whole_rates(paths: list[Path], name: str) -> dict[str, Any]:
    """Shares of films stored in each way that are answered rightly, answered the wrong way round, or refused."""
    lungs, orientation = (load_package(shipped_models() / part) for part in ("lungs", "orientation"))
    counts: dict[str, Counter[str]] = {_name(way): Counter() for way in ALL_ORIENTATIONS}
    for path in track(paths, name, console=console):
        pixels = read_radiograph(path).pixels
        for way in ALL_ORIENTATIONS:
            look = look_at(_stored(pixels, way), lungs, orientation)
            seen = look.to_display.then(_MIRROR if look.mirrored else AS_STORED)
            right = seen == way.inverse()
            outcome = ("right" if right else "wrong") if look.gate.accepted else "refused"
            counts[_name(way)][outcome] += 1
    return {
        way: {"n": len(paths)} | {key: count[key] for key in ("right", "wrong", "refused")}
        for way, count in counts.items()
    }


def _stored(upright: Any, way: Orientation) -> Radiograph:
    return radiograph_from_array(way.apply(upright))


def _name(way: Orientation) -> str:
    return way.words or "upright"
