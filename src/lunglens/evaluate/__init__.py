"""Predictions -> measures with intervals: tables in, numbers out.

The names in `__all__` are for one's own code; each is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lunglens.evaluate.classification import measures as measures
    from lunglens.evaluate.classification import metrics_of as metrics_of
    from lunglens.evaluate.confounding import audit_confounding as audit_confounding
    from lunglens.evaluate.intervals import bootstrap as bootstrap
    from lunglens.evaluate.operating_point import chosen_threshold as chosen_threshold
    from lunglens.evaluate.operating_point import operating_points as operating_points
    from lunglens.evaluate.predictions import read_predictions as read_predictions
    from lunglens.evaluate.surface_distance import agreement as agreement

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
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"lunglens.evaluate has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
