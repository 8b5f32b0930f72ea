"""What `<name>.json` says of a film: written by `write_finding`, read by `read_finding`, of every format version."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lunglens.errors import DataError
from lunglens.files import write_json

_FINDING_FORMAT = 2


class _Part(BaseModel):
    """Keys of later versions are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class LungRecord(_Part):
    """One lung: its share of the film, 0..1, pixels, and cm2 where the pixel spacing is known."""

    share_of_film: float
    area_px: int
    area_cm2: float | None


class LungsRecord(_Part):
    """Both lungs; plane: where the pixel spacing holds ("detector": the areas are magnified)."""

    left: LungRecord | None = None
    right: LungRecord | None = None
    plane: str | None = None


class OpacityRecord(_Part):
    """Any opacity in the lungs: probability, 0..1, and whether it reaches the threshold."""

    probability: float
    threshold: float
    decision: Literal["yes", "no"]


class AtPrevalenceRecord(_Part):
    """The probability of the first of two classes where this share of the patients has it, both 0..1."""

    prevalence: float
    probability: float


class SeverityRecord(_Part):
    """An estimate of the Brixia score: zones A ... F, 0..3 each, their sum 0..18, and the sum's 95 % interval."""

    zones: dict[str, float]
    sum: float
    sum_95_interval: tuple[float, float]


class CardiothoracicRecord(_Part):
    """The cardiothoracic ratio, and its two lines: (x, y) of both ends, shares 0..1 of the displayed film's sides."""

    ratio: float
    heart: tuple[tuple[float, float], tuple[float, float]]
    chest: tuple[tuple[float, float], tuple[float, float]]


class GateRecord(_Part):
    """Whether the film was taken for a frontal chest radiograph; frontal_score: 0..1."""

    accepted: bool
    frontal_score: float
    polarity_inverted: bool


class OrientationRecord(_Part):
    """How the stored pixels are turned into the usual display."""

    turned_degrees_clockwise: int = 0
    mirrored: bool = False
    stated_by_header: bool = False
    heart_on_the_wrong_side: bool = False


class ProjectionRecord(_Part):
    """From which side the film was taken, by its header or its pixels; ap_score: 0..1, what the pixels say."""

    name: Literal["AP", "PA"]
    stated_by_header: bool
    ap_score: float | None


class FilmRecord(_Part):
    """What the file says of itself; never a patient's name, number or dates. sha256: '' for an array."""

    sha256: str
    format: str
    height_px: int
    width_px: int
    bits: int
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    modality: str | None = None
    view: str | None = None
    age_years: float | None = None
    sex: str | None = None
    body_part: str | None = None
    laterality: str | None = None
    notes: tuple[str, ...] = ()


class FindingRecord(_Part):
    """A finding without its pixels.

    path: of the film, as it was given; only where a batch wrote it. probabilities: 0..1 by class, in the package's
    order; None if the film was refused. covid_probability: only where there is a class "covid";
    decision: a class, or "cannot tell". at_prevalence: only of a calibrated classifier of two classes. possible (the
    classes that are), withheld (why none is decided for): only of one that abstains. distance: from its training.
    projection: None where nothing tells. opacity, severity, cardiothoracic: only where they were estimated.
    heat_full_log_odds: only where heat has one scale for all films.
    """

    path: str | None = None
    format_version: Literal[2]
    notice: str
    status: Literal["analyzed", "refused"]
    reason: str | None
    covid_probability: float | None = None
    probabilities: dict[str, float] | None
    threshold: float | None
    decision: str | None
    at_prevalence: AtPrevalenceRecord | None = None
    possible: tuple[str, ...] | None = None
    withheld: tuple[str, ...] | None = None
    distance: float | None = None
    opacity: OpacityRecord | None = None
    severity: SeverityRecord | None = None
    cardiothoracic: CardiothoracicRecord | None = None
    lungs: LungsRecord
    heat_share_in_lungs: float | None
    heat_full_log_odds: float | None = None
    lung_region_share_of_view: float | None
    gate: GateRecord
    orientation: OrientationRecord = OrientationRecord()
    projection: ProjectionRecord | None = None
    warnings: tuple[str, ...]
    film: FilmRecord
    models: dict[str, str]
    lunglens_version: str
    seconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return self.model_dump(mode="json", exclude_unset=True)


def write_finding(file: Path, record: FindingRecord, film: str) -> None:
    """Write a record and the film's path, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    write_json(file, record.model_copy(update={"path": film}).to_dict())


def read_finding(file: Path) -> FindingRecord:
    """Read what `write_finding` wrote, or version 0.1.0 (format 1).

    Raises:
        DataError: it is no finding, or of a later format.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content.get("format_version") if isinstance(content, dict) else None
        if version not in (1, _FINDING_FORMAT):
            raise DataError(f"{file}: finding of format {version}; this LungLens reads formats 1 and {_FINDING_FORMAT}")
        return FindingRecord.model_validate(_from_format_1(content) if version == 1 else content)
    except (OSError, ValueError, RecursionError) as error:  # pydantic's and JSON's errors are ValueErrors
        problem = error.errors(include_input=False)[0]["loc"] if isinstance(error, ValidationError) else "unreadable"
        raise DataError(f"{file}: is no finding of LungLens ({problem}); analyse the film again") from error


def _from_format_1(content: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew one question, covid or not."""
    covid = content.get("covid_probability")
    both = {"covid": covid, "not covid": round(1 - covid, 6)} if isinstance(covid, float | int) else None
    return content | {"format_version": _FINDING_FORMAT, "probabilities": both}
