"""When to say "cannot tell": conformal sets of classes, how often they hold what is so, and what refusing buys.

Split conformal prediction, class by class (Vovk 2012, arXiv:1209.2673), and within a class source by source: the limit
is that of the source which needs the lowest. The promise holds for films like those of the sources it was fitted on;
what is left of it elsewhere is measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lunglens.evaluate.heat import mean_with_interval
from lunglens.evaluate.predictions import EXTERNAL, Floats, codes_and_scores, cross_validated, groups_of

PROMISED = 0.9
REFUSED = (0.0, 0.1, 0.2, 0.3, 0.5)
_FEWEST = 20  # films of a source; with fewer, a limit for 0.9 is the lowest film itself


def possible_from(predictions: pd.DataFrame, classes: Sequence[str], promised: float = PROMISED) -> list[float] | None:
    """By class: the probability from which it is possible, so that this share of its films have it among theirs.

    Args:
        predictions: of films that the model was not trained on.
        classes: in the model's order.
        promised: 0..1.

    Returns:
        None where a class has no source of 20 films: nothing can be promised of it.
    """
    least: list[float] = []
    for name in classes:
        films = predictions[predictions["class"] == name]
        of_sources = [rows[f"p_{name}"].to_numpy(float) for _, rows in films.groupby("source")]
        limits = [limit_of(own, promised) for own in of_sources if len(own) >= _FEWEST]
        if not limits:
            return None
        least.append(round(min(limits), 6))
    return least


def limit_of(own: Floats, promised: float) -> float:
    """Probability of the own class (N,) that a further film like these reaches with at least the promised chance.

    >>> limit_of(np.arange(1, 20) / 20, 0.9)
    0.1
    """
    at = int(np.floor((1 - promised) * (len(own) + 1) + 1e-9))  # so many of N + 1 may lie below
    return float(np.sort(own)[at - 1]) if at else 0.0


def sets_of(scores: Floats, least: Sequence[float]) -> NDArray[np.bool_]:
    """(N, classes) which classes are possible."""
    return np.asarray(scores >= np.asarray(least) - 1e-12)


def coverage_rows(
    tables: Mapping[str, pd.DataFrame], classes: Sequence[str], least: Sequence[float], seed: int = 0
) -> list[dict[str, Any]]:
    """How often what is so is possible, how many films get one class, and how often that is the wrong one.

    Args:
        tables: words for the films -> rows of predictions.
        classes: in the model's order.
        least: from `possible_from`.
        seed: of the bootstrap.

    Returns:
        a row a set of films: films, n, covered, answered and wrong (of those answered; None of none), each a share with
        its 95 % interval by patient.
    """
    return [_row(films, table, classes, least, seed) for films, table in tables.items() if len(table)]


def risk_coverage(table: pd.DataFrame, classes: Sequence[str]) -> list[dict[str, Any]]:
    """What refusing the films that the model is least sure of buys: the mean of both classes' shares of right answers.

    Two classes. Sure: far from the threshold of these very films, so that a threshold of elsewhere costs nothing here.
    """
    positive, score = (table["class"] == classes[0]).to_numpy(), table[f"p_{classes[0]}"].to_numpy(float)
    rank = pd.Series(score).rank(method="average").to_numpy() / len(score)
    middle = float(1 - positive.mean())
    order = np.argsort(-np.abs(rank - middle), kind="stable")
    rows = []
    for share in REFUSED:
        kept = order[: round((1 - share) * len(order))]
        right = (score >= np.quantile(score, middle)) == positive
        sides = [right[kept][positive[kept] == side] for side in (True, False)]
        value = float(np.mean([side.mean() for side in sides])) if all(map(len, sides)) else None
        rows.append({"refused": share, "n": len(kept), "balanced_accuracy": None if value is None else round(value, 4)})
    return rows


def abstention_of_run(predictions: pd.DataFrame, classes: Sequence[str], seed: int) -> dict[str, Any]:
    """Of a run: limits fitted on its own films, held against films of sources that it never saw.

    Returns:
        promised, possible_from, `coverage` (`coverage_rows`: own films by limits of the other folds, then those never
        trained on, by source and class) and `risk` (words -> `risk_coverage`, of two classes). Empty where nothing
        can be promised.
    """
    inside, external = cross_validated(predictions), predictions[predictions["fold"] == EXTERNAL]
    if (least := possible_from(inside, classes)) is None:
        return {}
    rows = [row for row in [_own(inside, classes, seed)] if row]
    rows += coverage_rows(dict(_by_source_and_class(external)), classes, least, seed)
    sets = {"cross-validated": inside, "never trained on": external}
    both = {words: table for words, table in sets.items() if table["class"].nunique() == 2 == len(classes)}
    risk = {words: risk_coverage(table, classes) for words, table in both.items()}
    return {"promised": PROMISED, "possible_from": least, "coverage": rows, "risk": risk}


def _own(inside: pd.DataFrame, classes: Sequence[str], seed: int) -> dict[str, Any] | None:
    """Every film by the limits of the other folds; None where these promise nothing."""
    possible = np.zeros((len(inside), len(classes)), bool)
    for fold in set(inside["fold"]):
        tested = (inside["fold"] == fold).to_numpy()
        if (least := possible_from(inside[~tested], classes)) is None:
            return None
        possible[tested] = sets_of(codes_and_scores(inside[tested], classes)[1], least)
    return _shares("cross-validated", inside, classes, possible, seed)


def _by_source_and_class(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    if len(table):
        yield "never trained on", table
    for (source, name), rows in table.groupby(["source", "class"], sort=True):
        yield f"{name} of {source}", rows


def _row(films: str, table: pd.DataFrame, classes: Sequence[str], least: Sequence[float], seed: int) -> dict[str, Any]:
    return _shares(films, table, classes, sets_of(codes_and_scores(table, classes)[1], least), seed)


def _shares(
    films: str, table: pd.DataFrame, classes: Sequence[str], possible: NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    truth, groups = codes_and_scores(table, classes)[0], groups_of(table)
    covered = possible[np.arange(len(truth)), truth]
    answered = possible.sum(axis=1) == 1
    found: dict[str, Any] = {"films": films, "n": len(table)}
    parts = {"covered": (covered, groups), "answered": (answered, groups)}
    parts["wrong"] = (~covered[answered], groups[answered])
    for name, (values, whose) in parts.items():
        share, bounds = mean_with_interval(values.astype(np.float64), whose, seed) if len(values) else (None, None)
        found |= {name: share, f"{name}_95_ci": bounds}
    return found
