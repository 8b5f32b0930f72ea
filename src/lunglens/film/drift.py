"""Whether the films of today are like those that a classifier was judged on: what it answers, and how far they are.

A package brings the deciles of its probabilities and distances on held-out films; like films fall into the ten parts
alike. Counts say how far they do not (population stability index), and a bet on them whether chance could explain it.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lunglens.errors import DataError
from lunglens.film.finding_record import FindingRecord
from lunglens.film.model_package.record import COVID, Reference

PARTS = 10
SHIFTED = 0.25  # of the index: a convention of credit scoring, where below 0.1 counts as stable
SURE = 2.0  # decimal logarithm of the bet's gain: without drift, one series in a hundred ever reaches it
_PRIOR = 0.5  # films in each part before the first has come (Krichevsky and Trofimov 1981)


@dataclass(frozen=True)
class Drifted:
    """n: films. index: population stability index, 0 where nothing has changed. log10_gain: of the bet against that."""

    n: int
    index: float
    log10_gain: float

    @property
    def is_there(self) -> bool:
        """Whether the change is both large and beyond chance."""
        return self.index >= SHIFTED and self.log10_gain >= SURE


class Drift:
    """Counts films as they come.

    The bet is a test martingale: before each film it stakes on the parts in proportion to the films so far, and is paid
    ten times what it staked on the film's own. Without drift its gain g is ever reached with a chance of at most 1 / g
    (Ville's inequality; Shafer and Vovk 2019, Game-Theoretic Foundations), whenever one looks. The deciles themselves
    are known from `Reference.n` films only: far more films than these tell even that apart.
    """

    def __init__(self, reference: Mapping[str, Reference]) -> None:
        """reference: of the package, by number: `p_<class>`, `distance`."""
        self._edges = {name: np.array(of.deciles) for name, of in reference.items()}
        self._counts = {name: np.zeros(PARTS) for name in reference}
        self._gains = dict.fromkeys(reference, 0.0)

    def add(self, numbers: Mapping[str, float]) -> None:
        """Count a film by its numbers; those that the reference lacks, and the other way round, count nothing."""
        for name in numbers.keys() & self._edges.keys():
            counts, part = self._counts[name], int(np.searchsorted(self._edges[name], numbers[name], "right"))
            staked = (counts[part] + _PRIOR) / (counts.sum() + PARTS * _PRIOR)
            self._gains[name] += math.log10(PARTS * staked)
            counts[part] += 1

    def state(self) -> dict[str, Drifted]:
        """By number."""
        return {
            name: Drifted(int(counts.sum()), round(_index(counts), 4), round(self._gains[name], 2))
            for name, counts in self._counts.items()
        }


def numbers_of(record: FindingRecord) -> dict[str, float]:
    """What drift is told from of a film; empty of a refused one."""
    found = {f"p_{name}": value for name, value in (record.probabilities or {}).items()}
    return found if record.distance is None else found | {"distance": record.distance}


def read_numbers(table: Path) -> Iterator[dict[str, float]]:
    """Film after film of a `summary.csv`, or of a table of `lunglens predict`.

    Raises:
        DataError: it is no such table.
    """
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            if not {"path", "status"} <= set(rows.fieldnames or ()):
                raise DataError(f"{table}: has no columns path and status; give a summary.csv, or a table of predict")
            for row in rows:
                if row["status"] == "analyzed":
                    yield _numbers(row)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as a table of films ({error})") from error


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    named = {f"p_{COVID}" if name == "covid_probability" else name: value for name, value in row.items()}
    return {name: float(value) for name, value in named.items() if value and (name[:2] == "p_" or name == "distance")}


def _index(counts: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """sum (share - 0.1) ln(share / 0.1), less what chance alone gives in the mean, at least 0; empty parts as half."""
    total = counts.sum()
    if total == 0:
        return 0.0
    shares = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    found = float(((shares - 1 / PARTS) * np.log(shares * PARTS)).sum())
    return max(0.0, found - (PARTS - 1) / float(total))
