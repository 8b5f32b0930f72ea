"""Film -> lung mask with a packaged model (no torch)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import ModelPackageError
from lunglens.film.lungs.postprocess import LungMask, lung_mask
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.film.preprocess import Floats, film_square


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the lung network says of one film.

    film: (S, S) float32, 0..1, the squashed film it saw.
    mask: the post-processed lungs.
    features: (C,) float32, pooled features of its deepest level, for the gate.
    """

    film: Floats
    mask: LungMask
    features: NDArray[np.float32]


def segment_film(pixels: Floats, package: ModelPackage[Any], settings: Postprocess) -> Segmentation:
    """Segment the lungs of (H, W) pixels in 0..1, bright = dense."""
    return segment_square(film_square(pixels, package.input_size), package, settings)


def segment_square(film: Floats, package: ModelPackage[Any], settings: Postprocess) -> Segmentation:
    """The same for a film that `film_square` has already brought to the network's size."""
    assert_gives(settings, package)
    outputs = package.run(film[None, None])
    return Segmentation(film, lung_mask(outputs["probability"][0], settings), outputs["features"][0])


def assert_gives(settings: Postprocess, package: ModelPackage[LungsParameters]) -> None:
    """Check that a lungs package has what post-processing needs.

    Raises:
        ModelPackageError: it wants the whole lung, and the package gives the fields alone.
    """
    if settings.region == "network" and "region" not in package.parameters.masks:
        raise ModelPackageError(
            f"{package.folder}: gives the lung fields alone, and the classifier needs the whole lung (region); "
            "give a lungs package of two masks, or a classifier that was trained without"
        )
