"""Film -> finding: gate, lungs, post-processing, classifier, heat-map. No torch."""

import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from lunglens.errors import LungLensError
from lunglens.film.about import PREVALENCE
from lunglens.film.abstention import reasons_to_abstain
from lunglens.film.answer import Answer
from lunglens.film.film_warnings import doubtful_sizes, film_warnings
from lunglens.film.finding import Analyzed, Finding, Lung, Opacity, Refused
from lunglens.film.gate.judge import GateResult
from lunglens.film.gate.look import Look, look_at
from lunglens.film.gate.traits import Trait, projection, trait_warnings, traits_of
from lunglens.film.heatmap import FULL_HEAT, heat_of_activation, heat_of_evidence, heat_share
from lunglens.film.inputs import Film, is_several, to_radiograph
from lunglens.film.language import say
from lunglens.film.lungs.cardiothoracic import cardiothoracic
from lunglens.film.lungs.doubt import doubts
from lunglens.film.lungs.postprocess import lung_mask
from lunglens.film.lungs.segmenter import assert_gives
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models
from lunglens.film.model_package.record import (
    COVID,
    ClassifierParameters,
    LungsParameters,
    OrientationParameters,
    SeverityParameters,
)
from lunglens.film.model_package.session import Device
from lunglens.film.preprocess import Floats, Mask, classifier_view, film_square, network_input, resize_mask
from lunglens.film.radiograph import Radiograph
from lunglens.film.severity import ZONES, Severity, grades_of_places, lungs_box, zone_scores

Spacing = tuple[float, float]  # mm between rows, between columns
Several = Sequence[Film]


class Segmented(NamedTuple):
    """The lungs of a film alone: (H, W) bool masks at its size and as it is stored, and what the gate says of it.

    region: the whole lung; None from a lungs package that gives the fields alone.
    """

    lungs: Mask
    region: Mask | None
    gate: GateResult


