"""Predictions -> measures with intervals: tables in, numbers out.

The names in `__all__` are for one's own code; each is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lunglens.evaluate.classification import measures, metrics_of
    from lunglens.evaluate.confounding import audit_confounding
    from lunglens.evaluate.intervals import bootstrap
    from lunglens.evaluate.operating_point import chosen_threshold, operating_points
    from lunglens.evaluate.predictions import read_predictions
    from lunglens.evaluate.surface_distance import agreement

__all__ = [
    "agreement",
    "audit_confounding",
    "bootstrap",
    "chosen_threshold",
    "measures",
    "metrics_of",
    "operating_points",
    "read_predictions",
]

_HOMES = {
    "agreement": "surface_distance",
    "audit_confounding": "confounding",
    "bootstrap": "intervals",
    "chosen_threshold": "operating_point",
    "measures": "classification",
    "metrics_of": "classification",
    "operating_points": "operating_point",
    "read_predictions": "predictions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"lunglens.evaluate has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
