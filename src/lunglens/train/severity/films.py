"""The films whose severity radiologists have scored: scores, groups, and the films as the lung network sees them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError
from lunglens.evaluate.brixia import READERS, read_readers
from lunglens.evaluate.severity import Scores
from lunglens.files import write_atomically
from lunglens.film.gate.look import look_at
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.preprocess import Mask, film_square
from lunglens.film.radiograph import read_radiograph
from lunglens.film.severity import ZONES, brixia_zones
from lunglens.study.duplicates.find import find_duplicates
from lunglens.study.duplicates.groups import tie_groups
from lunglens.study.manifest import manifest
from lunglens.study.rows import find_images
from lunglens.study.sources import read_sources
from lunglens.train.provenance import films_fingerprint

SOURCE = "covid-chestxray-dataset"
FILM_SIZE = 512  # the film is squashed to this first, as the lungs' mask is
_COLUMNS = [f"{reader}-{zone}" for reader in READERS for zone in ZONES]
_EXTENT = "geographic_mean"


@dataclass(frozen=True, eq=False)
class ScoredFilms:
    """Films with scores.

    table: a row a film: image_id, path, source, label, group_id, S-A ... J-F (NaN where only `geographic_mean`, the
    extent 0..8, is known). films: (N, 512, 512) uint8. fields: (N, 512, 512) bool, our own lungs.
    """

    table: pd.DataFrame
    films: NDArray[np.uint8]
    fields: Mask

    @property
    def readers(self) -> Scores:
        """(2, N, 6): what the senior and the junior radiologist gave each zone, NaN where they did not."""
        return np.stack([self.table[[f"{reader}-{zone}" for zone in ZONES]].to_numpy(float) for reader in READERS])

    @property
    def consensus(self) -> Scores:
        """(N, 6): the mean of both radiologists."""
        return np.asarray(self.readers.mean(axis=0), np.float64)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(N,) whether the zones are scored."""
        return np.asarray(~np.isnan(self.consensus).any(axis=1))

    @property
    def groups(self) -> NDArray[Any]:
        """(N,) the group (patient) of each film."""
        return self.table["group_id"].to_numpy(str)

    @property
    def extent(self) -> NDArray[np.float64]:
        """(N,) geographic extent 0..8 (Cohen et al. 2020, arXiv:2005.11856), NaN where it was not given."""
        return self.table[_EXTENT].to_numpy(float)

    @property
    def fingerprint(self) -> str:
        """Of the films, their groups and scores."""
        scores = pd.util.hash_pandas_object(self.table[[*_COLUMNS, _EXTENT]], index=False).to_numpy()
        return f"{films_fingerprint(self.table)[:16]}-{int(scores.sum()) & 0xFFFFFFFF:08x}"


def scored_films(data: Path, cache: Path, console: Console) -> ScoredFilms:
    """Every film of covid-chestxray-dataset that has Brixia scores or an extent, and six zones in our own lungs.

    Films of one patient, of one published case, and copies of one film share a group.

    Args:
        data: folder that holds the data sets.
        cache: folder that keeps what was computed; a killed run goes on from it.
        console: for progress.

    Raises:
        DataError: the data set or its scores are missing or not in their published layout.
    """
    table = _scores(data / SOURCE).merge(_films(data), on="stem").sort_values("path", ignore_index=True)
    if table.empty:
        raise DataError(f"{data / SOURCE}: none of the scored films is here")
    table["group_id"] = tie_groups(table, find_duplicates(table, cache / "duplicates", console)).to_numpy()
    table["image_id"] = [Path(path).relative_to(data.resolve()).as_posix() for path in table["path"]]
    films, fields = _seen(table, cache / "films.npz", console)
    kept = np.array([brixia_zones(lungs) is not None for lungs in fields])
    return ScoredFilms(table[kept].reset_index(drop=True), films[kept], fields[kept])


def _scores(folder: Path) -> pd.DataFrame:
    readers = read_readers(folder / "brixia-scores.csv")
    path = folder / "covid-severity-scores.csv"
    try:
        extent = pd.read_csv(path, comment="#", index_col="filename")[[_EXTENT]].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not the severity scores of covid-chestxray-dataset ({error})") from error
    stems = [frame.set_axis(frame.index.map(lambda name: Path(name).stem)) for frame in (readers, extent)]
    return pd.concat(stems, axis=1).rename_axis("stem").reset_index()


def _films(data: Path) -> pd.DataFrame:
    """All its images; two that were scored are not in the published table, and tied to others by their pixels alone."""
    listed = manifest(row for row in read_sources(data.resolve()) if row.source == SOURCE)
    images = pd.DataFrame({"path": [str(path) for path in find_images(data.resolve() / SOURCE / "images").values()]})
    table = images.merge(listed, how="left", on="path").fillna({"group_id": "", "source": SOURCE})
    kept = ["path", "source", "label", "view", "patient_id", "group_id", "case_url"]
    return table[kept].assign(stem=table["path"].map(lambda path: Path(path).stem))


def _seen(table: pd.DataFrame, cache: Path, console: Console) -> tuple[NDArray[np.uint8], Mask]:
    """Every film the right way round, squashed, and its lungs; kept in `cache` for these films and networks."""
    models = shipped_models()
    lungs, orientation = load_package(models / "lungs", "lungs"), load_package(models / "orientation", "orientation")
    key = f"{films_fingerprint(table)} {lungs.fingerprint} {orientation.fingerprint}"
    if cache.is_file():
        with np.load(cache) as kept:
            if str(kept["key"]) == key:
                return kept["films"], kept["fields"]
    films = np.empty((len(table), FILM_SIZE, FILM_SIZE), np.uint8)
    fields = np.empty(films.shape, bool)
    for at, path in enumerate(track(table["path"].tolist(), "looking at films", console=console)):
        look = look_at(read_radiograph(path), lungs, orientation)
        films[at] = np.rint(film_square(look.pixels, FILM_SIZE) * 255)
        fields[at] = look.segmentation.mask.fields
    write_atomically(cache, lambda path: np.savez_compressed(path, key=key, films=films, fields=fields))
    return films, fields
