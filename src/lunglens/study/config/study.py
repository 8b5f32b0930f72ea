"""What a study takes: its classes, and the criteria that films pass one after the other (paper section 3.1)."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import MaskRule, Section

FRONTAL = ("PA", "AP", "AP Supine", "AP Erect", "Frontal")

# What version 0.1.0 called them.
_OLD_KINDS = {"finding": "diagnosis", "doubt": "unfit", "exclusion list": "exclusion-list"}


def criterion_kind(name: str) -> str:
    """A kind of criterion as it is called now."""
    return _OLD_KINDS.get(name, name)


def _hyphens(value: Any) -> Any:
    return value.replace(" ", "-") if isinstance(value, str) else value


def _new_kind(value: Any) -> Any:
    return (
        value | {"kind": criterion_kind(str(value["kind"]))} if isinstance(value, dict) and "kind" in value else value
    )


class OwnSource(Section):
    """A data set of one's own, in the folder of its name below the data folder.

    class-folders: folder/class/image, the class is the diagnosis. table: a CSV that names the images. dicom-folder: any
    DICOM files; their diagnosis is in a table, else it is the first folder's name.
    """

    name: str = Field(min_length=1, description="of the folder below the data folder, and in the study's tables")
    kind: Annotated[Literal["class-folders", "table", "dicom-folder"], BeforeValidator(_hyphens)] = Field(
        description="how the folder is read"
    )
    table: str = Field(
        "", description="CSV below the folder, delimited by , ; | or tab; for kind table or dicom-folder"
    )
    columns: dict[str, str] = Field(
        {}, description="our field -> the table's column; without any, columns are known by their usual names"
    )
    carry: tuple[str, ...] | None = Field(
        None,
        description="columns that go into the manifest beside the known ones; if not given, all but those that may say "
        "who a patient is",
    )
    mask_rule: MaskRule = Field(
        "fields",
        description="what the table's masks cover: the air-filled lung without the heart, or the whole lung, opaque "
        "parts and those behind the heart too",
    )

    @model_validator(mode="after")
    def _has_a_table_if_it_needs_one(self) -> "OwnSource":
        if self.kind == "table" and not self.table:
            raise ValueError("kind table needs table, the CSV's path below the folder")
        if self.kind == "class-folders" and (self.table or self.columns):
            raise ValueError("table and columns belong to the kinds table and dicom-folder")
        return self


class _OfSources(Section):
    sources: tuple[str, ...]


class ClassRule(_OfSources):
    """Which films are of a class; the first rule that fits decides.

    A film fits by its published diagnosis (the whole cell or one of the parts between "|", case ignored) or by the
    reader's label; a rule names one of the two.
    """

    name: str = Field(min_length=1, description="of the class")
    sources: tuple[str, ...] = Field(min_length=1, description="data sets whose films the rule is for")
    diagnoses: tuple[str, ...] = Field((), description="as published")
    labels: tuple[str, ...] = Field((), description="our reading: covid, pneumonia, normal, tuberculosis, other")

    @model_validator(mode="before")
    @classmethod
    def _new_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and "findings" in value:  # version 0.1.0
            return {"diagnoses" if key == "findings" else key: inner for key, inner in value.items()}
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "ClassRule":
        if bool(self.diagnoses) == bool(self.labels):
            raise ValueError("give either diagnoses (as published) or labels")
        return self


class _Criterion(_OfSources):
    sources: tuple[str, ...] = Field((), description="applies to films of these sources only; to all if empty")


class ModalityCriterion(_Criterion):
    """X-rays only."""

    kind: Literal["modality"] = Field(description="of the criterion")
    allowed: tuple[str, ...] = Field(("X-ray",), description="modalities that stay")
    keep_unknown: bool = Field(False, description="whether films stay whose modality is unknown")


class ViewCriterion(_Criterion):
    """Frontal films only."""

    kind: Literal["view"] = Field(description="of the criterion")
    allowed: tuple[str, ...] = Field(FRONTAL, description="views that stay")
    keep_unknown: bool = Field(False, description="whether films stay whose view is unknown")


class AgeCriterion(_Criterion):
    """Adults only."""

    kind: Literal["age"] = Field(description="of the criterion")
    min_years: float = Field(18, description="least age that stays")
    keep_unknown: bool = Field(True, description="whether films stay whose age is unknown")


class DiagnosisCriterion(_Criterion):
    """Films of one of the classes only."""

    kind: Literal["diagnosis"] = Field(description="of the criterion")


class EquipmentCriterion(_Criterion):
    """No medical devices in the picture, where upstream says so."""

    kind: Literal["equipment"] = Field(description="of the criterion")
    keep_unknown: bool = Field(True, description="whether films stay of which upstream says nothing")


class ExclusionCriterion(_Criterion):
    """Films that a person has struck out: a CSV with the columns image and reason, beside the configuration."""

    kind: Literal["exclusion-list"] = Field(description="of the criterion")
    file: str = Field("exclude.csv", description="the list, beside the configuration's file")


class UnfitCriterion(_Criterion):
    """Films that their own collection, or the curated index, calls unfit: negative PCR, sources that disagree ..."""

    kind: Literal["unfit"] = Field(description="of the criterion")


class DuplicatesCriterion(_Criterion):
    """Copies of one film and films of one case are tied into one group; `drop` keeps the first copy only."""

    kind: Literal["duplicates"] = Field(description="of the criterion")
    drop: bool = Field(False, description="whether copies go")


class SampleCriterion(_Criterion):
    """A random choice of so many films of each source."""

    kind: Literal["sample"] = Field(description="of the criterion")
    images: int = Field(ge=1, description="films of a source that stay")


class LungsCriterion(_Criterion):
    """The paper's quality threshold: enough lung found, held against the processed mask at 512x512."""

    kind: Literal["lungs"] = Field(description="of the criterion")
    min_area_px: int = Field(50_000, ge=0, description="least area of the processed mask, pixels")


