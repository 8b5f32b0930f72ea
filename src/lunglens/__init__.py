"""LungLens: a chest X-ray in; lung fields, a probability of COVID-19, a heat-map and how far to trust them out.

>>> import lunglens
>>> finding = lunglens.analyze("chest.dcm")  # doctest: +SKIP
>>> finding.covid_probability  # doctest: +SKIP
0.12
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lunglens.finding import Finding
    from lunglens.pipeline import Analyzer, analyze
    from lunglens.radiograph import Radiograph, read_radiograph

__version__ = "0.1.0"
__all__ = ["Analyzer", "Finding", "Radiograph", "__version__", "analyze", "read_radiograph"]

_HOMES = {
    "Analyzer": "lunglens.pipeline",
    "analyze": "lunglens.pipeline",
    "Finding": "lunglens.finding",
    "Radiograph": "lunglens.radiograph",
    "read_radiograph": "lunglens.radiograph",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `lunglens --help` does not wait for numpy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lunglens' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
