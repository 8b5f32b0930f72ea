"""What LungLens says of one film."""

from dataclasses import dataclass, field
from typing import Any, Literal

from lunglens.film.about import NOTICE, __version__
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.orientation import AS_STORED, Orientation
from lunglens.film.preprocess import Floats, Mask
from lunglens.film.radiograph import Radiograph

FINDING_FORMAT = 1


@dataclass(frozen=True)
class Lung:
    """One lung's size: its share of the film, pixels at the film's size, and cm2 where the pixel spacing is known."""

    share: float
    area_px: int
    area_cm2: float | None


@dataclass(frozen=True, eq=False)
class Finding:
    """The answer for one film.

    status: "analyzed", or "refused" by the gate; then `reason` says why and there is no probability.
    reason_code: the reason as a machine word (gate/judge.py).
    covid_probability: 0..1, at the class balance the model was trained with; not a prevalence-adjusted risk.
    decision: "covid" or "not covid" at `threshold`.
    to_display: how the film's stored pixels are turned into the usual display, by its header or by its pixels.
    mirrored: the heart seems to lie on the wrong side, and the networks saw the displayed film mirrored; left and right
    are named as if it were displayed rightly (dextrocardia).
    lungs: (H, W) bool at the film's size and as its pixels are stored; None if the film was refused.
    left, right: sizes of the patient's lungs.
    heat: (H, W) float32, 0..1, like `lungs`: where evidence for COVID-19 comes from, 1 at its strongest.
    heat_share_in_lungs: share of the heat that lies in the classifier's lung region, 0..1, None where there is no heat.
    region_share: share of the classifier's image which that region covers: what an even spread of heat would give.
    classifier_view: (S, S) float32, 0..1, what the classifier saw, in the usual display.
    view_box: (top, left, bottom, right) of that view on the displayed film, as shares 0..1 of its height and width.
    """

    radiograph: Radiograph
    status: Literal["analyzed", "refused"]
    reason: str | None
    gate_score: float
    inverted: bool
    to_display: Orientation = AS_STORED
    mirrored: bool = False
    covid_probability: float | None = None
    threshold: float | None = None
    decision: Literal["covid", "not covid"] | None = None
    lungs: Mask | None = None
    left: Lung | None = None
    right: Lung | None = None
    heat: Floats | None = None
    heat_share_in_lungs: float | None = None
    region_share: float | None = None
    classifier_view: Floats | None = None
    view_box: tuple[float, float, float, float] | None = None
    warnings: tuple[str, ...] = ()
    reason_code: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def sides(self) -> tuple[Mask, Mask]:
        """The patient's (left, right) lung, (H, W) bool each, as the film's pixels are stored.

        Raises:
            ValueError: the film was refused, and has no lungs.
        """
        if self.lungs is None:
            raise ValueError("a refused film has no lungs")
        left, right = lung_sides(self.to_display.apply(self.lungs))
        return self.to_display.undo(left), self.to_display.undo(right)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, ready for JSON (format described in docs/reference.md)."""
        return {
            "format_version": FINDING_FORMAT,
            "notice": NOTICE,
            "status": self.status,
            "reason": self.reason,
            "covid_probability": _rounded(self.covid_probability),
            "threshold": self.threshold,
            "decision": self.decision,
            "lungs": {
                "left": _lung(self.left),
                "right": _lung(self.right),
                "plane": self.radiograph.spacing_plane if self.left else None,
            },
            "heat_share_in_lungs": _rounded(self.heat_share_in_lungs),
            "lung_region_share_of_view": _rounded(self.region_share),
            "gate": {
                "accepted": self.status == "analyzed",
                "frontal_score": _rounded(self.gate_score),
                "polarity_inverted": self.inverted,
            },
            "orientation": {
                "turned_degrees_clockwise": 90 * self.to_display.quarter_turns,
                "mirrored": self.to_display.mirrored,
                "stated_by_header": self.radiograph.to_display == self.to_display,
                "heart_on_the_wrong_side": self.mirrored,
            },
            "warnings": list(self.warnings),
            "film": _film(self.radiograph),
            "models": self.models,
            "lunglens_version": __version__,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _lung(lung: Lung | None) -> dict[str, float | None] | None:
    if lung is None:
        return None
    area = None if lung.area_cm2 is None else round(lung.area_cm2, 2)
    return {"share_of_film": round(lung.share, 4), "area_px": lung.area_px, "area_cm2": area}


def _film(film: Radiograph) -> dict[str, Any]:
    height, width = film.pixels.shape
    return {
        "sha256": film.sha256,
        "format": film.file_format,
        "height_px": height,
        "width_px": width,
        "bits": film.bits,
        "spacing_mm": list(film.spacing_mm) if film.spacing_mm else None,
        "spacing_source": film.spacing_source,
        "modality": film.modality,
        "view": film.view,
        "age_years": film.age_years,
        "sex": film.sex,
        "body_part": film.body_part,
        "laterality": film.laterality,
        "notes": list(film.notes),
    }
