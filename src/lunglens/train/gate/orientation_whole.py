"""`lunglens evaluate orientation`: films stored in each of the eight ways, through the whole gate."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.files import write_json
from lunglens.film.gate.look import look_at
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.orientation import ALL_ORIENTATIONS, AS_STORED, Orientation
from lunglens.film.radiograph import radiograph_from_array, read_radiograph
from lunglens.study.rows import find_images
from lunglens.train.gate.films import frontal_films
from lunglens.train.provenance import today

SEED = 0
_MIRROR = Orientation(mirrored=True)


def measure_orientation(data: Path | None, folders: list[Path], out: Path, per_source: int, console: Console) -> None:
    """What the whole analysis makes of films stored in each of the eight ways, into `out/orientation-whole.json`.

    Args:
        data: folder of the data sets; films of all sources, on which the shipped network was trained. None: of none.
        folders: of upright frontal films that nothing was trained on.
        out: where the result goes.
        per_source: films of each source or folder.
        console: for progress.
    """
    samples = {} if data is None else _by_source(frontal_films(data, per_source))
    samples |= {f"unseen: {folder.parent.name}": _sample(folder, per_source) for folder in folders}
    if not samples:
        raise DataError("nothing to measure: give the data sets or a folder of films")
    rates = {name: _whole_rates(paths, name, console) for name, paths in samples.items()}
    write_json(out / "orientation-whole.json", {"date": today(), "seed": SEED, "rates": rates})
    console.print_json(data=rates)


def _by_source(table: pd.DataFrame) -> dict[str, list[Path]]:
    return {str(name): [Path(path) for path in rows["path"]] for name, rows in table.groupby("source")}


def _sample(folder: Path, count: int) -> list[Path]:
    paths = sorted(find_images(folder).values())
    order = np.random.default_rng(SEED).permutation(len(paths))[:count]
    return [paths[index] for index in sorted(order)]


def _whole_rates(paths: list[Path], name: str, console: Console) -> dict[str, Any]:
    """Shares of films stored in each way that are answered rightly, answered the wrong way round, or refused."""
    lungs, orientation = (load_package(shipped_models() / part) for part in ("lungs", "orientation"))
    counts: dict[str, Counter[str]] = {_name(way): Counter() for way in ALL_ORIENTATIONS}
    for path in track(paths, name, console=console):
        pixels = read_radiograph(path).pixels
        for way in ALL_ORIENTATIONS:
            look = look_at(radiograph_from_array(way.apply(pixels)), lungs, orientation)
            seen = look.to_display.then(_MIRROR if look.mirrored else AS_STORED)
            right = seen == way.inverse()
            outcome = ("right" if right else "wrong") if look.gate.accepted else "refused"
            counts[_name(way)][outcome] += 1
    return {
        way: {"n": len(paths)} | {key: count[key] for key in ("right", "wrong", "refused")}
        for way, count in counts.items()
    }


def _name(way: Orientation) -> str:
    return way.words or "upright"
