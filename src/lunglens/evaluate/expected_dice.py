"""Whether the Dice that a lungs network expects of its own masks tells which of them went wrong."""

import numpy as np
import pandas as pd

from lunglens.evaluate.classification import DIGITS, auc
from lunglens.evaluate.run_record import Expected

POOR = 0.9  # Dice of a mask that somebody should look at


def expected_of(table: pd.DataFrame) -> Expected:
    """How well `expected_dice` tells `dice`, over films of one rule.

    The threshold is where a straight line through the films, Dice against expected Dice, comes down to `POOR`: it is
    there also where hardly any film went wrong.
    """
    told, true = table["expected_dice"].to_numpy(float), table["dice"].to_numpy(float)
    poor = true < POOR
    if np.ptp(told) == 0 or np.ptp(true) == 0:
        return Expected(n=len(table), poor=int(poor.sum()), pearson=None, auroc=None, doubtful_below=None)
    slope, height = np.polyfit(told, true, 1)
    below = float(np.clip((POOR - height) / slope, 0, 1)) if slope > 0 else None
    return Expected(
        n=len(table),
        poor=int(poor.sum()),
        pearson=round(float(np.corrcoef(told, true)[0, 1]), DIGITS),
        auroc=round(auc(poor, -told), DIGITS) if 0 < poor.sum() < len(poor) else None,
        doubtful_below=None if below is None else round(below, DIGITS),
    )
