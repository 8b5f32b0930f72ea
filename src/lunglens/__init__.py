"""LungLens: a chest X-ray in; lung fields, a probability of COVID-19, a heat-map and how far to trust them out.

>>> import lunglens
>>> finding = lunglens.analyze("chest.dcm")  # doctest: +SKIP
>>> finding.covid_probability  # doctest: +SKIP
0.12
"""

from typing import TYPE_CHECKING, Any

from lunglens.film.about import __version__

if TYPE_CHECKING:
    from lunglens.film.analyzer import Analyzer, analyze
    from lunglens.film.finding import Finding
    from lunglens.film.radiograph import Radiograph, read_radiograph

__all__ = ["Analyzer", "Finding", "Radiograph", "__version__", "analyze", "read_radiograph"]

_HOMES = {
    "Analyzer": "lunglens.film.analyzer",
    "analyze": "lunglens.film.analyzer",
    "Finding": "lunglens.film.finding",
    "Radiograph": "lunglens.film.radiograph",
    "read_radiograph": "lunglens.film.radiograph",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `lunglens --help` does not wait for numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lunglens' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
