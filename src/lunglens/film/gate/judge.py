"""The gate at analysis time: rules on the lung mask, and two small linear checks on the lung network's features."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.film.language import joined, say
from lunglens.film.lungs.postprocess import MASK_SIZE
from lunglens.film.lungs.segmenter import Segmentation
from lunglens.film.model_package.record import Check
from lunglens.film.preprocess import STRETCH_PERCENTILES, Floats

# Of 415 adult frontal films of seven sources, 4 fall between the gate's own threshold and this one; of 40 upper thirds
# of films, which show the neck and no whole lung, 7 of the 12 that pass the first (benchmarks/doubted_films.py).
MIN_DOUBTED_SCORE = 0.6


@dataclass(frozen=True)
class LinearCheck:
    """A logistic regression on standardised features: its score is a probability."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float
    threshold: float

    def score(self, features: NDArray[Any]) -> float:
        """Probability of the positive class for (C,) features; values far outside the training range are clipped."""
        standard = np.clip((features - self.mean) / self.scale, -8, 8)
        return float(1 / (1 + np.exp(-np.clip(standard @ self.weights + self.bias, -60, 60))))

    @classmethod
    def of(cls, check: Check) -> "LinearCheck":
        """The check of a model package."""
        mean, scale, weights = (np.asarray(values, np.float64) for values in (check.mean, check.scale, check.weights))
        return cls(mean, scale, weights, check.bias, check.threshold)

    def to_parameters(self) -> dict[str, Any]:
        """Lists for a model package, rounded to what the check needs."""
        lists = {name: [float(f"{v:.6g}") for v in getattr(self, name)] for name in ("mean", "scale", "weights")}
        return lists | {"bias": float(self.bias), "threshold": float(self.threshold)}


@dataclass(frozen=True)
class GateResult:
    """accepted, or the reason in words and as a machine word; areas of the two lungs as shares of the film.

    reason_code: "blank", "no-lungs", "not-plausible", "one-lung" or "not-frontal". frontal_score: 0..1.
    """

    accepted: bool
    reason: str | None
    frontal_score: float
    left_share: float
    right_share: float
    reason_code: str | None = None


def judge(pixels: Floats, segmentation: Segmentation, frontal: LinearCheck) -> GateResult:
    """Decide whether the film is answered.

    Args:
        pixels: (H, W), 0..1, the film as read.
        segmentation: what the lung network made of it.
        frontal: the learned check.
    """
    left, right = segmentation.mask.sides
    size = segmentation.mask.fields.size
    score = frontal.score(gate_features(segmentation))
    shares = float(left.sum() / size), float(right.sum() / size)
    reason = _blank(pixels) or _implausible(*shares) or _not_frontal(score, frontal.threshold)
    code, words = reason or (None, None)
    return GateResult(reason is None, words, score, *shares, reason_code=code)


def weigh_doubt(gate: GateResult, doubt: str | None) -> GateResult:
    """Ask more of a film whose header speaks against a frontal chest radiograph; a refusal then gives both reasons."""
    if doubt is None:
        return gate
    code, words = gate.reason_code, gate.reason
    if words is None:
        code, words = _not_frontal(gate.frontal_score, MIN_DOUBTED_SCORE) or (None, None)
    return replace(gate, accepted=words is None, reason=words and joined("; ", [words, doubt]), reason_code=code)


def gate_features(segmentation: Segmentation) -> NDArray[np.float64]:
    """Pooled network features and the mask's geometry, (C + 8,)."""
    return np.concatenate([segmentation.features.astype(np.float64), _geometry(segmentation)])


def _geometry(segmentation: Segmentation) -> NDArray[np.float64]:
    fields, probability = segmentation.mask.fields, segmentation.mask.probability
    left, right = (side.mean() for side in segmentation.mask.sides)
    if not fields.any():
        return np.zeros(8)
    rows, columns = np.divmod(np.flatnonzero(fields), fields.shape[1])
    spread = [value / MASK_SIZE for value in (rows.mean(), columns.mean(), rows.std(), columns.std())]
    unsure = float(((probability > 0.1) & (probability < 0.9)).mean())
    return np.array([left, right, abs(left - right), *spread, unsure])


Reason = tuple[str, str] | None  # machine word, and words


def _blank(pixels: Floats) -> Reason:
    """Whether the values hardly differ, whatever their scale: all but the outermost hundredth are the same."""
    low, high = np.percentile(pixels[::4, ::4], STRETCH_PERCENTILES)
    return ("blank", say("the film is blank: its values hardly differ")) if low == high else None


def _implausible(left: float, right: float) -> Reason:
    if left + right < 0.04:
        share = 100 * (left + right)
        return "no-lungs", say("no lungs found: lung area {share:.0f}% of the film (at least 4 %)", share=share)
    if left + right > 0.70:
        share = 100 * (left + right)
        return "not-plausible", say("not plausible as lungs: {share:.0f}% of the film (at most 70 %)", share=share)
    if min(left, right) < 0.06 * max(left, right):
        return "one-lung", say("only one lung region found: both lungs are needed")
    return None


def _not_frontal(score: float, threshold: float) -> Reason:
    if score < threshold:
        words = say(
            "does not look like a frontal chest radiograph (score {score:.2f}, at least {threshold:.2f})",
            score=score,
            threshold=threshold,
        )
        return "not-frontal", words
    return None
