"""The second answer of a classifier, any opacity in the lungs: what it is worth where the truth is known."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lunglens.evaluate.classification import measures
from lunglens.evaluate.operating_point import chosen_threshold, operating_points

PROBABILITY = "opacity_probability"  # in `predictions.csv`
_CLASSES = ("opacity", "none")


def known_opacity(predictions: pd.DataFrame, films: pd.DataFrame) -> pd.DataFrame:
    """Predictions of two classes, opacity and none, of the films of which it is known.

    Args:
        predictions: with `opacity_probability`.
        films: image_id and opacity: "1", "0" or "" (unknown).
    """
    truth = predictions["image_id"].map(films.set_index("image_id")["opacity"])
    first = predictions[PROBABILITY].astype(float)
    table = predictions.assign(p_opacity=first, p_none=1 - first)
    table["class"] = truth.map({"1": "opacity", "0": "none"})
    return table[table["class"].notna()]


def opacity_measures(tables: Mapping[str, pd.DataFrame], seed: int) -> dict[str, Any]:
    """The threshold that the first table chooses, and what the answer is worth on each.

    Args:
        tables: words for the films -> rows of `known_opacity`.
        seed: of the bootstrap.

    Returns:
        `threshold`; `measured`: words -> as `classification.measures`; `rows`: as `operating_points`.
    """
    threshold = chosen_threshold(next(iter(tables.values())), _CLASSES)
    kept = {words: table for words, table in tables.items() if len(table)}
    return {
        "threshold": threshold,
        "measured": {words: measures(table, _CLASSES, seed).to_json() for words, table in kept.items()},
        "rows": operating_points(kept, _CLASSES, threshold, seed),
    }
