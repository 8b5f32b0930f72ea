"""Film -> finding: gate, lungs, post-processing, classifier, heat-map. No torch."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.config import Postprocess, View
from lunglens.explain import heat_on_film, heat_share
from lunglens.finding import Finding, Lung
from lunglens.gate.judge import GateResult, LinearCheck, gate_features, judge, lung_sides, weigh_doubt
from lunglens.package import ModelPackage, load_package, shipped_models
from lunglens.preprocess import Mask, classifier_view, cut_to_lungs, film_square, resize_mask
from lunglens.radiograph import Radiograph, radiograph_from_array, read_radiograph
from lunglens.segment.postprocess import lung_mask
from lunglens.segment.segmenter import Segmentation, segment_film, segment_square

# Montgomery's 138 films, whose pixels are known to be 0.0875 mm: masks of 149 to 599 cm2, both lungs, at the detector.
PLAUSIBLE_CM2 = (100, 800)
MOST_UNEQUAL = 2.0  # larger : smaller lung; above it 7 of 415 accepted adult films (benchmarks/doubted_films.py)


@dataclass(frozen=True)
class Analyzer:
    """Both models, loaded once and used for many films."""

    lungs: ModelPackage
    classifier: ModelPackage

    @classmethod
    def load(cls, lungs: Path | None = None, classifier: Path | None = None) -> "Analyzer":
        """Load packages; `None` is the one that ships.

        Raises:
            ModelPackageError: a package is missing, damaged or of the other kind.
        """
        models = shipped_models()
        return cls(
            load_package(lungs or models / "lungs", "lungs"),
            load_package(classifier or models / "classifier", "classifier"),
        )

    def analyze(self, film: Radiograph) -> Finding:
        """The whole answer for one film; a film the gate refuses gives a finding without a probability."""
        clock = _Clock()
        segmentation, gate, inverted = self._look(film)
        gate = weigh_doubt(gate, film.doubt)
        clock.lap("lungs")
        common: dict[str, Any] = {
            "radiograph": film,
            "reason": gate.reason,
            "reason_code": gate.reason_code,
            "gate_score": gate.frontal_score,
            "inverted": inverted,
            "models": {"lungs": self.lungs.name, "classifier": self.classifier.name},
        }
        warnings = _warnings(film, inverted)
        if not gate.accepted:
            return Finding(status="refused", warnings=warnings, seconds=clock.laps, **common)
        answer = self._classify(film, segmentation, inverted)
        clock.lap("classifier")
        left, right = (_lung(side, film) for side in lung_sides(segmentation.mask.fields))
        settings = Postprocess.model_validate(self.lungs.parameters["postprocess"])
        if segmentation.mask.region_area_px < settings.min_area_px:
            warnings += (f"small lungs: below the paper's quality threshold of {settings.min_area_px} px",)
        warnings += _doubtful_lungs(left, right)
        share = answer["heat_share_in_lungs"]
        if share is not None and share < answer["region_share"]:
            warnings += (
                "the heat does not prefer the lungs to their surroundings: the answer may rest on the outline",
            )
        fields = resize_mask(segmentation.mask.fields, *film.pixels.shape)
        return Finding(
            status="analyzed",
            lungs=fields,
            left=left,
            right=right,
            warnings=warnings,
            seconds=clock.laps,
            **answer,
            **common,
        )

    def segment(self, film: Radiograph) -> tuple[Mask, GateResult]:
        """Only the lungs: (H, W) bool at the film's size, and what the gate says of the film."""
        segmentation, gate, _ = self._look(film)
        return resize_mask(segmentation.mask.fields, *film.pixels.shape), weigh_doubt(gate, film.doubt)

    def _look(self, film: Radiograph) -> tuple[Segmentation, GateResult, bool]:
        """Segment and judge; a film that looks inverted is turned, and kept so if the gate then accepts it."""
        settings = Postprocess.model_validate(self.lungs.parameters["postprocess"])
        checks = {name: LinearCheck.from_parameters(p) for name, p in self.lungs.parameters["gate"].items()}
        segmentation = segment_film(film.pixels, self.lungs, settings)
        gate = judge(film.pixels, segmentation, checks["frontal"])
        if checks["inverted"].score(gate_features(segmentation)) <= checks["inverted"].threshold:
            return segmentation, gate, False
        turned = segment_square(np.float32(1) - segmentation.film, self.lungs, settings)
        turned_gate = judge(film.pixels, turned, checks["frontal"])
        if turned_gate.accepted:
            return turned, turned_gate, True
        return segmentation, gate, False

    def _classify(self, film: Radiograph, segmentation: Segmentation, inverted: bool) -> dict[str, Any]:
        parameters = self.classifier.parameters
        view = View.model_validate(parameters["view"])
        pixels = np.float32(1) - film.pixels if inverted else film.pixels
        # The region is the classifier's matter: with the settings that it was trained with.
        mask = segmentation.mask
        if parameters["postprocess"] != self.lungs.parameters["postprocess"]:
            mask = lung_mask(mask.probability, Postprocess.model_validate(parameters["postprocess"]))
        region = resize_mask(mask.region, view.film_size, view.film_size)
        same_size = view.film_size == self.lungs.input_size
        square = segmentation.film if same_size else film_square(pixels, view.film_size)
        image, lungs, box = classifier_view(square, region, view)
        seen = cut_to_lungs(image, lungs) if view.cut else image
        outputs = self.classifier.run(seen[None, None])
        probability, threshold = float(outputs["probability"][0]), float(parameters["threshold"])
        return {
            "covid_probability": probability,
            "threshold": threshold,
            "decision": "covid" if probability >= threshold else "not covid",
            "heat": heat_on_film(outputs["heat"][0], box, view.film_size, film.pixels.shape),
            "heat_share_in_lungs": heat_share(outputs["heat"][0], lungs),
            "region_share": float(lungs.mean()),
            "classifier_view": seen,
            "view_box": tuple(edge / view.film_size for edge in box),
        }


