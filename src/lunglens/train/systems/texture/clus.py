"""A predictive clustering tree over a hierarchy of classes, as Clus-HMC grows it, by scikit-learn's regression tree.

Clus splits where the variance of the 0/1 vectors of all nodes of the hierarchy falls most, a node at depth d weighing
0.75^d. The summed squared error of targets times the roots of the weights is that variance. A leaf answers with its
mean vector. Clus stops by an F-test; here the smallest leaf is chosen on the validation films.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeRegressor

from lunglens.errors import ConfigurationError

_DECAY = 0.75
_LEAVES = (1, 2, 5, 10, 20)
Floats = NDArray[np.float64]
Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Classes and the groups above them.

    members: (nodes, classes) bool, which classes a node holds; the classes themselves first. above: of each node the
    number of its parent, -1 at the top. weights: (nodes,), 1 at the top.
    """

    members: NDArray[np.bool_]
    above: list[int]
    weights: Floats

    @classmethod
    def of(cls, classes: Sequence[str], parents: Mapping[str, str]) -> "Hierarchy":
        """Read `options.parents`.

        Raises:
            ConfigurationError: it goes in a circle, or names something that no class belongs to.
        """
        groups = [name for name in dict.fromkeys(parents.values()) if name not in classes]
        names = [*classes, *groups]
        if unknown := [name for name in parents if name not in names]:
            raise ConfigurationError(f"hierarchy: {', '.join(unknown)} is no class and no group of one")
        lines = {name: _line(name, parents) for name in names}
        members = np.array([[name in lines[one] for one in classes] for name in names])
        if not members.any(1).all():
            raise ConfigurationError("hierarchy: names a group without classes")
        above = [names.index(parents[name]) if name in parents else -1 for name in names]
        return cls(members, above, np.array([_DECAY ** (len(lines[name]) - 1) for name in names]))

    def walk(self, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
        """(N, classes) -> (N,) classes, going from the top to the most probable node below, as Clus' users decide."""
        nodes, above = probabilities @ self.members.T, np.array(self.above)
        has_more = np.isin(np.arange(-1, len(above)), above)  # from the top, -1, on
        at = np.full(len(nodes), -1)
        while has_more[at + 1].any():
            best = np.where(above == at[:, None], nodes, -1).argmax(1)
            at = np.where(has_more[at + 1], best, at)
        return at


def _line(name: str, parents: Mapping[str, str]) -> list[str]:
    """A name and what stands above it."""
    line = [name]
    while line[-1] in parents:
        line.append(parents[line[-1]])
        if len(line) > len(parents) + 1:
            raise ConfigurationError(f"hierarchy: {name} stands above itself")
    return line


def grow(training: Rows, validation: Rows, hierarchy: Hierarchy, seed: int) -> DecisionTreeRegressor:
    """The tree with the smallest leaf that decides best (macro F1) on the validation films; of equals the larger."""
    targets = hierarchy.members.T[training[1]] * np.sqrt(hierarchy.weights)
    grown = [
        DecisionTreeRegressor(min_samples_leaf=least, random_state=seed).fit(training[0], targets) for least in _LEAVES
    ]
    decided = [hierarchy.walk(tree.predict(validation[0]) @ to_classes(hierarchy)) for tree in grown]
    scores = [f1_score(validation[1], decision, average="macro", zero_division=0) for decision in decided]
    return grown[max(range(len(grown)), key=lambda k: (scores[k], k))]


def to_classes(hierarchy: Hierarchy) -> Floats:
    """(nodes, classes): what turns a leaf's vector into the probabilities of the classes."""
    nodes, classes = hierarchy.members.shape
    return np.eye(nodes, classes) / np.sqrt(hierarchy.weights)[:, None]
