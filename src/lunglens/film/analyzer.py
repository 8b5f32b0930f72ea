"""Film -> finding: gate, lungs, post-processing, classifier, heat-map. No torch."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.film.finding import Finding, Lung
from lunglens.film.gate.judge import GateResult
from lunglens.film.gate.look import Look, look_at
from lunglens.film.heatmap import heat_on_film, heat_share
from lunglens.film.lungs.postprocess import lung_mask
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models
from lunglens.film.model_package.record import ClassifierParameters, LungsParameters, OrientationParameters
from lunglens.film.orientation import AS_STORED
from lunglens.film.preprocess import Mask, classifier_view, cut_to_lungs, film_square, resize_mask
from lunglens.film.radiograph import Radiograph, radiograph_from_array, read_radiograph

# Montgomery's 138 films, whose pixels are known to be 0.0875 mm: masks of 149 to 599 cm2, both lungs, at the detector.
PLAUSIBLE_CM2 = (100, 800)
MOST_UNEQUAL = 2.0  # larger : smaller lung; above it 7 of 415 accepted adult films (benchmarks/doubted_films.py)


@dataclass(frozen=True)
class Analyzer:
    """The models, loaded once and used for many films."""

    lungs: ModelPackage[LungsParameters]
    classifier: ModelPackage[ClassifierParameters]
    orientation: ModelPackage[OrientationParameters]

    @classmethod
    def load(cls, lungs: Path | None = None, classifier: Path | None = None) -> "Analyzer":
        """Load packages; `None` is the one that ships.

        Raises:
            ModelPackageError: a package is missing, damaged or of the other kind.
        """
        models = shipped_models()
        return cls(
            load_package(lungs or models / "lungs", "lungs"),
            load_package(classifier or models / "classifier", "classification"),
            load_package(models / "orientation", "orientation"),
        )

    def prepare(self) -> None:
        """Load the graphs now: what is wrong with a model is no film's fault.

        Raises:
            ModelPackageError: one cannot be run.
        """
        for package in (self.lungs, self.classifier, self.orientation):
            package.prepare()

    def analyze(self, film: Radiograph) -> Finding:
        """The whole answer for one film; a film the gate refuses gives a finding without a probability."""
        clock = _Clock()
        look = look_at(film, self.lungs, self.orientation)
        clock.lap("lungs")
        common: dict[str, Any] = {
            "radiograph": film,
            "reason": look.gate.reason,
            "reason_code": look.gate.reason_code,
            "gate_score": look.gate.frontal_score,
            "inverted": look.inverted,
            "to_display": look.to_display,
            "mirrored": look.mirrored,
            "models": {part: getattr(self, part).name for part in ("lungs", "classifier", "orientation")},
        }
        warnings = _warnings(film, look)
        if not look.gate.accepted:
            return Finding(status="refused", warnings=warnings, seconds=clock.laps, **common)
        answer = self._classify(look)
        clock.lap("classifier")
        left, right = (_lung(side, film) for side in look.sides())
        settings = self.lungs.parameters.postprocess
        if look.segmentation.mask.region_area_px < settings.min_area_px:
            warnings += (f"small lungs: below the paper's quality threshold of {settings.min_area_px} px",)
        warnings += _doubtful_lungs(left, right)
        share = answer["heat_share_in_lungs"]
        if share is not None and share < answer["region_share"]:
            warnings += (
                "the heat does not prefer the lungs to their surroundings: the answer may rest on the outline",
            )
        return Finding(
            status="analyzed",
            lungs=look.lungs(),
            left=left,
            right=right,
            warnings=warnings,
            seconds=clock.laps,
            **answer,
            **common,
        )

    def segment(self, film: Radiograph) -> tuple[Mask, GateResult]:
        """Only the lungs: (H, W) bool at the film's size and as it is stored, and what the gate says of the film."""
        look = look_at(film, self.lungs, self.orientation)
        return look.lungs(), look.gate

    def _classify(self, look: Look) -> dict[str, Any]:
        parameters = self.classifier.parameters
        view = parameters.view
        pixels = look.pixels
        # The region is the classifier's matter: with the settings that it was trained with.
        mask = look.segmentation.mask
        if parameters.postprocess != self.lungs.parameters.postprocess:
            mask = lung_mask(mask.probability, parameters.postprocess)
        region = resize_mask(mask.region, view.film_size, view.film_size)
        same_size = view.film_size == self.lungs.input_size
        square = look.segmentation.film if same_size else film_square(pixels, view.film_size)
        image, lungs, box = classifier_view(square, region, view)
        seen = cut_to_lungs(image, lungs) if view.cut else image
        outputs = self.classifier.run(seen[None, None])
        probability, threshold = float(outputs["probability"][0]), float(parameters.answer.threshold or 0)
        heat = look.displayed(heat_on_film(outputs["heat"][0], box, view.film_size, pixels.shape))
        top, left, bottom, right = (edge / view.film_size for edge in box)
        return {
            "covid_probability": probability,
            "threshold": threshold,
            "decision": "covid" if probability >= threshold else "not covid",
            "heat": look.to_display.undo(heat),
            "heat_share_in_lungs": heat_share(outputs["heat"][0], lungs),
            "region_share": float(lungs.mean()),
            "classifier_view": look.displayed(seen),
            "view_box": (top, 1 - right, bottom, 1 - left) if look.mirrored else (top, left, bottom, right),
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


def _warnings(film: Radiograph, look: Look) -> tuple[str, ...]:
    warnings = list(film.warnings)
    if film.doubt is not None and look.gate.accepted:  # a refusal gives it as a reason
        warnings.insert(0, f"{film.doubt}: the pixels decide")
    if look.inverted:
        warnings.append("the film's polarity is inverted (air bright): corrected before the analysis")
    warnings += _orientation_warnings(film, look)
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


def _orientation_warnings(film: Radiograph, look: Look) -> list[str]:
    """What the pixels say of the film's orientation, where it is not what the header says, or it says nothing."""
    stated = film.to_display or AS_STORED
    warnings: list[str] = []
    if look.to_display != stated:
        turn = stated.inverse().then(look.to_display)
        against = ", against its header" if film.to_display is not None else ""
        warnings.append(f"the film was {turn.words}, judged by its pixels{against}: check left and right")
    if look.mirrored:
        warnings.append("heart on the wrong side: mirrored film or dextrocardia; left and right may be swapped")
    return warnings
