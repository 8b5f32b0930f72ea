"""How far the place that a film comes from, rather than the lungs on it, tells its class.

Public COVID-19 films and public normal films come from different places, and a model is happy to learn the place
(DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7). Nothing here looks at a pixel: what these numbers find, a model
can find as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats.contingency import association

from lunglens.evaluate.guess import told

FOLDS = 5
CONSTANT = "is the same for every image"
# What the file and the table say of a film, apart from what they say of the patient.
FILE_FEATURES = ("width_px", "height_px", "aspect", "bits", "border_px", "view")
# As the publisher states it; where some sources state it and others do not, that alone would tell them apart.
_ORIGINAL_FEATURES = ("original_width_px", "original_height_px")
# Whether something is stated at all: a habit of the publisher, not a property of the lungs.
_STATED_FEATURES = ("age stated", "sex stated", "view stated", "original size stated")
_PATIENT_FEATURES = ("age_years", "sex")
_CATEGORIES = ("view", "sex")


@dataclass(frozen=True)
class _Association:
    """Cramer's V of two nominal variables, 0 (independent) to 1 (one tells the other).

    v: as defined, sqrt(chi2 / (n (min(rows, columns) - 1))); too large in small tables.
    corrected: with the bias correction of Bergsma 2013 (doi:10.1016/j.jkss.2012.10.002).
    Both are None where there is nothing to relate: one row or one column.
    """

    v: float | None
    corrected: float | None


@dataclass(frozen=True)
class Guess:
    """How well some features alone tell the class, out of fold.

    auc: area under the ROC curve, pooled over the folds; the mean of one class against the rest for more than two.
    Where features tell nothing, pooling puts it a little below 0.5 rather than above.
    auc_95_ci: its 95 % bootstrap interval by group. why_not: why there is no number, else None.
    """

    features: tuple[str, ...]
    auc: float | None
    auc_95_ci: tuple[float, float] | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class _MetadataAudit:
    """The class guessed from metadata: of the file and film, from what is stated at all, of the patient, each alone.

    without_group: images left out because their group (patient) is unknown: no fold could keep them apart.
    """

    file: Guess
    stated: Guess
    patient: Guess
    alone: tuple[Guess, ...]
    without_group: int

    @property
    def worst(self) -> Guess | None:
        """The feature of the file that gives the class away best alone; None where none could be tested."""
        tested = [guess for guess in self.alone if guess.auc is not None and guess.features[0] in self.file.features]
        return max(tested, key=lambda guess: guess.auc or 0.0, default=None)


@dataclass(frozen=True, eq=False)
class Confounding:
    """The audit of a study: its table source x class and all that follows from it and from the metadata."""

    table: pd.DataFrame
    association: _Association
    share_single_class: float
    metadata: _MetadataAudit


def audit_confounding(images: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> Confounding:
    """Audit the manifest of a study: columns source, class, group_id and those that `metadata_auc` takes."""
    table = source_by_class(images, classes)
    return Confounding(table, cramers_v(table), share_single_class(table), metadata_auc(images, seed))


def source_by_class(images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Numbers of images: a row a source (sorted), a column a class (in the order given), zeros included."""
    return pd.crosstab(images["source"], images["class"]).reindex(columns=list(classes), fill_value=0)