_SHIPPED: list[Analyzer] = []


def analyze(source: str | Path | NDArray[Any], *, spacing_mm: tuple[float, float] | None = None) -> Finding:
    """Analyse one film with the models that ship.

    Args:
        source: path of a DICOM, PNG, JPEG or TIFF file, or an array (H, W) or (H, W, 3), bright = dense.
        spacing_mm: (row, column) pixel spacing, for an array.

    Raises:
        UnreadableImageError: the file or array cannot be read as one radiograph.
        NotAChestRadiographError: its header says that it is something else.
    """
    if not _SHIPPED:
        _SHIPPED.append(Analyzer.load())
    film = (
        radiograph_from_array(source, spacing_mm) if isinstance(source, np.ndarray) else read_radiograph(Path(source))
    )
    return _SHIPPED[0].analyze(film)


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


def _lung(side: Mask, film: Radiograph) -> Lung:
    share = float(side.mean())
    height, width = film.pixels.shape
    area_px = round(share * height * width)
    if film.spacing_mm is None:
        return Lung(share, area_px, None)
    return Lung(share, area_px, area_px * film.spacing_mm[0] * film.spacing_mm[1] / 100)


def _warnings(film: Radiograph, inverted: bool) -> tuple[str, ...]:
    warnings = list(film.warnings)
    if inverted:
        warnings.append("the film's polarity is inverted (air bright): corrected before the analysis")
    if min(film.pixels.shape) < 224:
        warnings.append("small image: shorter side under 224 px")
    return tuple(warnings)


def _doubtful_lungs(left: Lung, right: Lung) -> tuple[str, ...]:
    """Warnings about sizes that lungs hardly have: the outline, or the header's pixel spacing, may be wrong."""
    warnings: list[str] = []
    smaller, larger = sorted((left.area_px, right.area_px))
    if larger > MOST_UNEQUAL * smaller:
        larger_side = "left" if left.area_px > right.area_px else "right"
        warnings.append(f"unequal lungs: the {larger_side} one is {larger / max(smaller, 1):.1f} times the other")
    if left.area_cm2 is not None and right.area_cm2 is not None:
        both, (least, most) = left.area_cm2 + right.area_cm2, PLAUSIBLE_CM2
        if not least <= both <= most:
            warnings.append(f"implausible lung area: {both:.0f} cm2, where adults have {least} to {most}")
    return tuple(warnings)