@dataclass(frozen=True)
class Analyzer:
    """The models, loaded once and used for many films.

    prevalence: share of the first of two classes among the reader's patients, above 0 and below 1.

    >>> analyzer = Analyzer.load()
    >>> analyzer.analyze(np.full((512, 512), 7)).reason
    'the film is blank: its values hardly differ'
    """

    lungs: ModelPackage[LungsParameters]
    classifier: ModelPackage[ClassifierParameters]
    orientation: ModelPackage[OrientationParameters]
    severity: ModelPackage[SeverityParameters] | None = None
    prevalence: float = PREVALENCE

    def __post_init__(self) -> None:
        assert_gives(self.classifier.parameters.postprocess, self.lungs)

    @classmethod
    def load(
        cls,
        lungs: str | Path | None = None,
        classifier: str | Path | None = None,
        prevalence: float = PREVALENCE,
        device: Device = "cpu",
    ) -> "Analyzer":
        """Load packages from their folders; `None` is the one that ships. Severity comes with a COVID classifier alone.

        Args:
            lungs, classifier: folder, or the name of one that ships.
            prevalence: as above.
            device: where all networks run: "cpu", "openvino" or "cuda". Answers differ by less than 1e-3.

        Raises:
            ModelPackageError: a package is missing, damaged or for another task, or the classifier needs a mask that
                the lungs package does not give.
        """
        models = shipped_models()
        found = load_package(classifier or models / "classifier", "classification")
        tells_covid = any(entry.name == COVID for entry in found.parameters.answer.classes)
        return cls(
            load_package(lungs or models / "lungs", "lungs").on(device),
            found.on(device),
            load_package(models / "orientation", "orientation").on(device),
            load_package(models / "severity", "severity").on(device) if tells_covid else None,
            prevalence,
        )

    def prepare(self) -> None:
        """Load the graphs now: what is wrong with a model is no film's fault.

        Raises:
            DeviceError: the device cannot be had.
            ModelPackageError: one cannot be run.
        """
        for package in self.packages.values():
            package.prepare()

    @property
    def packages(self) -> dict[str, ModelPackage[Any]]:
        """By part."""
        found: dict[str, ModelPackage[Any]] = {"lungs": self.lungs, "classifier": self.classifier}
        found["orientation"] = self.orientation
        return found if self.severity is None else found | {"severity": self.severity}

    @property
    def fingerprints(self) -> list[str]:
        """Of the packages, and of the prevalence where it is reckoned with: answers change with these."""
        found = [package.fingerprint for package in self.packages.values()]
        calibrated = self.classifier.parameters.answer.calibration is not None
        return [*found, f"prevalence {self.prevalence}"] if calibrated else found

    @overload
    def analyze(self, film: Film, *, spacing_mm: Spacing | None = None) -> Analyzed | Refused: ...  # type: ignore[overload-overlap]
    @overload
    def analyze(self, film: Several, *, spacing_mm: Spacing | None = None) -> list[Analyzed | Refused]: ...  # type: ignore[overload-overlap]
    @overload
    def analyze(self, film: Iterable[Film], *, spacing_mm: Spacing | None = None) -> Iterator[Analyzed | Refused]: ...
    def analyze(self, film: Any, *, spacing_mm: Spacing | None = None) -> Any:
        """The whole answer for a film, or why the gate refuses it; the same for each of several films.

        Args:
            film: path of a DICOM, PNG, JPEG or TIFF file, its bytes, an open file, a picture of Pillow, a data set of
                pydicom, an array or tensor (H, W), (1, H, W), (H, W, 1), (H, W, 3) or (H, W, 4), bright = dense, or a
                `Radiograph`. Or several of them: of what has a length (a list, a column of paths) all answers are given
                as a list; of any other iterable one after the other, as they are asked for, so that it may be endless.
            spacing_mm: (row, column) pixel spacing, for arrays.

        Raises:
            UnreadableImageError: a film cannot be read as one radiograph. Of several the text says which: "film 3: ",
                counted from 0; those before it have been answered.
            NotAChestRadiographError: its header says that it is something else.
        """
        if not is_several(film):
            return self._analyze(to_radiograph(film, spacing_mm))
        answers = self._each(film, spacing_mm)
        return list(answers) if isinstance(film, Sized) else answers

    def _each(self, films: Iterable[Film], spacing_mm: Spacing | None) -> Iterator[Analyzed | Refused]:
        for number, film in enumerate(films):
            try:
                radiograph = to_radiograph(film, spacing_mm)
            except LungLensError as error:
                raise type(error)(f"film {number}: {error}", **vars(error)) from error
            yield self._analyze(radiograph)

    def _analyze(self, film: Radiograph) -> Analyzed | Refused:
        clock = _Clock()
        look = look_at(film, self.lungs, self.orientation)
        clock.lap("lungs")
        of_all = Finding(
            radiograph=film,
            classes=self.classifier.parameters.answer.classes,
            gate_score=look.gate.frontal_score,
            inverted=look.inverted,
            to_display=look.to_display,
            mirrored=look.mirrored,
            warnings=film_warnings(film, look),
            models={part: package.name for part, package in self.packages.items()},
            seconds=clock.laps,
        )
        if look.gate.reason is not None:
            return Refused(reason=look.gate.reason, reason_code=look.gate.reason_code or "other", **vars(of_all))
        traits = self._traits(look)
        found = self._classify(look, of_all)
        clock.lap("classifier")
        if self.severity is not None:
            found = replace(found, severity=_severity(look, self.severity))
            clock.lap("severity")
        lungs = (*doubts(look.segmentation.mask, self.lungs.parameters), *doubtful_sizes(found.left, found.right))
        warnings = (*trait_warnings(film, traits), *self._doubts(look, found), *lungs)
        settings = self.classifier.parameters.answer
        withheld = reasons_to_abstain(
            settings, found.answer, film, traits, doubtful_lungs=bool(lungs), distance=found.distance
        )
        return replace(
            found,
            projection=projection(film, traits),
            cardiothoracic=None if lungs else cardiothoracic(*look.sides),
            warnings=(*found.warnings, *warnings),
            withheld=tuple(withheld),
        )

    def _traits(self, look: Look) -> dict[str, Trait]:
        gate = self.lungs.parameters.gate
        return traits_of(look.segmentation, {} if gate is None else gate.traits)

    def _doubts(self, look: Look, found: Analyzed) -> Iterator[str]:
        """Warnings about an answer."""
        least_px = self.lungs.parameters.postprocess.min_area_px
        if look.segmentation.mask.region_area_px < least_px:
            yield say("small lungs: below the paper's quality threshold of {least} px", least=least_px)
        if found.heat_share_in_lungs is not None and found.heat_share_in_lungs < found.region_share:
            yield say("the heat does not prefer the lungs to their surroundings: the answer may rest on the outline")

    def segment(self, film: Film) -> Segmented:
        """Only the lungs, and what the gate says of the film."""
        look = look_at(to_radiograph(film), self.lungs, self.orientation)
        return Segmented(look.lungs(), look.region() if self._gives_region else None, look.gate)

    @property
    def _gives_region(self) -> bool:
        """Whether the lungs package tells the whole lung, and not only the fields."""
        return self.lungs.parameters.postprocess.region == "network"

    def _classify(self, look: Look, of_all: Finding) -> Analyzed:
        """The finding; `of_all`: what it has in common with a refused one."""
        parameters, view = self.classifier.parameters, self.classifier.parameters.view
        # The region is the classifier's matter: with the settings that it was trained with.
        mask = look.segmentation.mask
        if parameters.postprocess != self.lungs.parameters.postprocess:
            mask = lung_mask(mask.maps, parameters.postprocess)
        region = resize_mask(mask.region, view.film_size, view.film_size)
        same_size = view.film_size == self.lungs.input_size
        square = look.segmentation.film if same_size else film_square(look.pixels, view.film_size)
        image, lungs, box = classifier_view(square, region, view)
        given = network_input(image, lungs, view)
        outputs = self.classifier.run(given)
        answer = Answer.of(parameters.answer, outputs["probability"][0], self.prevalence)
        coarse, heat, share = _heat_of(outputs, answer), None, None
        if coarse is not None and view.pool == "region":
            heat = heat_of_evidence(coarse / np.float32(FULL_HEAT), region, box)
            share = 1.0 if heat.strongest > 0 else None
        elif coarse is not None:
            heat, share = heat_of_activation(coarse, box, view.film_size), heat_share(coarse, lungs)
        top, left, bottom, right = (edge / view.film_size for edge in box)
        left_lung, right_lung = (_lung(side, look.film) for side in look.sides)
        return Analyzed(
            answer=answer,
            distance=float(outputs["distance"][0]) if "distance" in outputs else None,
            opacity=_opacity(outputs, parameters),
            lung_square=look.displayed(look.segmentation.mask.fields),
            left=left_lung,
            right=right_lung,
            heat_map=heat and heat.turned(look.displayed),
            region_square=look.displayed(look.segmentation.mask.region) if self._gives_region else None,
            heat_full=FULL_HEAT if view.pool == "region" else None,
            heat_share_in_lungs=share,
            region_share=float(lungs.mean()),
            classifier_view=look.displayed(given[0, 0]),
            view_box=(top, 1 - right, bottom, 1 - left) if look.mirrored else (top, left, bottom, right),
            **vars(of_all),
        )


