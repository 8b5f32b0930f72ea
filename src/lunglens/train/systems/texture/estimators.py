"""scikit-learn's estimators with the published settings, fitted on descriptors and written as ONNX (never pickled)."""

import warnings
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from lunglens.errors import DataError
from lunglens.train.systems.texture.clus import Hierarchy, grow, to_classes
from lunglens.train.systems.texture.joining import multiplied
from lunglens.train.systems.texture.options import Kind, Resampling
from lunglens.train.systems.texture.resampling import counts_of, resample

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]
_OPSETS = {"": 18, "ai.onnx.ml": 3}


def fit_estimator(
    kind: Kind, training: Rows, validation: Rows, how: Resampling, hierarchy: Hierarchy | None, seed: int
) -> tuple[Any, list[dict[str, int]]]:
    """Scale to mean 0 and spread 1, resample and fit.

    Args:
        kind: of the estimator; its settings are those of the course script of the authors' group, but for "clus".
        training: (N, F) descriptors and (N,) classes; nothing is fitted on others, but what is said of `validation`.
        validation: rows that choose SVM's and clus's settings and calibrate SVM's probabilities.
        how: the resampling of the scaled training rows.
        hierarchy: of "clus".
        seed: of every draw.

    Returns:
        the ONNX model, (N, F) -> "probabilities" (N, K), and what resampling did.

    Raises:
        DataError: there are too few films of a class.
    """
    scaler = StandardScaler().fit(training[0])
    before = (scaler.transform(training[0]), training[1])
    after = resample(*before, how, seed)
    held_out = (scaler.transform(validation[0]), validation[1])
    if hierarchy is not None:
        tree = grow(after, held_out, hierarchy, seed)
        model = multiplied(_onnx(Pipeline([("scale", scaler), ("tree", tree)])), to_classes(hierarchy))
        return model, counts_of(before, after)
    estimator = _svm(after, held_out) if kind == "svm" else _fitted(_plain(kind, seed), after)
    return _onnx(Pipeline([("scale", scaler), (kind, estimator)])), counts_of(before, after)


def _plain(kind: Kind, seed: int) -> Any:
    if kind == "knn":
        return KNeighborsClassifier(3)
    if kind == "tree":
        return DecisionTreeClassifier(criterion="entropy", random_state=seed)
    if kind == "forest":
        return RandomForestClassifier(100, random_state=seed)
    return MLPClassifier(
        (200,), activation="logistic", solver="sgd", learning_rate_init=0.1, momentum=0.2, random_state=seed
    )


def _fitted(estimator: Any, rows: Rows) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are the setting
        return estimator.fit(*rows)


def _svm(training: Rows, validation: Rows) -> Any:
    """The kernel, C and gamma of the lowest log loss on the validation films, whose sigmoids (Platt) they also fit."""
    if len(np.unique(validation[1])) < len(np.unique(training[1])) or np.unique_counts(validation[1]).counts.min() < 2:
        raise DataError("svm needs two validation films of every class, to calibrate; take another estimator")
    found = []
    for kernel, c, gamma in product(("rbf", "poly"), (0.1, 1, 10, 100, 1000), (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)):
        machine = SVC(C=c, kernel=kernel, gamma=gamma).fit(*training)
        calibrated = CalibratedClassifierCV(FrozenEstimator(machine), cv=2).fit(*validation)
        found.append((log_loss(validation[1], calibrated.predict_proba(validation[0])), machine, calibrated))
    _, machine, best = min(found, key=lambda one: one[0])
    for part in best.calibrated_classifiers_:
        part.estimator = machine  # skl2onnx does not know the frame that keeps it from being fitted again
    best.estimator = machine
    return best


def _onnx(pipeline: Pipeline) -> Any:
    options = {id(pipeline): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else {}
    example = np.zeros((1, pipeline[0].n_features_in_), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it asks SVC for what scikit-learn will drop
        return to_onnx(pipeline, example, options=options, target_opset=_OPSETS)
