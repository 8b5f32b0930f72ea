"""Public data sets on disk -> manifest rows; one small file a data set, all alike."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.manifest import Row
from lunglens.study.sources.chexpert import SOURCE as CHEXPERT
from lunglens.study.sources.covid_chestxray import SOURCE as COVID_CHESTXRAY
from lunglens.study.sources.covid_cxnet import SOURCE as COVID_CXNET
from lunglens.study.sources.covidnet import ACTUALMED, FIGURE1
from lunglens.study.sources.hannover import SOURCE as HANNOVER
from lunglens.study.sources.index import with_index
from lunglens.study.sources.jsrt import SOURCE as JSRT
from lunglens.study.sources.lung_masks import GENERAL_BLOCKCHAIN, V7
from lunglens.study.sources.nih import SOURCE as NIH
from lunglens.study.sources.nlm import MONTGOMERY, SHENZHEN
from lunglens.study.sources.radiography import SOURCE as RADIOGRAPHY
from lunglens.study.sources.registry import Problem, Problems, Reader, Source
from lunglens.study.sources.rsna import SOURCE as RSNA

__all__ = ["SOURCES", "Problem", "Problems", "Source", "read_sources"]

_ALL: tuple[Source, ...] = (COVID_CHESTXRAY, NIH, CHEXPERT, RSNA, MONTGOMERY, SHENZHEN, JSRT, HANNOVER)
_ALL += (COVID_CXNET, RADIOGRAPHY, ACTUALMED, FIGURE1, V7, GENERAL_BLOCKCHAIN)
SOURCES: dict[str, Source] = {source.name: source for source in _ALL}


def read_sources(
    root: Path,
    names: tuple[str, ...] | None = None,
    problems: Problems | None = None,
    own: Mapping[str, Reader] | None = None,
) -> Iterator[Row]:
    """Rows of the named data sets below `root`, or of all that are there.

    Args:
        root: folder with a folder a data set, each named as in `SOURCES`, and optionally a curated index.
        names: data sets that must be there; None takes what there is.
        problems: what could not be taken as published is appended here.
        own: readers of further data sets by name (`lunglens.study.sources.own`), for use in `names`.

    Raises:
        DataError: a named data set, or every data set, is missing, or is not in its published layout.
    """
    noted: Problems = [] if problems is None else problems
    readers = {name: _credited(source) for name, source in SOURCES.items()} | dict(own or {})
    chosen = names if names is not None else tuple(name for name in readers if (root / name).is_dir())
    missing = [name for name in chosen if name not in readers or not (root / name).is_dir()]
    if missing or not chosen:
        wanted = ", ".join(missing or readers)
        raise DataError(f"{root}: no folder {wanted}; give --data the folder that holds the data sets")
    rows = (row for name in chosen for row in readers[name](root / name, noted))
    return rows if names is not None else with_index(rows, root, noted)


def _credited(source: Source) -> Reader:
    """The set's reader; rows that name no licence or citation of their own get the set's."""

    def read(folder: Path, problems: Problems) -> Iterator[Row]:
        for row in source.read(folder, problems):
            yield replace(row, licence=row.licence or source.licence, citation=row.citation or source.citation)

    return read
