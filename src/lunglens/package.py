"""Model packages: a folder with the ONNX graph, its card, its parameters, checksums and a golden case (no torch)."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import ModelPackageError
from lunglens.files import sha256_of

FORMAT_VERSION = 1
DESCRIPTION = "package.json"
GRAPH = "model.onnx"
GOLDEN_TOLERANCE = 1e-3
REQUIRED = ("name", "version", "input_size", "parameters", "checksums", "golden")
Array = NDArray[np.float32]


@dataclass(frozen=True)
class ModelPackage:
    """A model as it ships.

    folder: where `package.json`, `model.onnx` and `README.md` (the card) lie.
    description: what `package.json` says: name, version, kind, input_size, parameters, thresholds, checksums, golden.
    """

    folder: Path
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """Name and version, as written into every result."""
        return f"{self.description['name']} {self.description['version']}"

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.description["input_size"])

    @property
    def parameters(self) -> dict[str, Any]:
        """Preprocessing, post-processing and thresholds that belong to the weights."""
        return dict(self.description["parameters"])

    @property
    def measured(self) -> list[dict[str, Any]]:
        """Sensitivity and specificity at the threshold (films, n_positive, n_negative), for packages that say so."""
        return list(self.description.get("measured", {}).get("rows", []))

    @property
    def card(self) -> str:
        """The model card, Markdown; "" where there is none."""
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def _session(self) -> Any:
        # From 1.29 on it reports to its makers, on Linux too, unless told not to before it is loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # where somebody else has loaded it before
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # One film at a time: the arena would only hold on to memory.
        options.enable_cpu_mem_arena = False
        # Waiting threads sleep: spinning ones stand still together where other work holds a core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            self.folder / GRAPH, sess_options=options, providers=["CPUExecutionProvider"]
        )

    def run(self, images: Array) -> dict[str, Array]:
        """Run the graph on (N, 1, S, S) float32 images in 0..1; output name -> array."""
        session = self._session
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {"images": images}), strict=True))


def shipped_models() -> Path:
    """Folder of the packages that come with LungLens."""
    return Path(str(files("lunglens"))) / "models"


def load_package(folder: Path) -> ModelPackage:
    """Read a package's description.

    Raises:
        ModelPackageError: no package there, damaged, or of another format version.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelPackageError(f"{folder}: no readable {DESCRIPTION} ({error}); is this a model package?") from error
    if not isinstance(description, dict):
        raise ModelPackageError(f"{folder}: {DESCRIPTION} is no JSON object; install the package again")
    if description.get("format_version") != FORMAT_VERSION:
        found = description.get("format_version")
        raise ModelPackageError(f"{folder}: package format {found}, this LungLens reads format {FORMAT_VERSION}")
    if missing := [key for key in REQUIRED if key not in description]:
        raise ModelPackageError(f"{folder}: {DESCRIPTION} lacks {', '.join(missing)}; install the package again")
    if not (folder / GRAPH).is_file():
        raise ModelPackageError(f"{folder}: {GRAPH} is missing; export or install the package again")
    return ModelPackage(folder, description)


def verify_package(package: ModelPackage) -> list[str]:
    """Re-check a package: checksums of its files, then the golden case. Returns what is wrong (empty: all good)."""
    problems = [
        f"{package.folder / name}: does not have the checksum in {DESCRIPTION}"
        for name, expected in package.description["checksums"].items()
        if not (package.folder / name).is_file() or sha256_of(package.folder / name) != expected
    ]
    # A graph that is not the one that was exported is not run.
    return problems or _golden_problems(package)


def golden_input(size: int) -> Array:
    """A (1, 1, size, size) image drawn by formula: two dark ovals on a bright oval, with stripes like ribs."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = 0.75 * (x**2 / 0.9 + y**2 / 1.2 < 1)
    lungs = sum(((x - side) ** 2 / 0.08 + (y + 0.05) ** 2 / 0.4 < 1) for side in (-0.42, 0.42))
    image = body - 0.5 * lungs + 0.06 * np.sin(22 * y + 4 * x**2)
    return np.asarray(np.clip(image, 0, 1), np.float32)[None, None]


def golden_summary(outputs: dict[str, Array]) -> dict[str, list[float]]:
    """What of the outputs is kept in the package: mean, spread and a few values of each."""
    return {
        name: [float(v) for v in (a.mean(), a.std(), *a.ravel()[:: max(a.size // 6, 1)])] for name, a in outputs.items()
    }


def _golden_problems(package: ModelPackage) -> list[str]:
    expected = package.description["golden"]
    found = golden_summary(package.run(golden_input(package.input_size)))
    if expected.keys() != found.keys():
        return [f"{package.folder}: outputs are {sorted(found)}, the golden case has {sorted(expected)}"]
    return [
        f"{package.folder}: golden case differs in {name} by {worst:.2g} (at most {GOLDEN_TOLERANCE})"
        for name, values in expected.items()
        # Written as "not at most", because NaN must not pass.
        if not (worst := float(np.abs(np.subtract(values, found[name])).max())) <= GOLDEN_TOLERANCE
    ]
