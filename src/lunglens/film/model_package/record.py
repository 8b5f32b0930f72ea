"""What a model package's `package.json` may say; anything else is refused when the package is loaded.

Format 2 says its task, and of a classifier which classes it tells apart. Format 1 (0.1.0) had neither: its task is told
from its parameters, and its classifiers are those of COVID-19.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)
from typing_extensions import TypeVar

from lunglens.errors import ModelPackageError
from lunglens.film.parameters import MaskRule, Postprocess, View, fields_first
from lunglens.text import ascii_line

FORMAT_VERSION = 2
DESCRIPTION = "package.json"
GRAPH = "model.onnx"
COVID = "covid"
CANNOT_TELL = "cannot tell"  # the decision for no class
Task = Literal["lungs", "classification", "orientation", "severity"]

# What a class is called and coded as where the package does not say.
_KNOWN_CLASSES: dict[str, dict[str, Any]] = {
    COVID: {"words": "COVID-19", "code": {"value": "840539006", "scheme": "SCT", "meaning": "COVID-19"}},
    f"not {COVID}": {"words": "not COVID-19"},
}


def _plain_line(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("must be one line without spaces around it")
    return text


Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+:-]{0,99}$")]
Label = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain_line)]
# A plain name of a file in the package's own folder: no separator, no leading dot.
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """Keys that this version does not know are kept and not used; a number is never taken from text or from a bool."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class Check(_Part):
    """`lunglens.film.gate.judge.LinearCheck`: one mean, scale and weight a feature."""

    mean: Annotated[list[FiniteFloat], Field(min_length=1)]
    scale: list[Annotated[FiniteFloat, Field(gt=0)]]
    weights: list[FiniteFloat]
    bias: FiniteFloat
    threshold: Share

    @model_validator(mode="after")
    def _of_one_length(self) -> "Check":
        if not len(self.mean) == len(self.scale) == len(self.weights):
            raise ValueError("mean, scale and weights must have the same length")
        return self


class Gate(_Part):
    """The gate's learned checks: is it a frontal film, is its polarity inverted; traits: see `film.gate.traits`."""

    frontal: Check
    inverted: Check
    traits: dict[str, Check] = {}


class Parameters(_Part):
    """What belongs to the weights, by task."""

    task: ClassVar[Task]

    @property
    def channels(self) -> int:
        """Of what the graph is given: the image, and for some classifiers the mask of the lungs."""
        return 1


class LungsParameters(Parameters):
    """Of a lungs package; one whose gate is not fitted yet can be run, and analyses no film.

    masks: what its graph gives, in the order of the maps. doubtful_below: of each, the expected Dice
    (`lunglens.film.lungs.doubt`) below which a film is warned of; None warns of none, as 0.1.0 did.
    """

    task = "lungs"
    masks: Annotated[list[MaskRule], AfterValidator(fields_first)] = ["fields"]
    postprocess: Postprocess
    doubtful_below: list[Share] | None = None
    gate: Gate | None = None

    @model_validator(mode="after")
    def _fits_its_masks(self) -> "LungsParameters":
        if self.doubtful_below is not None and len(self.doubtful_below) != len(self.masks):
            raise ValueError("doubtful_below must have a number for each of its masks")
        if self.postprocess.region == "network" and "region" not in self.masks:
            raise ValueError("its postprocess takes the region from the network, whose masks are the fields alone")
        return self

    @field_validator("gate", mode="before")
    @classmethod
    def _not_fitted(cls, gate: object) -> object:
        return None if gate == {} else gate


class Code(_Part):
    """A code of DICOM: value, scheme (such as SCT for SNOMED CT) and meaning."""

    value: Annotated[Label, Field(max_length=16)]
    scheme: Annotated[Label, Field(max_length=16)]
    meaning: Label


class AnswerClass(_Part):
    """One class: its name (in results, as in its study), its words for people (if none: its name), its DICOM code."""

    name: Label
    words: Label = ""  # never so: `_known` fills it
    code: Code | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(name := given.get("name"), str):
            return given
        said = {key: value for key, value in given.items() if value is not None}
        return {"words": name} | _KNOWN_CLASSES.get(name, {}) | said


class Calibration(_Part):
    """What makes probabilities mean what they say: the graph's log odds are divided by `temperature`.

    prevalence: share of patients of the first of two classes at which they then hold; None of more classes.
    """

    temperature: Annotated[FiniteFloat, Field(gt=0)]
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None


