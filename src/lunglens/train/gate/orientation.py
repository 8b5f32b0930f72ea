"""`lunglens train orientation`: learn which way round a film lies, and how often that is right on films not seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.model_selection import StratifiedGroupKFold

from lunglens.files import write_atomically, write_json
from lunglens.film.gate.upright import mirror_evidence, turn_evidence
from lunglens.film.model_package.record import OrientationParameters
from lunglens.film.preprocess import film_square, resize
from lunglens.film.radiograph import read_radiograph
from lunglens.train.export import export_package
from lunglens.train.gate.films import frontal_films
from lunglens.train.networks.orientation import SIZE, UprightNet, all_scores, train_upright
from lunglens.train.provenance import films_fingerprint, today

PER_SOURCE = 2500
SEED = 0
FOLDS = 3
STEPS = 500
TURNED_ABOVE = (
    2.0  # log odds against "as it is"; what is no chest film is then turned, and judged again, in one of five
)
FALSE_MIRRORS = 0.007  # share of good films, out of fold, that may be taken for mirrored
NETWORK_SIZE = 256  # the film is squashed to this first, as the analysis does for the lung network

console = Console(stderr=True)


def learn_orientation(data: Path, out: Path, without: str, console: Console) -> None:
    """Train on all frontal films, export to `out/package`; rates on patients not seen into `out/orientation.json`.

    Args:
        data: folder of the data sets.
        out: run folder; a killed run in it goes on.
        without: the source that is left out for the rate on a hospital not seen.
        console: for progress.
    """
    table = frontal_films(data, PER_SOURCE)
    films = _load_films(table)
    data_fingerprint = films_fingerprint(table)
    rounds = out / data_fingerprint[:12]
    scores = _out_of_fold(films, SEED, rounds)
    threshold = _mirror_threshold(scores)
    seen, unseen = np.flatnonzero(films.source != without), np.flatnonzero(films.source == without)
    rates: dict[str, Any] = {"out_of_fold": _rates_by_source(films, scores, threshold)}
    if len(seen) and len(unseen):
        elsewhere = _held_out(films, seen, unseen, SEED, rounds / f"without-{without}.npy")
        rates[f"trained without {without}"] = _rates_by_source(films.rows(unseen), elsewhere, threshold)["all"]
    np.savez_compressed(out / "scores.npz", scores=scores, path=table["path"].to_numpy(str))
    about = {
        "date": today(),
        "data_fingerprint": data_fingerprint,
        "images": {str(name): int(count) for name, count in table["source"].value_counts().sort_index().items()},
        "config": {"steps": STEPS, "folds": FOLDS, "seed": SEED}
        | {"false_mirrors": FALSE_MIRRORS, "turned_above": TURNED_ABOVE},
    }
    export_package(
        _learn(films, SEED),
        out / "package",
        name=f"upright-{SIZE}",
        input_size=SIZE,
        parameters=OrientationParameters(mirrored_above=round(threshold, 4), turned_above=TURNED_ABOVE),
        provenance=about | {"rates": rates},
    )
    write_json(out / "orientation.json", about | {"mirrored_above": round(threshold, 4), **rates})
    console.print_json(data=rates)


@dataclass(frozen=True, eq=False)
class _Films:
    """Upright films (N, 64, 64) uint8, with source and group (patient) of each."""

    images: NDArray[np.uint8]
    source: NDArray[np.str_]
    group: NDArray[np.str_]

    def rows(self, chosen: NDArray[Any]) -> "_Films":
        """Some of them."""
        return _Films(self.images[chosen], self.source[chosen], self.group[chosen])


def _load_films(table: pd.DataFrame) -> _Films:
    """Read the films of a table with `path`, `source` and `group_id`."""
    images = np.empty((len(table), SIZE, SIZE), np.uint8)
    for index, path in enumerate(track(table["path"].tolist(), "reading films", console=console)):
        square = film_square(read_radiograph(Path(path)).pixels, NETWORK_SIZE)
        images[index] = np.rint(255 * resize(square, SIZE, SIZE))
    return _Films(images, table["source"].to_numpy(str), table["group_id"].to_numpy(str))


def _out_of_fold(films: _Films, seed: int, folder: Path) -> NDArray[np.float32]:
    """Scores (N, 8) of every film by a network that saw nobody of its group; done folds in `folder` are kept."""
    scores = np.empty((len(films.images), 8), np.float32)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(films.images, films.source, films.group)
    for number, (train, test) in enumerate(folds, 1):
        scores[test] = _held_out(films, train, test, seed, folder / f"fold-{number}.npy")
    return scores


def _held_out(
    films: _Films, train: NDArray[np.intp], test: NDArray[np.intp], seed: int, kept: Path
) -> NDArray[np.float32]:
    """Scores (n, 8) of the films `test` by a network of the films `train`; from the file `kept` if it is there."""
    if not kept.is_file():
        console.print(f"training {kept.stem} on {len(train)} films")
        scores = all_scores(_learn(films.rows(train), seed), films.images[test])
        write_atomically(kept, lambda path: np.save(path, scores))
    found: NDArray[np.float32] = np.load(kept)
    return found


def _learn(films: _Films, seed: int) -> UprightNet:
    """One network; a source is drawn by the square root of its size, or the largest would decide alone."""
    _, source, count = np.unique(films.source, return_inverse=True, return_counts=True)
    return train_upright(films.images, 1 / np.sqrt(count[source]), STEPS, seed)


def _mirror_threshold(scores: NDArray[np.float32]) -> float:
    """The log odds above which a film is called mirrored, by out-of-fold scores of films that are not."""
    return float(np.quantile(mirror_evidence(scores)[:, 0], 1 - FALSE_MIRRORS))


def _rates(scores: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """What the network makes of upright films, and of the same films turned and mirrored.

    The network is asked about all eight orientations of a film, so that the scores of its turned and mirrored copies
    are the same in another order. `turned_found` is over the copies turned by 90, 180 and 270 degrees.
    """
    turn = turn_evidence(scores)
    mirror = mirror_evidence(scores)[:, 0]
    lead = turn[:, :1] - turn[:, 1:]  # of upright over each turn: what a copy turned so has over "as it is"
    found = (lead.min(1, keepdims=True) > 0) & (lead > TURNED_ABOVE)
    return {
        "n": len(scores),
        "turned_found": round(float(found.mean()), 4),
        "upright_taken_for_turned": round(float((lead.min(1) < -TURNED_ABOVE).mean()), 4),
        "mirrored_found": round(float((-mirror > threshold).mean()), 4),
        "upright_taken_for_mirrored": round(float((mirror > threshold).mean()), 4),
    }


def _rates_by_source(films: _Films, scores: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """`_rates` of all films and of each source."""
    names = np.unique(films.source).tolist()
    return {"all": _rates(scores, threshold)} | {
        name: _rates(scores[films.source == name], threshold) for name in names if len(names) > 1
    }
