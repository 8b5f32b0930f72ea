"""LungLens: a chest X-ray in; lung fields, the probabilities of a classifier, a heat-map and how far to trust them out.

>>> import numpy as np, lunglens
>>> noise = np.random.default_rng(0).random((256, 256))
>>> finding = lunglens.analyze(noise)  # or a path, bytes, an open file, a picture, a DICOM data set, a list of these
>>> finding.status
'refused'
>>> isinstance(finding, lunglens.Refused)
True
"""

from typing import TYPE_CHECKING, Any

from lunglens.film.about import __version__

if TYPE_CHECKING:
    from lunglens.film.analyzer import Analyzer, analyze
    from lunglens.film.answer import Answer
    from lunglens.film.finding import Analyzed, Finding, Refused
    from lunglens.film.model_package.package import load_package
    from lunglens.film.radiograph import Radiograph, radiograph_from_array, read_radiograph

__all__ = [
    "Analyzed",
    "Analyzer",
    "Answer",
    "Finding",
    "Radiograph",
    "Refused",
    "__version__",
    "analyze",
    "load_package",
    "radiograph_from_array",
    "read_radiograph",
]

_HOMES = {
    "analyzer": ("Analyzer", "analyze"),
    "finding": ("Analyzed", "Answer", "Finding", "Refused"),
    "model_package.package": ("load_package",),
    "radiograph": ("Radiograph", "radiograph_from_array", "read_radiograph"),
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `lunglens --help` does not wait for numpy."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"lunglens.film.{home}"), name)
    raise AttributeError(f"module 'lunglens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
