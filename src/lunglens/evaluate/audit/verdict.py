"""How a number of a test becomes a verdict."""

from collections.abc import Mapping

import numpy as np

from lunglens.evaluate.audit.record import Verdict

# Conventions, not laws: from which value on something is a doubt, and a shortcut.
TOLD = {"doubt": 0.55, "shortcut": 0.75}  # AUROC that something without disease reaches
LOST = {"doubt": 0.05, "shortcut": 0.15}  # AUROC that does not come along


def level(value: float, limits: Mapping[str, float]) -> Verdict:
    """By two limits; a value that is not defined is no finding."""
    if not np.isfinite(value) or value < limits["doubt"]:
        return "clear"
    return "shortcut" if value >= limits["shortcut"] else "doubt"


def verdict_of_auc(auc: float, interval: list[float] | None) -> Verdict:
    """By how well something that is no disease tells the class; by chance alone it must not be a finding.

    Args:
        auc: area under the ROC curve.
        interval: its 95 % interval; where that holds 0.5 nothing was found.
    """
    return "clear" if interval is None or interval[0] <= 0.5 else level(auc, TOLD)
