"""What a model package's `package.json` may say; anything else is refused when the package is loaded."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from lunglens.errors import ModelPackageError
from lunglens.film.parameters import Postprocess, View

FORMAT_VERSION = 1
DESCRIPTION = "package.json"
GRAPH = "model.onnx"
Kind = Literal["lungs", "classifier", "orientation"]

Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+:-]{0,99}$")]
# A plain name of a file in the package's own folder: no separator, no leading dot.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """Keys that this version does not know are kept and not used; a number is never taken from text or from a bool."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class _Check(_Part):
    """`lunglens.film.gate.judge.LinearCheck`: one mean, scale and weight a feature."""

    mean: Annotated[list[FiniteFloat], Field(min_length=1)]
    scale: list[Annotated[FiniteFloat, Field(gt=0)]]
    weights: list[FiniteFloat]
    bias: FiniteFloat
    threshold: Share

    @model_validator(mode="after")
    def _of_one_length(self) -> "_Check":
        if not len(self.mean) == len(self.scale) == len(self.weights):
            raise ValueError("mean, scale and weights must have the same length")
        return self


class _Gate(_Part):
    frontal: _Check | None = None
    inverted: _Check | None = None


class _Parameters(_Part):
    """Lungs: `postprocess`, `gate`; classifier: `postprocess`, `view`, `threshold`; orientation: both `..._above`."""

    postprocess: Postprocess | None = None
    gate: _Gate | None = None
    view: View | None = None
    threshold: Share | None = None
    mirrored_above: FiniteFloat | None = None
    turned_above: FiniteFloat | None = None


class _MeasuredRow(_Part):
    films: str
    n_positive: Annotated[int, Field(ge=0)]
    n_negative: Annotated[int, Field(ge=0)]
    sensitivity: Share
    specificity: Share
    sensitivity_95_ci: Annotated[list[Share], Field(min_length=2, max_length=2)]
    specificity_95_ci: Annotated[list[Share], Field(min_length=2, max_length=2)]


class _Measured(_Part):
    rows: list[_MeasuredRow] = []


class Record(_Part):
    """The whole of `package.json`.

    input_size: side of the square input in pixels. checksums: hex SHA-256 by file name, the graph's among them.
    parameters_sha256: of the parameters as sorted JSON; packages of version 0.1.0 have none.
    golden: mean, spread and a few values of each output for `golden_input`, empty while the package is being written.
    """

    format_version: Literal[1]
    name: Words
    version: Words
    input_size: Annotated[int, Field(ge=8, le=8192)]
    parameters: _Parameters
    provenance: dict[str, Any] = {}
    checksums: dict[FileName, Sha256]
    parameters_sha256: Sha256 | None = None
    golden: dict[str, list[FiniteFloat]]
    measured: _Measured = _Measured()

    @model_validator(mode="after")
    def _lists_the_graph(self) -> "Record":
        if GRAPH not in self.checksums:
            raise ValueError(f"checksums must list {GRAPH}")
        return self

    def lacks(self, kind: Kind) -> list[str]:
        """The parameters that a package of this kind needs and this one has not."""
        needed = {
            "lungs": ("postprocess", "gate"),
            "classifier": ("postprocess", "view", "threshold"),
            "orientation": ("mirrored_above", "turned_above"),
        }[kind]
        missing = [name for name in needed if getattr(self.parameters, name) is None]
        gate = self.parameters.gate
        if kind == "lungs" and gate is not None:
            missing += [f"gate.{name}" for name in ("frontal", "inverted") if getattr(gate, name) is None]
        return missing


def checked(description: object, where: str) -> Record:
    """The record of a parsed `package.json`.

    Raises:
        ModelPackageError: begins with `where` and names the keys that are missing or hold something else.
    """
    if not isinstance(description, dict):
        raise ModelPackageError(f"{where}: {DESCRIPTION} is no JSON object; install the package again")
    found = description.get("format_version")
    if type(found) is not int or found != FORMAT_VERSION:
        raise ModelPackageError(f"{where}: package format {_plain(found)}, this LungLens reads format {FORMAT_VERSION}")
    try:
        return Record.model_validate(description)
    except ValidationError as error:
        problems = [(".".join(map(_plain, e["loc"])), e["type"], e["msg"]) for e in error.errors(include_input=False)]
    if missing := [key for key, kind, _ in problems if kind == "missing"]:
        raise ModelPackageError(f"{where}: {DESCRIPTION} lacks {', '.join(missing[:6])}; install the package again")
    said = "; ".join(f"{key}: {message}" if key else message for key, _, message in problems[:3])
    raise ModelPackageError(f"{where}: {DESCRIPTION} holds what no package may ({said}); install the package again")


def _plain(value: object) -> str:
    """At most 60 printable ASCII characters: what a damaged file says may be anything."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, nesting without end
        return "?"
    return "".join(c if " " <= c <= "~" else "?" for c in text[:60])
