"""The sets of films that a run is judged on: in folds, elsewhere, within one collection, and pairs across two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lunglens.evaluate.classification import external_tables, measures
from lunglens.evaluate.predictions import EXTERNAL, cross_validated, read_predictions
from lunglens.evaluate.run_record import ClassifierRun, Measures, read_classifier_metrics

FOLDS, ELSEWHERE, WITHIN, PAIR = "folds", "elsewhere", "within", "pair"
_FEWEST = 10  # films of each class that a collection must hold


@dataclass(frozen=True, eq=False)
class Films:
    """Films of a run, what its model says of them, and how good that is.

    kind: FOLDS (all films, out of fold), ELSEWHERE (all of other collections), WITHIN (one collection that holds both
    sides) or PAIR (positives of one other collection, negatives of another). words: which, the same in every run.
    """

    kind: str
    words: str
    measures: Measures
    table: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        """Of two, the first is positive."""
        return list(self.measures.classes)


def films_of(folder: Path, run: ClassifierRun) -> list[Films]:
    """Every set of films of a finished run that holds enough of both sides.

    Raises:
        DataError: `predictions.csv` or `metrics.json` is missing or damaged.
    """
    table = read_predictions(folder / "predictions.csv", run.classes)
    metrics = read_classifier_metrics(folder)
    inside, external = cross_validated(table), table[table["fold"] == EXTERNAL]
    found = [] if metrics.pooled is None else [Films(FOLDS, "in folds", metrics.pooled, inside)]
    if len(run.classes) > 2:
        found += _against_each(inside, run.classes, run.seed)
    else:
        each = inside.groupby("source", sort=True)
        found += [Films(WITHIN, f"within {name}", metrics.by_source[str(name)], rows) for name, rows in each]
    sources = set(external["source"])
    for name, rows in external_tables(external, run.classes).items():
        kind = ELSEWHERE if name == "all" else WITHIN if name in sources else PAIR
        words = {ELSEWHERE: "elsewhere", WITHIN: f"within {name}", PAIR: name}[kind]
        found.append(Films(kind, words, metrics.external[name], rows))
    return [films for films in found if films.kind in {FOLDS, ELSEWHERE} or _has_both_sides(films)]


def _against_each(table: pd.DataFrame, classes: Sequence[str], seed: int) -> Iterator[Films]:
    """The first of several classes against each other one within each source, such as COVID against other pneumonia."""
    for source, rows in table.groupby("source", sort=True):
        for other in classes[1:]:
            both = [classes[0], other]
            pair = one_against(rows, *both)
            if set(both) == set(pair["class"]):
                yield Films(WITHIN, f"{both[0]} against {other} within {source}", measures(pair, both, seed), pair)


def one_against(table: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """The films of two of several classes, as if there were no others: their probabilities sum to 1."""
    rows = table[table["class"].isin([first, other])]
    share = (rows[f"p_{first}"] / (rows[f"p_{first}"] + rows[f"p_{other}"])).fillna(0.5)
    plain = rows[["image_id", "class", "source", "group_id", "fold"]]
    return plain.assign(**{f"p_{first}": share, f"p_{other}": 1 - share})


def _has_both_sides(films: Films) -> bool:
    return min(films.measures.classes.values()) >= _FEWEST