class CapCriterion(_Criterion):
    """A random choice that leaves at most so many films of a class."""

    kind: Literal["cap"] = Field(description="of the criterion")
    most: dict[str, int] = Field(description="class -> films that stay")


Criterion = Annotated[
    ModalityCriterion
    | ViewCriterion
    | AgeCriterion
    | DiagnosisCriterion
    | EquipmentCriterion
    | ExclusionCriterion
    | UnfitCriterion
    | DuplicatesCriterion
    | SampleCriterion
    | LungsCriterion
    | CapCriterion,
    Field(discriminator="kind"),
]

Part = TypeVar("Part", bound=_OfSources)


class StudyConfig(Section):
    """`lunglens curate`: classes in their order (of two, the first is the positive one) and criteria in theirs."""

    name: str = Field(min_length=1, description="of the study")
    seed: int = Field(0, description="of random choices of films")
    radiologists: bool = Field(
        False,
        description="diagnosis and label of a film are what radiologists said who read it for RSNA's challenge, where "
        "some did, not what was mined from its report; that goes into a column of its own",
    )
    own: tuple[OwnSource, ...] = ()
    classes: tuple[ClassRule, ...] = Field(min_length=1)
    criteria: tuple[Annotated[Criterion, BeforeValidator(_new_kind)], ...] = ()

    @property
    def class_names(self) -> list[str]:
        """Each class once, in the order of the rules."""
        return list(dict.fromkeys(rule.name for rule in self.classes))

    @property
    def source_names(self) -> list[str]:
        """Each source once, in the order of the rules."""
        return list(dict.fromkeys(source for rule in self.classes for source in rule.sources))

    @property
    def steps(self) -> tuple[Criterion, ...]:
        """The criteria, with lungs of any size last where none of them looks for lungs: every film is segmented."""
        if any(isinstance(criterion, LungsCriterion) for criterion in self.criteria):
            return self.criteria
        return (*self.criteria, LungsCriterion(kind="lungs", min_area_px=0))

    @model_validator(mode="after")
    def _cuts_what_is_chosen(self) -> "StudyConfig":
        kinds = [criterion.kind for criterion in self.criteria]
        if kinds.count("lungs") > 1:
            raise ValueError("the criterion lungs can be given once")
        if "lungs" in kinds and "diagnosis" not in kinds[: kinds.index("lungs")]:
            raise ValueError("put the criterion diagnosis before lungs: only films of a class are segmented")
        return self


def without_sources(config: StudyConfig, names: tuple[str, ...]) -> StudyConfig:
    """The study without some of its sources, for whoever does not have them.

    Raises:
        ConfigurationError: a name is none of the study's sources, or a class would be left without any.
    """
    unknown = [name for name in names if name not in config.source_names]
    if unknown:
        raise ConfigurationError(f"{', '.join(unknown)}: not a source of this study ({', '.join(config.source_names)})")
    rules = [_without(rule, names) for rule in config.classes if set(rule.sources) - set(names)]
    # A criterion that names no source concerns all; one that named only these concerns none.
    criteria = [_without(c, names) for c in config.criteria if not c.sources or set(c.sources) - set(names)]
    smaller = config.model_copy(update={"classes": tuple(rules), "criteria": tuple(criteria)})
    lost = [name for name in config.class_names if name not in smaller.class_names]
    if lost:
        raise ConfigurationError(f"without {', '.join(names)} no source is left for the class {', '.join(lost)}")
    return smaller


def _without(part: Part, names: tuple[str, ...]) -> Part:
    return part.model_copy(update={"sources": tuple(source for source in part.sources if source not in names)})
