"""Public data sets on disk -> manifest rows; one small file a data set, all alike."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.rows import Row
from lunglens.study.sources.addresses import montgomery_download, nih_download, shenzhen_download
from lunglens.study.sources.chexpert import chexpert
from lunglens.study.sources.covid_chestxray import covid_chestxray
from lunglens.study.sources.covid_cxnet import covid_cxnet
from lunglens.study.sources.covidnet import actualmed, figure1
from lunglens.study.sources.hannover import hannover
from lunglens.study.sources.index import with_index
from lunglens.study.sources.jsrt import jsrt
from lunglens.study.sources.kermany import kermany, kermany_v7
from lunglens.study.sources.lung_masks import general_blockchain, v7
from lunglens.study.sources.nih import nih
from lunglens.study.sources.nlm import montgomery, shenzhen
from lunglens.study.sources.openist import openist
from lunglens.study.sources.radiography import radiography
from lunglens.study.sources.registry import Problem, Problems, Reader, Source
from lunglens.study.sources.rsna import rsna

__all__ = ["SOURCES", "Problem", "Problems", "Source", "read_sources"]

_READERS: dict[str, Reader] = {
    "covid-chestxray-dataset": covid_chestxray,
    "nih-chestxray14": nih,
    "chexpert": chexpert,
    "rsna-pneumonia": rsna,
    "montgomery": montgomery,
    "shenzhen": shenzhen,
    "jsrt": jsrt,
    "openist": openist,
    "kermany": kermany,
    "kermany-v7": kermany_v7,
    "hannover": hannover,
    "covid-cxnet": covid_cxnet,
    "covid19-radiography": radiography,
    "actualmed": actualmed,
    "figure1": figure1,
    "lung-masks-v7": v7,
    "lung-masks-generalblockchain": general_blockchain,
}
_DOWNLOADS = {"nih-chestxray14": nih_download(), "montgomery": montgomery_download(), "shenzhen": shenzhen_download()}
_CATALOGUE = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
SOURCES: dict[str, Source] = {
    name: Source(**{"name": name, "read": read, "download": _DOWNLOADS.get(name)} | _CATALOGUE[name])
    for name, read in _READERS.items()
}


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
