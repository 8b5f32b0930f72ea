"""What a study takes: its classes, and the criteria that films pass one after the other (paper section 3.1)."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section

FRONTAL = ("PA", "AP", "AP Supine", "AP Erect")


class OwnSource(Section):
    """A data set of one's own, in the folder of its name below the data folder (`lunglens.study.sources.own`)."""

    name: str = Field(min_length=1)
    kind: Literal["class folders", "table", "dicom folder"]
    table: str = Field("", description="CSV below the folder, for kind table")
    columns: dict[str, str] = Field({}, description="our field -> the table's column, at least image; for kind table")

    @model_validator(mode="after")
    def _table_has_columns(self) -> "OwnSource":
        if (self.kind == "table") != bool(self.table and self.columns):
            raise ValueError("table and columns belong to kind table, and to no other")
        return self


class _OfSources(Section):
    sources: tuple[str, ...]


class ClassRule(_OfSources):
    """Which films are of a class; the first rule that fits decides.

    A film fits by its published finding (the whole cell or one of the parts between "|", case ignored) or by the
    reader's label; a rule names one of the two.
    """

    name: str = Field(min_length=1)
    sources: tuple[str, ...] = Field(min_length=1)
    findings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> "ClassRule":
        if bool(self.findings) == bool(self.labels):
            raise ValueError("give either findings (as published) or labels")
        return self


class _Criterion(_OfSources):
    sources: tuple[str, ...] = Field((), description="applies to films of these sources only; to all if empty")


class ModalityCriterion(_Criterion):
    """X-rays only."""

    kind: Literal["modality"]
    allowed: tuple[str, ...] = ("X-ray",)
    keep_unknown: bool = False


class ViewCriterion(_Criterion):
    """Frontal films only."""

    kind: Literal["view"]
    allowed: tuple[str, ...] = FRONTAL
    keep_unknown: bool = False


class AgeCriterion(_Criterion):
    """Adults only."""

    kind: Literal["age"]
    min_years: float = 18
    keep_unknown: bool = True


class FindingCriterion(_Criterion):
    """Films of one of the classes only."""

    kind: Literal["finding"]


class EquipmentCriterion(_Criterion):
    """No medical devices in the picture, where upstream says so."""

    kind: Literal["equipment"]
    keep_unknown: bool = True


class ExclusionCriterion(_Criterion):
    """Films that a person has struck out: a CSV with the columns image and reason, beside the configuration."""

    kind: Literal["exclusion list"]
    file: str = "exclude.csv"


class DoubtCriterion(_Criterion):
    """Films that their own collection, or the curated index, calls unfit: negative PCR, sources that disagree ..."""

    kind: Literal["doubt"]


class DuplicatesCriterion(_Criterion):
    """Copies of one film and films of one case are tied into one group; `drop` keeps the first copy only."""

    kind: Literal["duplicates"]
    drop: bool = False


class SampleCriterion(_Criterion):
    """A random choice of so many films of each source."""

    kind: Literal["sample"]
    images: int = Field(ge=1)


class LungsCriterion(_Criterion):
    """The paper's quality threshold: enough lung found, held against the processed mask at 512x512."""

    kind: Literal["lungs"]
    min_area_px: int = Field(50_000, ge=0)


class CapCriterion(_Criterion):
    """A random choice that leaves at most so many films of a class."""

    kind: Literal["cap"]
    most: dict[str, int]


Criterion = Annotated[
    ModalityCriterion
    | ViewCriterion
    | AgeCriterion
    | FindingCriterion
    | EquipmentCriterion
    | ExclusionCriterion
    | DoubtCriterion
    | DuplicatesCriterion
    | SampleCriterion
    | LungsCriterion
    | CapCriterion,
    Field(discriminator="kind"),
]

Part = TypeVar("Part", bound=_OfSources)


class StudyConfig(Section):
    """`lunglens curate`: classes in their order (of two, the first is the positive one) and criteria in theirs."""

    name: str = Field(min_length=1)
    seed: int = 0
    own: tuple[OwnSource, ...] = ()
    classes: tuple[ClassRule, ...] = Field(min_length=1)
    criteria: tuple[Criterion, ...] = ()

    @property
    def class_names(self) -> list[str]:
        """Each class once, in the order of the rules."""
        return list(dict.fromkeys(rule.name for rule in self.classes))

    @property
    def source_names(self) -> list[str]:
        """Each source once, in the order of the rules."""
        return list(dict.fromkeys(source for rule in self.classes for source in rule.sources))

    @model_validator(mode="after")
    def _cuts_what_is_chosen(self) -> "StudyConfig":
        kinds = [criterion.kind for criterion in self.criteria]
        if kinds.count("lungs") > 1:
            raise ValueError("the criterion lungs can be given once")
        if "lungs" in kinds and "finding" not in kinds[: kinds.index("lungs")]:
            raise ValueError("put the criterion finding before lungs: only films of a class are segmented")
        return self


def without_sources(config: StudyConfig, names: tuple[str, ...]) -> StudyConfig:
    """The study without some of its sources, for whoever does not have them; the result says so by not naming them.

    Raises:
        ConfigurationError: a name is none of the study's sources, or a class would be left without any.
    """
    unknown = [name for name in names if name not in config.source_names]
    if unknown:
        raise ConfigurationError(f"{', '.join(unknown)}: not a source of this study ({', '.join(config.source_names)})")
    rules = [_without(rule, names) for rule in config.classes if set(rule.sources) - set(names)]
    # A criterion that names no source concerns all; one that named only these concerns none.
    criteria = [_without(c, names) for c in config.criteria if not c.sources or set(c.sources) - set(names)]
    found = config.model_copy(update={"classes": tuple(rules), "criteria": tuple(criteria)})
    lost = [name for name in config.class_names if name not in found.class_names]
    if lost:
        raise ConfigurationError(f"without {', '.join(names)} no source is left for the class {', '.join(lost)}")
    return found


def _without(part: Part, names: tuple[str, ...]) -> Part:
    return part.model_copy(update={"sources": tuple(source for source in part.sources if source not in names)})
