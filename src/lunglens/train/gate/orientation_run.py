"""`lunglens train orientation`: learn which way round a film lies."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lunglens.files import write_json
from lunglens.film.model_package.record import OrientationParameters
from lunglens.train.export import export_package
from lunglens.train.gate.films import frontal_films
from lunglens.train.gate.orientation_fit import (
    FALSE_MIRRORS,
    FOLDS,
    STEPS,
    TURNED_ABOVE,
    held_out,
    learn,
    load_films,
    mirror_threshold,
    out_of_fold,
    rates_by_source,
)
from lunglens.train.networks.orientation import SIZE
from lunglens.train.provenance import films_fingerprint, today

PER_SOURCE = 2500
SEED = 0


def learn_orientation(data: Path, out: Path, without: str, console: Console) -> None:
    """Train on all frontal films, export to `out/package`; rates on patients not seen into `out/orientation.json`.

    Args:
        data: folder of the data sets.
        out: run folder; a killed run in it goes on.
        without: the source that is left out for the rate on a hospital not seen.
        console: for progress.
    """
    table = frontal_films(data, PER_SOURCE)
    films = load_films(table)
    data_fingerprint = films_fingerprint(table)
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
        "date": today(),
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
