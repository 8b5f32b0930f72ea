"""The Brixia score from ImageNet features of the six zones: the way that ships, and others tried beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.evaluate.severity import Scores
from lunglens.train.severity.features import Features
from lunglens.train.severity.films import ScoredFilms
from lunglens.train.severity.ridge import PENALTIES, ZoneRidge, fit_ridges, inner_errors


@dataclass(frozen=True)
class Way:
    """stages: names of `zone_features`. context: the mean of all zones counts too.

    extents: films with an extent alone are learned from as well, their sum taken from it by a line.
    """

    stages: tuple[str, ...] = ("lungs 4",)
    context: bool = True
    extents: bool = False

    def features(self, found: Mapping[str, Features]) -> Features:
        """(2, N, 6, C) of this way."""
        return np.concatenate([found[stage] for stage in self.stages], axis=-1)


SHIPPED = "shipped"
WAYS: dict[str, Way] = {
    SHIPPED: Way(),
    "with films of which the extent alone is known": Way(extents=True),
    "without the mean of the zones": Way(context=False),
    "stage 2": Way(("lungs 2",)),
    "stages 2 and 4": Way(("lungs 2", "lungs 4")),
    "stage 6": Way(("lungs 6",)),
    "boxes of the zones": Way(("boxes 4",)),
}
CHOSEN = "chosen inside each training part"


def fit_way(
    films: ScoredFilms, way: Way, features: Features, train: NDArray[np.bool_], seed: int
) -> tuple[ZoneRidge, float]:
    """One ridge, from the rows `train` alone, its penalty chosen inside them; and its error there (`inner_errors`).

    features: (2, N, 6, C) of all films.
    """
    rows = np.flatnonzero(train & films.scored)
    of, scores = features[:, rows], films.consensus[rows]
    errors = inner_errors(of, scores, films.groups[rows], seed, context=way.context)
    chosen = PENALTIES[int(errors.argmin())]
    more = _sums(films, features, train) if way.extents else None
    return fit_ridges(of, scores, [chosen], context=way.context, sums=more)[0], float(errors.min())


def predict_fold(
    films: ScoredFilms, found: Mapping[str, Features], train: NDArray[np.bool_], seed: int
) -> dict[str, Scores]:
    """(N, 6) scores of all films by every way, each fitted on the rows `train` alone, and by the one chosen in them."""
    answers: dict[str, Scores] = {}
    errors: dict[str, float] = {}
    for name, way in WAYS.items():
        features = way.features(found)
        ridge, errors[name] = fit_way(films, way, features, train, seed)
        answers[name] = ridge.scores(features[0])
    return answers | {CHOSEN: answers[min(errors, key=lambda name: errors[name])]}


def _sums(films: ScoredFilms, features: Features, train: NDArray[np.bool_]) -> tuple[Features, NDArray[np.float64]]:
    """Training films without zone scores: features, and the sums that a line through the others gives their extents."""
    known = train & films.scored & ~np.isnan(films.extent)
    slope, start = np.polyfit(films.extent[known], films.consensus[known].sum(axis=1), 1)
    rows = np.flatnonzero(train & ~films.scored & ~np.isnan(films.extent))
    return features[:, rows], slope * films.extent[rows] + start


def shipped_settings() -> dict[str, Any]:
    """What `run.json` says of the ways."""
    return {"penalties": list(PENALTIES), "ways": {name: repr(way) for name, way in WAYS.items()}}