class Abstention(_Part):
    """When a classifier says that it cannot tell: split conformal prediction, class by class (arXiv:1209.2673).

    promised: share of each class's films, among films like those it was fitted on, whose class is held possible.
    possible_from: by class, in their order: its probability from which it is held possible.
    far_above: distance from the films of the training (output "distance" of the graph) above which a film is too unlike
    them; None where the graph does not tell it.
    """

    promised: Share
    possible_from: list[Share]
    far_above: FiniteFloat | None = None


class AnswerSettings(_Part):
    """What a classifier tells apart, and how it decides.

    classes: in the order of the graph's outputs; of two, the first is the positive one. threshold: of two classes, the
    first one's probability from which it is decided for; None for more: the most probable class is. Thresholds are of
    calibrated probabilities. calibration, abstention: None in packages that have none, such as those of 0.1.0.
    """

    activation: Literal["sigmoid", "softmax"]
    classes: Annotated[list[AnswerClass], Field(min_length=2, max_length=100)]
    threshold: Share | None = None
    calibration: Calibration | None = None
    abstention: Abstention | None = None

    @model_validator(mode="after")
    def _fits(self) -> "AnswerSettings":
        names = {entry.name for entry in self.classes}
        if len(names) != len(self.classes):
            raise ValueError("two classes have the same name")
        if CANNOT_TELL in names:
            raise ValueError(f'a class may not be called "{CANNOT_TELL}"')
        if self.abstention is not None and len(self.abstention.possible_from) != len(self.classes):
            raise ValueError("possible_from must have a number for each class")
        if (len(self.classes) == 2) != (self.threshold is not None):
            raise ValueError("two classes need a threshold, more have none")
        if self.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError("sigmoid is for two classes")
        return self

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, so that one probability says all."""
        return len(self.classes) == 2

    def of(self, name: str) -> AnswerClass:
        """The class of a name."""
        return next(entry for entry in self.classes if entry.name == name)


class OpacitySettings(_Part):
    """Of a classifier's second answer, any opacity in the lungs: from which probability it is said to be there."""

    threshold: Share


class ClassifierParameters(Parameters):
    """Of a classifier: which region cuts the film, what of it is seen, what is answered; opacity: if it tells that."""

    task = "classification"
    postprocess: Postprocess
    view: View
    answer: AnswerSettings
    opacity: OpacitySettings | None = None

    @property
    def channels(self) -> int:
        """Image, and mask where features are pooled in it."""
        return self.view.channels


class OrientationParameters(Parameters):
    """Of the network that says which way round a film lies: log odds above which it is believed."""

    task = "orientation"
    mirrored_above: FiniteFloat
    turned_above: FiniteFloat


class SeverityParameters(Parameters):
    """Of the network that estimates the Brixia score (`lunglens.film.severity`).

    offsets: of the six zones. within: see `Severity`.
    """

    task = "severity"
    offsets: Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)]
    within: Annotated[FiniteFloat, Field(gt=0, le=18)]


class MeasuredRow(_Part):
    """Sensitivity and specificity of the decision (of two classes) on some films."""

    films: str
    n_positive: Annotated[int, Field(ge=0)]
    n_negative: Annotated[int, Field(ge=0)]
    sensitivity: Share
    specificity: Share
    sensitivity_95_ci: Annotated[list[Share], Field(min_length=2, max_length=2)]
    specificity_95_ci: Annotated[list[Share], Field(min_length=2, max_length=2)]


class Reference(_Part):
    """Of a number that the classifier gives a film: its nine deciles on n held-out films (`lunglens.film.drift`)."""

    n: Annotated[int, Field(ge=1)]
    deciles: Annotated[list[FiniteFloat], Field(min_length=9, max_length=9)]


class _Measured(_Part):
    on: str | None = None
    rows: list[MeasuredRow] = []


class _Origin(_Part):
    """Where the weights come from: what they began with, the study they were trained on, how many models they are.

    averaged: of how many trainings each model's weights are the mean; None: of one.
    """

    pretrained: str | None = None
    data: dict[str, Any] = {}
    members: Annotated[int, Field(ge=1)] | None = None
    averaged: Annotated[int, Field(ge=2)] | None = None


P = TypeVar("P", bound=Parameters, default=Any)


