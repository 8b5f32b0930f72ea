"""Which way round a film lies, by its pixels: one small network scores all eight orientations of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import OrientationParameters
from lunglens.film.orientation import ALL_ORIENTATIONS
from lunglens.film.preprocess import Floats, resize


@dataclass(frozen=True)
class Guess:
    """What the pixels say of a film.

    quarter_turns: clockwise, 0..3, until the head is up.
    mirrored: for each number of quarter turns, whether the film turned so has its heart on the wrong side.
    """

    quarter_turns: int
    mirrored: tuple[bool, ...]


def guess_orientation(square: Floats, package: ModelPackage[OrientationParameters]) -> Guess:
    """Ask the network about a film (S, S), 0..1, from `film_square`, in any polarity."""
    scores = orientation_scores(square, package)
    wrong_side = mirror_evidence(scores) > package.parameters.mirrored_above
    turn = turn_evidence(scores)
    best = int(np.argmax(turn))
    sure = turn[best] - turn[0] > package.parameters.turned_above
    return Guess(best if sure else 0, tuple(wrong_side.tolist()))


def orientation_scores(square: Floats, package: ModelPackage[OrientationParameters]) -> NDArray[np.float32]:
    """How upright the film is after each of `ALL_ORIENTATIONS`: (8,), the differences are log odds."""
    small = resize(square, package.input_size, package.input_size)
    turned = np.stack([orientation.apply(small) for orientation in ALL_ORIENTATIONS])
    return package.run(turned[:, None])["score"]


def turn_evidence(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log evidence (..., 4) for each number of quarter turns from scores (..., 8), mirrored or not."""
    return np.asarray(np.logaddexp(scores[..., :4], scores[..., 4:]), np.float32)


def mirror_evidence(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log odds (..., 4) that the film, turned so, is mirrored; exactly the opposite for its mirror image."""
    return scores[..., 4:] - scores[..., :4]
