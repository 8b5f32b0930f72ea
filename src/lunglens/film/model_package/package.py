"""Model packages: a folder with the ONNX graph, its card, its parameters, checksums and a golden case (no torch).

The checksums show damage and mix-ups, not who made a package: whoever can change a package can write new checksums.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Generic, Literal, overload

import numpy as np

from lunglens.errors import ModelPackageError
from lunglens.files import write_json
from lunglens.film.model_package.on_openvino import Array, Run
from lunglens.film.model_package.record import (
    DESCRIPTION,
    GRAPH,
    ClassifierParameters,
    LungsParameters,
    OrientationParameters,
    P,
    Record,
    SeverityParameters,
    Task,
    read_record,
)
from lunglens.film.model_package.session import AGAIN, Device, open_session

_GOLDEN_TOLERANCE = 1e-3
_MOST_BYTES = {DESCRIPTION: 64 * 1024**2, GRAPH: 2 * 1024**3}  # protobuf's own limit is 2 GiB


@dataclass(frozen=True)
class ModelPackage(Generic[P]):
    """A model as it ships.

    folder: where `package.json`, `model.onnx` and `README.md` (the card) lie.
    record: what `package.json` says, as format 2; keys it does not know are kept.
    device: where its graph is run.
    """

    folder: Path
    record: Record[P]
    device: Device = "cpu"

    def on(self, device: Device) -> "ModelPackage[P]":
        """The same package, run there."""
        return replace(self, device=device)

    @property
    def name(self) -> str:
        """Name and version, as written into every result."""
        return f"{self.record.name} {self.record.version}"

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return self.record.input_size

    @property
    def parameters(self) -> P:
        """Preprocessing, post-processing, classes and thresholds that belong to the weights."""
        return self.record.parameters

    @property
    def description(self) -> dict[str, Any]:
        """`package.json` of format 2, to be changed and written again by `write_description`."""
        return self.record.model_dump(mode="json", exclude_unset=True)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with the files' checksums, the parameters and the input's size."""
        description = self.description
        parts = {key: description[key] for key in ("checksums", "parameters", "input_size")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def card(self) -> str:
        """The model card, Markdown; "" where there is none."""
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def intended_use(self) -> str:
        """What the card says below "Intended use", Markdown; "" where it has no such part."""
        part = re.search(
            r"^#+ *intended use[^\n]*\n(.*?)(?=^#|\Z)", self.card, re.DOTALL | re.IGNORECASE | re.MULTILINE
        )
        return part[1].strip() if part else ""

    @cached_property
    def _session(self) -> Run:
        # The bytes that were hashed are the bytes that are run: the file is not opened a second time.
        graph = _verified(self.folder, GRAPH, self.record.checksums[GRAPH])
        return open_session(graph, self.folder / GRAPH, self.record, self.device)

    def prepare(self) -> None:
        """Load the graph now, so that what is wrong with it is said once, and not of each film.

        Raises:
            DeviceError: its device cannot be had.
            ModelPackageError: the graph has changed since it was exported, or cannot be run.
        """
        _ = self._session

    def run(self, images: Array) -> dict[str, Array]:
        """Run the graph on (N, channels, S, S) float32 images in 0..1; output name -> array.

        Raises:
            DeviceError: its device cannot be had.
            ModelPackageError: the graph has changed since it was exported, cannot be run, or gives no numbers.
        """
        session = self._session
        try:
            found = session(images)
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise ModelPackageError(f"{self.folder / GRAPH}: fails on images of {images.shape}; {AGAIN}") from error
        bad = [name for name, array in found.items() if len(array) != len(images) or not np.isfinite(array).all()]
        if bad:
            raise ModelPackageError(f"{self.folder / GRAPH}: gives no numbers as {', '.join(bad)}; {AGAIN}")
        return found


def shipped_models() -> Path:
    """Folder of the packages that come with LungLens."""
    return Path(str(files("lunglens"))) / "models"


@overload
def load_package(folder: str | Path, task: None = None) -> ModelPackage[Any]: ...
@overload
def load_package(folder: str | Path, task: Literal["lungs"]) -> ModelPackage[LungsParameters]: ...
@overload
def load_package(folder: str | Path, task: Literal["classification"]) -> ModelPackage[ClassifierParameters]: ...
@overload
def load_package(folder: str | Path, task: Literal["orientation"]) -> ModelPackage[OrientationParameters]: ...
@overload
def load_package(folder: str | Path, task: Literal["severity"]) -> ModelPackage[SeverityParameters]: ...
def load_package(folder: str | Path, task: Task | None = None) -> ModelPackage[Any]:
    """Read a package's description and hold its files against their checksums.

    Args:
        folder: where the package lies, or the name of one that ships, such as "hrnet".
        task: what the package must be fit for; None where that does not matter.

    Raises:
        ModelPackageError: no package there, damaged, for another task or of another format version.

    >>> classifier = load_package("hrnet", "classification")
    >>> classifier.name, classifier.input_size, [entry.name for entry in classifier.parameters.answer.classes]
    ('covid-hrnet-w18-small-192 0.1.0', 192, ['covid', 'not covid'])
    """
    folder = _found(Path(folder))
    try:
        description = json.loads(_read(folder, DESCRIPTION).decode("utf-8"))
    except (ModelPackageError, ValueError, RecursionError) as error:
        raise ModelPackageError(f"{folder}: no readable {DESCRIPTION}; is this a model package?") from error
    record = read_record(description, str(folder))
    if task not in (None, record.task):
        raise ModelPackageError(f"{folder}: is a package for {record.task}; give one for {task}")
    if task == "lungs" and record.parameters.gate is None:
        raise ModelPackageError(f"{folder}: its gate is not fitted; do that first: lunglens train gate")
    if record.parameters_sha256 not in (None, _sum_of_parameters(description)):
        raise ModelPackageError(f"{folder}: its parameters do not have the checksum in {DESCRIPTION}; {AGAIN}")
    for name, expected in record.checksums.items():
        _verified(folder, name, expected)
    return ModelPackage(folder, record)


def _found(folder: Path) -> Path:
    """The folder; where there is none, the package of that name that ships."""
    shipped = shipped_models() / folder
    return shipped if len(folder.parts) == 1 and not folder.exists() and shipped.is_dir() else folder


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `package.json`, with a checksum of its parameters, if `load_package` would read it.

    Raises:
        ModelPackageError: it would not.
    """
    whole = dict(description) | {"parameters_sha256": _sum_of_parameters(description)}
    read_record(whole, str(folder))
    write_json(folder / DESCRIPTION, whole)


def verify_package(package: ModelPackage[Any]) -> list[str]:
    """Re-check a package: checksums of its files, then the golden case. Returns what is wrong (empty: all good).

    This is integrity, not authenticity: it says that the files are those that were exported, not by whom.
    """
    problems = []
    for name, expected in package.record.checksums.items():
        try:
            _verified(package.folder, name, expected)
        except ModelPackageError as error:
            problems.append(str(error))
    # A graph that is not the one that was exported is not run.
    return problems or _golden_problems(package)


def verify_folders(folders: Sequence[Path] = (), device: Device = "cpu") -> Iterator[tuple[str, list[str]]]:
    """Re-check packages by their folders; without any, those that ship. device: where their golden cases are run.

    Yields the name of each (of its folder where it cannot be loaded), and what is wrong with it (empty: all good).
    """
    for folder in folders or sorted(path.parent for path in shipped_models().glob(f"*/{DESCRIPTION}")):
        try:
            package = load_package(folder).on(device)
            yield package.name, verify_package(package)
        except ModelPackageError as error:
            yield folder.name, [str(error)]


def _sum_of_parameters(description: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description.get("parameters"), sort_keys=True).encode()).hexdigest()


def _read(folder: Path, name: str) -> bytes:
    """The bytes of a regular file that lies in the folder itself, not behind a link that leads out of it."""
    path = folder / name
    try:
        if not path.is_file():
            raise ModelPackageError(f"{folder}: {name} is missing; {AGAIN}")
        if path.resolve().parent != folder.resolve():
            raise ModelPackageError(f"{path}: is a link to outside the package; {AGAIN}")
        most = _MOST_BYTES.get(name, _MOST_BYTES[GRAPH])
        with path.open("rb") as stream:
            # No more than it is long: what is asked for is set aside at once, and counts where memory is limited.
            size = path.stat().st_size
            data = stream.read(size + 1) if size <= most else b""
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle; ValueError: a NUL
        raise ModelPackageError(f"{path}: cannot be read; check its permissions, or {AGAIN}") from error
    if not 0 < len(data) <= most:
        raise ModelPackageError(f"{path}: is empty or too large; {AGAIN}")
    return data


def _verified(folder: Path, name: str, expected: str) -> bytes:
    """The bytes of a file that has its checksum."""
    data = _read(folder, name)
    if hashlib.sha256(data).hexdigest() != expected:
        raise ModelPackageError(f"{folder / name}: does not have the checksum in {DESCRIPTION}; {AGAIN}")
    return data


def golden_input(size: int, channels: int = 1) -> Array:
    """A (1, channels, size, size) image drawn by formula: two dark ovals on a bright oval, with stripes like ribs.

    A second channel is the mask of the two ovals.
    """
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = 0.75 * (x**2 / 0.9 + y**2 / 1.2 < 1)
    lungs = sum(((x - side) ** 2 / 0.08 + (y + 0.05) ** 2 / 0.4 < 1) for side in (-0.42, 0.42))
    image = body - 0.5 * lungs + 0.06 * np.sin(22 * y + 4 * x**2)
    both = np.stack([np.clip(image, 0, 1), np.asarray(lungs > 0)])
    return both[None, :channels].astype(np.float32)


def golden_summary(outputs: dict[str, Array]) -> dict[str, list[float]]:
    """What of the outputs is kept in the package: mean, spread and a few values of each."""
    return {
        name: [float(v) for v in (a.mean(), a.std(), *a.ravel()[:: max(a.size // 6, 1)])] for name, a in outputs.items()
    }


def _golden_problems(package: ModelPackage[Any]) -> list[str]:
    expected = package.record.golden
    found = golden_summary(package.run(golden_input(package.input_size, package.parameters.channels)))
    if expected.keys() != found.keys():
        return [f"{package.folder}: outputs are {sorted(found)}, the golden case has {sorted(expected)}"]
    return [
        f"{package.folder}: golden case differs in {name} by {worst:.2g} (at most {_GOLDEN_TOLERANCE})"
        for name, values in expected.items()
        # Written as "not at most", because NaN must not pass.
        if not (worst := float(np.abs(np.subtract(values, found[name])).max())) <= _GOLDEN_TOLERANCE
    ]
