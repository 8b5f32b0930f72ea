"""Upstream data sets on disk -> manifest rows; one small file a data set, all alike."""

from collections.abc import Callable, Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.manifest import Row
from lunglens.sources.covid_chestxray import covid_chestxray
from lunglens.sources.curated import with_index
from lunglens.sources.hannover import hannover
from lunglens.sources.nih import nih
from lunglens.sources.tuberculosis import montgomery, shenzhen

READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "covid-chestxray-dataset": covid_chestxray,
    "hannover": hannover,
    "montgomery": montgomery,
    "nih-chestxray14": nih,
    "shenzhen": shenzhen,
}


def read_sources(root: Path, names: tuple[str, ...] | None = None) -> Iterator[Row]:
    """Rows of the named data sets below `root`, or of all that are there.

    Args:
        root: folder with a folder a data set, each named as in `READERS`, and optionally a curated index.
        names: data sets that must be there; None takes what there is.

    Raises:
        DataError: a named data set, or every data set, is missing.
    """
    chosen = names if names is not None else tuple(name for name in READERS if (root / name).is_dir())
    missing = [name for name in chosen if name not in READERS or not (root / name).is_dir()]
    if missing or not chosen:
        wanted = ", ".join(missing or READERS)
        raise DataError(f"{root}: no folder {wanted}; give --data the folder that holds the data sets")
    rows = (row for name in chosen for row in READERS[name](root))
    return rows if names is not None else with_index(rows, root)