class Record(_Part, Generic[P]):
    """The whole of `package.json`.

    input_size: side of the square input in pixels. checksums: hex SHA-256 by file name, the graph's among them.
    parameters_sha256: of the parameters as sorted JSON; packages of version 0.1.0 have none.
    golden: mean, spread and a few values of each output for `golden_input`, empty while the package is being written.
    reference: by number, what films like those it was judged on give.
    """

    format_version: Literal[2]
    task: Task
    name: Words
    version: Words
    created: str | None = None
    input_size: Annotated[int, Field(ge=8, le=8192)]
    parameters: P
    origin: _Origin = _Origin()
    provenance: dict[str, Any] = {}
    checksums: dict[_FileName, _Sha256]
    parameters_sha256: _Sha256 | None = None
    golden: dict[str, list[FiniteFloat]]
    measured: _Measured = _Measured()
    reference: dict[str, Reference] = {}

    @model_validator(mode="after")
    def _lists_the_graph(self) -> "Record[P]":
        if GRAPH not in self.checksums:
            raise ValueError(f"checksums must list {GRAPH}")
        return self

    @property
    def outputs(self) -> dict[str, int]:
        """The outputs that the graph must have, each with its number of dimensions."""
        if isinstance(self.parameters, ClassifierParameters):
            answer = self.parameters.answer
            opacity = {} if self.parameters.opacity is None else {"opacity": 1}
            far = answer.abstention is not None and answer.abstention.far_above is not None
            return {"probability": 1 if answer.is_binary else 2} | opacity | ({"distance": 1} if far else {})
        by_task = {"lungs": {"probability": 4, "features": 2}, "orientation": {"score": 1}, "severity": {"maps": 4}}
        return by_task[self.task]

    @property
    def optional_outputs(self) -> dict[str, int]:
        """Outputs that it may have: the heat of a network that has no maps is missing."""
        if isinstance(self.parameters, ClassifierParameters):
            return {"heat": 3 if self.parameters.answer.is_binary else 4}
        return {}


_RECORDS: dict[Task, type[Record[Any]]] = {
    "lungs": Record[LungsParameters],
    "classification": Record[ClassifierParameters],
    "orientation": Record[OrientationParameters],
    "severity": Record[SeverityParameters],
}


def read_record(description: object, where: str) -> Record[Any]:
    """The record of a parsed `package.json`, of format 1 or 2.

    Raises:
        ModelPackageError: begins with `where` and names the keys that are missing or hold something else.
    """
    if not isinstance(description, dict):
        raise ModelPackageError(f"{where}: {DESCRIPTION} is no JSON object; install the package again")
    version = description.get("format_version")
    if type(version) is not int or version not in (1, FORMAT_VERSION):
        raise ModelPackageError(
            f"{where}: package format {_plain(version)}, this LungLens reads formats 1 and {FORMAT_VERSION}"
        )
    if version == 1:
        description = _from_format_1(description)
    task = description.get("task")
    if not isinstance(task, str) or task not in _RECORDS:
        raise ModelPackageError(f"{where}: a package for {_plain(task)}; this LungLens knows {', '.join(_RECORDS)}")
    try:
        return _RECORDS[task].model_validate(description)
    except ValidationError as error:
        problems = [(".".join(map(_plain, e["loc"])), e["type"], e["msg"]) for e in error.errors(include_input=False)]
    if missing := [key for key, kind, _ in problems if kind == "missing"]:
        raise ModelPackageError(f"{where}: {DESCRIPTION} lacks {', '.join(missing[:6])}; install the package again")
    texts = "; ".join(f"{key}: {_plain(text)}" if key else _plain(text) for key, _, text in problems[:3])
    raise ModelPackageError(f"{where}: {DESCRIPTION} holds what no package may ({texts}); install the package again")


def _from_format_1(description: dict[str, Any]) -> dict[str, Any]:
    """The same as format 2 says it."""
    parameters = description.get("parameters")
    if not isinstance(parameters, dict):
        parameters = {}
    task = "orientation" if "mirrored_above" in parameters else "classification" if "view" in parameters else "lungs"
    if task == "classification":
        rest = {key: value for key, value in parameters.items() if key != "threshold"}
        classes = [{"name": COVID}, {"name": "not covid", "words": "not COVID-19"}]
        answer = {"activation": "sigmoid", "classes": classes, "threshold": parameters.get("threshold")}
        parameters = rest | {"answer": answer}
    return description | {"format_version": FORMAT_VERSION, "task": task, "parameters": parameters}


def _plain(value: object) -> str:
    """At most 100 printable ASCII characters: what a damaged file says may be anything."""
    try:
        return ascii_line(str(value), 100)
    except (ValueError, RecursionError):  # an integer of thousands of digits, nesting without end
        return "?"
