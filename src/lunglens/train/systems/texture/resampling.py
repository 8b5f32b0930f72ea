"""Making rare classes more frequent and clearing borders, by imbalanced-learn: of training rows alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, SVMSMOTE, BorderlineSMOTE
from imblearn.under_sampling import AllKNN, EditedNearestNeighbours, RepeatedEditedNearestNeighbours, TomekLinks
from numpy.typing import NDArray

from lunglens.errors import DataError
from lunglens.train.systems.texture.options import Resampling

Features = NDArray[np.float32]
Classes = NDArray[np.int64]


def resample(features: Features, classes: Classes, how: Resampling, seed: int) -> tuple[Features, Classes]:
    """Rows with others made between two of a class, and without those among another class.

    A made row lies on the line between a row and one of its 5 nearest of its class: of as many as there are, where a
    class has fewer.

    Args:
        features: (N, F), scaled; of the training part alone.
        classes: (N,) numbers.
        how: imbalanced-learn's method.
        seed: of the draws.

    Raises:
        DataError: the rows do not allow it.
    """
    if how == "none":
        return features, classes
    counts = np.unique(classes, return_counts=True)[1]
    try:
        sampler = _SAMPLERS[how](max(1, min(5, int(counts.min()) - 1)), seed)
        found, labels = sampler.fit_resample(features, classes)
    except (ValueError, RuntimeError) as error:
        raise DataError(f"resampling {how}: {error}. Take another method, or none") from error
    if len(np.unique(labels)) < len(counts):
        raise DataError(f"resampling {how}: leaves nothing of a class. Take another method, or none")
    return np.asarray(found, np.float32), np.asarray(labels, np.int64)


def counts_of(before: tuple[Features, Classes], after: tuple[Features, Classes]) -> list[dict[str, int]]:
    """What resampling did, a class: films before, of them kept, and rows that are no film's."""
    films = {row.tobytes() for row in before[0]}
    real = np.array([row.tobytes() in films for row in after[0]])
    return [
        {
            "class": int(number),
            "films": int((before[1] == number).sum()),
            "kept": int((real & (after[1] == number)).sum()),
            "made": int((~real & (after[1] == number)).sum()),
        }
        for number in np.unique(before[1])
    ]


def _smote(k: int, seed: int) -> Any:
    return SMOTE(k_neighbors=k, random_state=seed)


_SAMPLERS: dict[str, Callable[[int, int], Any]] = {
    "adasyn": lambda k, seed: ADASYN(n_neighbors=k, random_state=seed),
    "smote": _smote,
    "borderline-1": lambda k, seed: BorderlineSMOTE(k_neighbors=k, kind="borderline-1", random_state=seed),
    "borderline-2": lambda k, seed: BorderlineSMOTE(k_neighbors=k, kind="borderline-2", random_state=seed),
    "svm-smote": lambda k, seed: SVMSMOTE(k_neighbors=k, random_state=seed),
    "allknn": lambda *_: AllKNN(),
    "enn": lambda *_: EditedNearestNeighbours(),
    "renn": lambda *_: RepeatedEditedNearestNeighbours(),
    "tomek": lambda *_: TomekLinks(),
    "smote-enn": lambda k, seed: SMOTEENN(smote=_smote(k, seed), random_state=seed),
    "smote-tomek": lambda k, seed: SMOTETomek(smote=_smote(k, seed), random_state=seed),
}