@cache
def _shipped() -> Analyzer:
    return Analyzer.load()


@overload
def analyze(film: Film, *, spacing_mm: Spacing | None = None) -> Analyzed | Refused: ...  # type: ignore[overload-overlap]
@overload
def analyze(film: Several, *, spacing_mm: Spacing | None = None) -> list[Analyzed | Refused]: ...  # type: ignore[overload-overlap]
@overload
def analyze(film: Iterable[Film], *, spacing_mm: Spacing | None = None) -> Iterator[Analyzed | Refused]: ...
def analyze(film: Any, *, spacing_mm: Spacing | None = None) -> Any:
    """`Analyzer.analyze` with the models that ship: a film, or several, of whatever kind.

    >>> refused = analyze(np.tile(np.linspace(0, 1, 256), (256, 1)))
    >>> refused.status, refused.reason_code
    ('refused', 'no-lungs')
    >>> [finding.status for finding in analyze([np.eye(64), np.eye(99)])]
    ['refused', 'refused']
    """
    return _shipped().analyze(film, spacing_mm=spacing_mm)


def _severity(look: Look, package: ModelPackage[SeverityParameters]) -> Severity | None:
    """Of a film seen mirrored the sides are exchanged, as those of the lungs are; None where there are no six zones."""
    fields = look.segmentation.mask.fields
    box = lungs_box(film_square(look.pixels, len(fields)), fields, package.input_size)
    if box is None:
        return None
    maps, offsets = package.run(box.image[None, None])["maps"][0], np.array(package.parameters.offsets)
    scores = zone_scores(maps, box, offsets)
    if look.mirrored:
        scores = np.roll(scores, len(ZONES) // 2)
    region = look.segmentation.mask.region
    places = heat_of_evidence(grades_of_places(maps, box, offsets), region, box.box).at(*region.shape)
    zones = dict(zip(ZONES, scores.tolist(), strict=True))
    return Severity(zones, package.parameters.within, look.displayed(places))


def _opacity(outputs: dict[str, Floats], parameters: ClassifierParameters) -> Opacity | None:
    if parameters.opacity is None:
        return None
    return Opacity(float(outputs["opacity"][0]), parameters.opacity.threshold)


def _heat_of(outputs: dict[str, Floats], answer: Answer) -> Floats | None:
    """The heat (h, w) of the class that it is shown for; None from a network that has no maps."""
    if "heat" not in outputs:
        return None
    heat: Floats = outputs["heat"][0]
    return heat if answer.threshold is not None else np.asarray(heat[list(answer.probabilities).index(answer.decision)])


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
