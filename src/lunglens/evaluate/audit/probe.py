"""T7: do the features of a network that was taught the class also name the source?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.evaluate.audit.record import AuditTest, not_done
from lunglens.evaluate.audit.verdict import level
from lunglens.evaluate.guess import told
from lunglens.evaluate.predictions import Floats

NAME = "Source told by the features"
_FOLDS, _FEWEST = 3, 10
_TOLD = {"doubt": 0.7, "shortcut": 0.9}


def source_probe(
    features: Floats, films: pd.DataFrame, groups: NDArray[Any], classes: Sequence[str], seed: int
) -> AuditTest:
    """A straight line through frozen features, from source to source among films of one class.

    Within a class the disease is the same, so what tells the source is something else. Per fold of the run, because
    each fold's network has features of its own.

    Args:
        features: (N, C).
        films: class, source and fold of the N films.
        groups: (N,) whose film it is.
        classes: of the study.
        seed: of the inner folds and the bootstrap.
    """
    rows = []
    for name in classes:
        parts = [_of_fold(features, films, groups, part, seed) for part in _parts(films, name)]
        known = [part for part in parts if part is not None]
        if known:
            n = sum(part["n"] for part in known)
            mean = {key: sum(part[key] * part["n"] for part in known) / n for key in ("auroc", "accuracy", "chance")}
            low, high = (min(part["auroc"] for part in known), max(part["auroc"] for part in known))
            rows.append({"class": name, "n": n, "folds": len(known), **_rounded(mean), "folds from": low, "to": high})
    if not rows:
        return not_done("T7", NAME, f"No class has films of two sources, {_FEWEST} patients each, in any fold.")
    worst = max(rows, key=lambda row: row["auroc"])
    return AuditTest(
        test="T7",
        name=NAME,
        what=f"AUROC of source against source among films of {worst['class']}, by a straight line through the features",
        number=worst["auroc"],
        interval=None,
        verdict=level(worst["auroc"], _TOLD),
        sentence=f"Among films of {worst['class']} the features name the source with an AUROC of {worst['auroc']:.3f}, "
        f"right for {worst['accuracy']:.0%} of the films ({worst['chance']:.0%} by always naming the largest).",
        rows=tuple(rows),
    )


def _parts(films: pd.DataFrame, name: str) -> list[NDArray[np.int64]]:
    chosen = films["class"] == name
    return [np.flatnonzero(chosen & (films["fold"] == fold)) for fold in sorted(set(films.loc[chosen, "fold"]))]


def _of_fold(
    features: Floats, films: pd.DataFrame, groups: NDArray[Any], at: NDArray[np.int64], seed: int
) -> dict[str, Any] | None:
    from sklearn.model_selection import StratifiedGroupKFold

    sources = films["source"].to_numpy(str)[at]
    patients = pd.Series(groups[at]).groupby(sources).nunique()
    at = at[np.isin(sources, patients.index[patients >= _FEWEST])]
    codes, names = pd.factorize(films["source"].to_numpy(str)[at], sort=True)
    if len(names) < 2:
        return None
    inner = np.zeros(len(at), np.int64)
    splitter = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(splitter.split(at, codes, groups[at])):
        inner[test] = number
    found = told(features[at], codes.astype(np.int64), inner, groups[at], seed, linear=True)
    accuracy = float((found.scores.argmax(axis=1) == codes).mean())
    return {"n": len(at), "auroc": found.auc, "accuracy": accuracy, "chance": float(np.bincount(codes).max() / len(at))}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