def cramers_v(table: pd.DataFrame) -> _Association:
    """Cramer's V of a table of counts, as defined and bias-corrected.

    >>> cramers_v(pd.DataFrame([[30, 0], [0, 30]]))
    _Association(v=1.0, corrected=1.0)
    """
    counts = table.loc[table.sum(axis=1) > 0, table.sum(axis=0) > 0].to_numpy(dtype=np.int64)
    rows, columns = counts.shape
    if min(rows, columns) < 2:
        return _Association(None, None)
    v = float(association(counts, method="cramer"))
    n = int(counts.sum())
    phi2 = max(0.0, v**2 * (min(rows, columns) - 1) - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    corrected = math.sqrt(phi2 / smaller) if smaller > 0 else 0.0
    return _Association(round(v, 4), round(min(corrected, 1.0), 4))


def share_single_class(table: pd.DataFrame) -> float:
    """Share of the images, 0..1, whose source holds images of one class only; NaN for an empty table."""
    total = int(table.to_numpy().sum())
    alone = table[(table > 0).sum(axis=1) == 1]
    return int(alone.to_numpy().sum()) / total if total else math.nan


def metadata_auc(images: pd.DataFrame, seed: int = 0) -> _MetadataAudit:
    """Guess the class from metadata with boosted trees, cross-validated with whole groups and every class in each fold.

    Args:
        images: class, group_id, width_px, height_px, bits, border_px, original_width_px, original_height_px, view,
            age_years, sex; empty cells (None, NaN) are unknown, and being unknown may tell the class too.
        seed: of the folds and of the bootstrap.
    """
    known = images[images["group_id"].notna() & (images["group_id"] != "")]
    why_not = _why_not(known, sorted(images["class"].unique()))
    features = metadata_features(known)

    def guess(names: Sequence[str]) -> Guess:
        told = [name for name in names if features[name].nunique(dropna=False) > 1]
        if why_not or not told:
            return Guess(tuple(names), None, why_not=why_not or CONSTANT)
        return _cross_validated(features[told], known, tuple(told), seed)

    original = _ORIGINAL_FEATURES if bool(features[list(_ORIGINAL_FEATURES)].notna().all(axis=None)) else ()
    file = (*FILE_FEATURES, *original)
    alone = tuple(guess([name]) for name in (*file, *_STATED_FEATURES, *_PATIENT_FEATURES))
    without_group = len(images) - len(known)
    return _MetadataAudit(guess(file), guess(_STATED_FEATURES), guess(_PATIENT_FEATURES), alone, without_group)


def metadata_features(images: pd.DataFrame) -> pd.DataFrame:
    """All features named above, a row an image; NaN: unknown."""
    numbers = {
        name: pd.to_numeric(images[name]).astype(float)
        for name in (*FILE_FEATURES, *_ORIGINAL_FEATURES, *_PATIENT_FEATURES)
        if name not in ("aspect", *_CATEGORIES)
    }
    found = pd.DataFrame(numbers, index=images.index)
    found["aspect"] = found["width_px"] / found["height_px"]
    for name in _CATEGORIES:
        found[name] = images[name]
    stated = {"age": "age_years", "sex": "sex", "view": "view", "original size": "original_width_px"}
    for name, column in stated.items():
        found[f"{name} stated"] = images[column].notna().astype(float)
    return found


def grouped_folds(images: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """(N,) which of `FOLDS` folds tests the image: whole groups, each class as evenly spread as the groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    folds = np.zeros(len(images), np.int64)
    for number, (_, test) in enumerate(splitter.split(images, images["class"], images["group_id"])):
        folds[test] = number
    return folds


def _why_not(images: pd.DataFrame, classes: list[str]) -> str | None:
    if len(classes) < 2:
        return "there is one class only, so there is nothing to guess"
    groups = images.groupby("class")["group_id"].nunique().reindex(classes, fill_value=0)
    if groups.min() < FOLDS:
        return f"class {groups.idxmin()} has {groups.min()} known groups (patients), {FOLDS} folds need {FOLDS}"
    return None


def _cross_validated(features: pd.DataFrame, images: pd.DataFrame, names: tuple[str, ...], seed: int) -> Guess:
    # The trees send unknown numbers (NaN) to the side that fits; an unknown category is one of its own.
    columns = [name for name in features if name in _CATEGORIES]
    matrix = pd.get_dummies(features, columns=columns, dummy_na=True, dtype=float).to_numpy()
    target, _ = pd.factorize(images["class"], sort=True)
    found = told(matrix, target, grouped_folds(images, seed), images["group_id"].to_numpy(), seed)
    return Guess(names, found.auc, (found.interval[0], found.interval[1]) if found.interval else None)
