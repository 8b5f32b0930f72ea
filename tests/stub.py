"""An analyzer without networks, for tests of what is done with answers."""

import numpy as np

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Finding, Lung
from lunglens.film.preprocess import Mask
from lunglens.film.radiograph import Radiograph


class StubAnalyzer(Analyzer):
    """Finds two rectangles in every film; refuses what is darker than a tenth."""

    def analyze(self, film: Radiograph) -> Finding:
        """See `Analyzer`."""
        if film.pixels.mean() < 0.1:
            return Finding(film, "refused", "not a frontal chest film", 0.1, False)
        share = round(float(film.pixels.mean()), 6)
        height, width = film.pixels.shape
        lung = Lung(0.1, height * width // 10, None)
        return Finding(
            film,
            "analyzed",
            None,
            0.9,
            False,
            covid_probability=share,
            threshold=0.5,
            decision="not covid",
            lungs=_lungs(film),
            left=lung,
            right=lung,
            heat=film.pixels * 0.5,
        )


def _lungs(film: Radiograph) -> Mask:
    mask = np.zeros(film.pixels.shape, np.bool_)
    height, width = mask.shape
    mask[height // 4 : -height // 4, width // 8 : width * 3 // 8] = True
    mask[height // 4 : -height // 4, width * 5 // 8 : -width // 8] = True
    return mask
