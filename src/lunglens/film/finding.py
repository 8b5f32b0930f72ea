"""What LungLens says of one film: `Analyzed` or `Refused`, both a `Finding`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, ClassVar, Literal

import numpy as np

from lunglens.film.about import NOTICE, __version__
from lunglens.film.answer import Answer, AtPrevalence
from lunglens.film.finding_record import (
    AtPrevalenceRecord,
    CardiothoracicRecord,
    FilmRecord,
    FindingRecord,
    GateRecord,
    LungRecord,
    LungsRecord,
    OpacityRecord,
    OrientationRecord,
    ProjectionRecord,
    SeverityRecord,
)
from lunglens.film.gate.traits import Projection
from lunglens.film.heatmap import HeatMap
from lunglens.film.lungs.cardiothoracic import Cardiothoracic
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.model_package.record import CANNOT_TELL, COVID, AnswerClass
from lunglens.film.orientation import AS_STORED, Orientation
from lunglens.film.preprocess import Floats, Mask, resize_mask
from lunglens.film.radiograph import Radiograph
from lunglens.film.severity import Severity


@dataclass(frozen=True)
class Lung:
    """One lung's size: its share of the film, pixels at the film's size, and cm2 where the pixel spacing is known."""

    share: float
    area_px: int
    area_cm2: float | None


@dataclass(frozen=True)
class Opacity:
    """A second answer beside the classes: is there any opacity in the lungs, whatever it is of?

    probability: 0..1, as of a class. threshold: from which it is said to be there.
    """

    probability: float
    threshold: float

    @property
    def is_there(self) -> bool:
        """The decision."""
        return self.probability >= self.threshold


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Finding:
    """What is said of every film.

    classes: what the classifier tells apart, in its package's order; of two, the first is the positive one.
    gate_score: 0..1, how much the film looks like a frontal chest radiograph.
    inverted: its polarity was turned before the analysis.
    to_display: how the film's stored pixels are turned into the usual display, by its header or by its pixels.
    mirrored: the heart seems to lie on the wrong side, and the networks saw the displayed film mirrored; left and right
    are named as if it were displayed rightly (dextrocardia).
    models: name and version by part. seconds: by stage.
    """

    status: ClassVar[Literal["analyzed", "refused"]]

    radiograph: Radiograph
    classes: Sequence[AnswerClass]
    gate_score: float
    inverted: bool = False
    to_display: Orientation = AS_STORED
    mirrored: bool = False
    warnings: tuple[str, ...] = ()
    models: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def covid_probability(self) -> float | None:
        """The probability of the class "covid", 0..1; None if the film was refused or there is no such class."""
        return None

    def record(self) -> FindingRecord:
        """Everything but the pixels."""
        tells_covid = any(entry.name == COVID for entry in self.classes)
        only_of_covid = {"covid_probability": _rounded(self.covid_probability)} if tells_covid else {}
        return FindingRecord(
            format_version=2,
            notice=NOTICE,
            status=self.status,
            **only_of_covid,
            **self._answer_record(),
            gate=GateRecord(
                accepted=self.status == "analyzed",
                frontal_score=round(float(self.gate_score), 6),
                polarity_inverted=self.inverted,
            ),
            orientation=OrientationRecord(
                turned_degrees_clockwise=90 * self.to_display.quarter_turns,
                mirrored=self.to_display.mirrored,
                stated_by_header=self.radiograph.to_display == self.to_display,
                heart_on_the_wrong_side=self.mirrored,
            ),
            warnings=self.warnings,
            film=_film_record(self.radiograph),
            models=self.models,
            lunglens_version=__version__,
            seconds={name: round(value, 4) for name, value in self.seconds.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, ready for JSON (`FindingRecord`; docs/reference.md describes it)."""
        return self.record().to_dict()

    def _repr_jpeg_(self) -> bytes:
        """The panel, which a notebook shows and keeps; as PNG it would be twice as large."""
        from lunglens.film.picture.panel import draw_panel  # it draws findings, so it imports them

        assert isinstance(self, Analyzed | Refused)  # noqa: S101 - there are no others
        file = BytesIO()
        draw_panel(self, "Film").save(file, "JPEG", quality=80, subsampling=0)
        return file.getvalue()

    def _answer_record(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Analyzed(Finding):
    """The answer for a film that the gate accepted.

    lung_square: (S, S) bool, the lung fields on the displayed film squashed to a square.
    left, right: sizes of the patient's lungs.
    heat_map: on the displayed film, where evidence for `heat_class` comes from; None where the classifier gives none.
    region_square: like `lung_square`, the whole lung; None where the lungs package gives the fields alone.
    heat_full: what heat 1 is, in log odds: as many as if the whole lungs looked like that place; such heat lies in the
    lungs alone. None where 1 is the strongest place of this film.
    heat_share_in_lungs: share of the heat that lies in the classifier's lung region, 0..1, None where there is no heat.
    region_share: share of the classifier's image which that region covers: what an even spread of heat would give.
    classifier_view: (S, S) float32, 0..1, what the classifier saw, in the usual display.
    projection: from which side the film was taken; None where neither header nor pixels tell.
    opacity: None from a classifier that does not tell it.
    severity: how much of the lungs a COVID-19 pneumonia covers; None from a classifier that does not tell it.
    cardiothoracic: heart against chest; None where the lungs are doubtful.
    withheld: why no class is decided for, `lunglens.film.abstention.REASONS`; empty where one is.
    distance: how unlike the film is to those of the training, >= 0; None from a classifier that does not tell it.
    view_box: (top, left, bottom, right) of that view on the displayed film, as shares 0..1 of its height and width.
    """

    status = "analyzed"
    reason: ClassVar[str | None] = None  # there is one for a refusal alone

    answer: Answer
    lung_square: Mask
    left: Lung
    right: Lung
    heat_map: HeatMap | None
    heat_share_in_lungs: float | None
    region_share: float
    classifier_view: Floats
    view_box: tuple[float, float, float, float]
    region_square: Mask | None = None
    projection: Projection | None = None
    opacity: Opacity | None = None
    severity: Severity | None = None
    cardiothoracic: Cardiothoracic | None = None
    heat_full: float | None = None
    withheld: tuple[str, ...] = ()
    distance: float | None = None

    def __repr__(self) -> str:
        rounded = {name: round(value, 3) for name, value in self.probabilities.items()}
        return f"Analyzed(decision={self.decision!r}, probabilities={rounded}, warnings={self.warnings})"

    @property
    def probabilities(self) -> dict[str, float]:
        """0..1 by class, in the package's order."""
        return self.answer.probabilities

    @property
    def decision(self) -> str:
        """The class that is decided for, or "cannot tell"."""
        return CANNOT_TELL if self.withheld else self.answer.decision

    @property
    def covid_probability(self) -> float | None:
        """The probability of the class "covid", 0..1; None where there is no such class."""
        return self.probabilities.get(COVID)

    @property
    def heat_class(self) -> AnswerClass:
        """The class whose evidence the heat shows: of two the positive one, of more the most probable."""
        name = self.answer.decision if self.answer.threshold is None else self.classes[0].name
        return next(entry for entry in self.classes if entry.name == name)

    @cached_property
    def lungs(self) -> Mask:
        """The lung fields, (H, W) bool at the film's size and as its pixels are stored."""
        return self._stored(self.lung_square)

    @cached_property
    def heat(self) -> Floats | None:
        """The heat-map, (H, W) float32, 0..1, like `lungs`; None where the classifier gives none."""
        heat = self.heat_at(*self._displayed_shape)
        return None if heat is None else self.to_display.undo(heat)

    def heat_at(self, height: int, width: int) -> Floats | None:
        """The heat-map on the displayed film at another size, (height, width) float32, 0..1."""
        return None if self.heat_map is None else np.clip(self.heat_map.at(height, width), 0, 1)

    def _stored(self, square: Mask) -> Mask:
        return self.to_display.undo(resize_mask(square, *self._displayed_shape))

    @property
    def _displayed_shape(self) -> tuple[int, int]:
        height, width = self.radiograph.pixels.shape
        return (width, height) if self.to_display.quarter_turns % 2 else (height, width)

    def sides(self) -> tuple[Mask, Mask]:
        """The patient's (left, right) lung, (H, W) bool each, as the film's pixels are stored."""
        left, right = lung_sides(self.to_display.apply(self.lungs))
        return self.to_display.undo(left), self.to_display.undo(right)

    def whole_lung(self) -> Mask | None:
        """The whole lung, (H, W) bool, as the film's pixels are stored; None where that is not known."""
        return None if self.region_square is None else self._stored(self.region_square)

    def _answer_record(self) -> dict[str, Any]:
        severity = {} if self.severity is None else {"severity": _severity_record(self.severity)}
        opacity = {} if self.opacity is None else {"opacity": _opacity_record(self.opacity)}
        return {
            "reason": None,
            "projection": self.projection and _projection_record(self.projection),
            **opacity,
            **severity,
            **({} if self.cardiothoracic is None else {"cardiothoracic": _cardiothoracic_record(self.cardiothoracic)}),
            "probabilities": {name: _rounded(value) for name, value in self.probabilities.items()},
            "threshold": self.answer.threshold,
            "decision": self.decision,
            **self._doubts_record(),
            "lungs": LungsRecord(
                left=_lung_record(self.left), right=_lung_record(self.right), plane=self.radiograph.spacing_plane
            ),
            "heat_share_in_lungs": _rounded(self.heat_share_in_lungs),
            **({} if self.heat_full is None else {"heat_full_log_odds": self.heat_full}),
            "lung_region_share_of_view": _rounded(self.region_share),
        }

    def _doubts_record(self) -> dict[str, Any]:
        """What only packages that abstain, or are calibrated, say."""
        at, found = self.answer.at_prevalence, dict[str, Any]()
        if at is not None:
            found["at_prevalence"] = _at_prevalence_record(at)
        if self.answer.possible is not None:
            found |= {"possible": self.answer.possible, "withheld": self.withheld}
        return found if self.distance is None else found | {"distance": _rounded(self.distance)}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Refused(Finding):
    """A film that the gate refused: why, in words and as a machine word (gate/judge.py). It has no answer."""

    status = "refused"

    reason: str
    reason_code: str

    def __repr__(self) -> str:
        return f"Refused(reason={self.reason!r}, warnings={self.warnings})"

    def _answer_record(self) -> dict[str, Any]:
        nothing = dict.fromkeys(("probabilities", "threshold", "decision", "heat_share_in_lungs"))
        return {
            "reason": self.reason,
            **nothing,
            "lungs": LungsRecord(left=None, right=None, plane=None),
            "lung_region_share_of_view": None,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _lung_record(lung: Lung) -> LungRecord:
    area = None if lung.area_cm2 is None else round(lung.area_cm2, 2)
    return LungRecord(share_of_film=round(lung.share, 4), area_px=lung.area_px, area_cm2=area)


def _projection_record(side: Projection) -> ProjectionRecord:
    return ProjectionRecord(name=side.name, stated_by_header=side.stated, ap_score=_rounded(side.ap_score))


def _at_prevalence_record(at: AtPrevalence) -> AtPrevalenceRecord:
    return AtPrevalenceRecord(prevalence=at.prevalence, probability=round(at.probability, 6))


def _opacity_record(opacity: Opacity) -> OpacityRecord:
    rounded = round(opacity.probability, 6)
    return OpacityRecord(probability=rounded, threshold=opacity.threshold, decision="yes" if opacity.is_there else "no")


def _severity_record(severity: Severity) -> SeverityRecord:
    zones = {zone: round(score, 2) for zone, score in severity.zones.items()}
    low, high = severity.interval
    return SeverityRecord(zones=zones, sum=round(severity.total, 2), sum_95_interval=(round(low, 2), round(high, 2)))


def _cardiothoracic_record(found: Cardiothoracic) -> CardiothoracicRecord:
    heart, chest = (tuple((round(x, 4), round(y, 4)) for x, y in line) for line in (found.heart, found.chest))
    return CardiothoracicRecord(ratio=round(found.ratio, 3), heart=heart, chest=chest)


def _film_record(film: Radiograph) -> FilmRecord:
    height, width = film.pixels.shape
    alike = {name: value for name, value in vars(film).items() if name in FilmRecord.model_fields}
    return FilmRecord(format=film.file_format, height_px=height, width_px=width, **alike)
