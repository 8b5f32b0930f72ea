"""An analyzer without networks, for tests of what is done with answers."""

import numpy as np

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed, Lung, Refused
from lunglens.film.heatmap import HeatMap
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.preprocess import Mask
from lunglens.film.radiograph import Radiograph
from tests.support.findings import COVID_CLASSES, analyzed, covid_answer


class StubAnalyzer(Analyzer):
    """Finds two rectangles in every film; refuses what is darker than a tenth."""

    def _analyze(self, film: Radiograph) -> Analyzed | Refused:
        """See `Analyzer`."""
        if film.pixels.mean() < 0.1:
            reason = "not a frontal chest film"
            return Refused(
                radiograph=film, classes=COVID_CLASSES, gate_score=0.1, reason=reason, reason_code="not-frontal"
            )
        height, width = film.pixels.shape
        lung = Lung(0.1, height * width // 10, None)
        answer = covid_answer(round(float(film.pixels.mean()), 6), 1.0)
        heat = film.pixels * np.float32(0.5)
        return analyzed(film, answer=answer, lung_square=_lungs(film), left=lung, right=lung, heat_map=HeatMap(heat))


def stub_analyzer() -> StubAnalyzer:
    """A stub beside the packages that ship."""
    folder = shipped_models()
    return StubAnalyzer(
        load_package(folder / "lungs", "lungs"),
        load_package(folder / "classifier", "classification"),
        load_package(folder / "orientation", "orientation"),
    )


def _lungs(film: Radiograph) -> Mask:
    mask = np.zeros(film.pixels.shape, np.bool_)
    height, width = mask.shape
    mask[height // 4 : -height // 4, width // 8 : width * 3 // 8] = True
    mask[height // 4 : -height // 4, width * 5 // 8 : -width // 8] = True
    return mask
