"""Trained torch modules -> model packages, checked against torch before they are written."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lunglens.errors import ModelPackageError
from lunglens.files import sha256_of, write_bytes
from lunglens.film.about import __version__
from lunglens.film.model_package.package import golden_input, golden_summary, load_package, write_description
from lunglens.film.model_package.record import DESCRIPTION, FORMAT_VERSION, GRAPH, Parameters
from lunglens.train.networks.unet import UNet

AGREEMENT = 1e-4
# A picture, in no sum: deep networks' gradients are themselves only so near to their values in double precision.
_HEAT_AGREEMENT = 1e-3
CARD = "README.md"


class LungGraph(nn.Module):
    """What the lungs package computes: a probability map a mask, and pooled deepest features for the gate."""

    outputs = ("probability", "features")

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, S, S) -> (N, masks, S, S) in 0..1, and mean and maximum of each deepest channel (N, 2 C)."""
        levels = self.unet.encode(images)
        deepest = levels[-1].flatten(2)
        return self.unet.decode(levels).sigmoid(), torch.cat([deepest.mean(2), deepest.amax(2)], dim=1)


class FittedGraph(Protocol):
    """What is exported without torch's exporter; called with images it says what the ONNX graph has to answer."""

    outputs: tuple[str, ...]

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the graph has to answer."""

    def onnx_bytes(self, example: Tensor) -> bytes:
        """The ONNX graph with a free batch size."""


Graph = nn.Module | FittedGraph


def export_package(
    graph: Graph,
    folder: Path,
    *,
    name: str,
    input_size: int,
    parameters: Parameters,
    provenance: dict[str, Any],
    files: Sequence[str] = (),
    **more: Any,
) -> None:
    """Write `graph` (with an `outputs` tuple of names) as a model package into `folder`.

    Args:
        graph: maps (N, channels, S, S) images to a tuple of tensors named by `graph.outputs`.
        folder: is created; a card that is already there is kept, the rest replaced.
        name: model name, without version.
        input_size: S.
        parameters: preprocessing, post-processing, classes and thresholds; their type is the package's task.
        provenance: data fingerprint, configuration, seed, metrics: whatever says where the weights come from.
        files: names of what else was written into `folder` for the package.
        more: other parts of `record.Record`, such as `origin` and `measured`.

    Raises:
        ModelPackageError: the ONNX graph does not agree with torch to 1e-4 (the heat to 1e-3; of an output's largest
            value, if that is above 1) on the golden case, or the name or the parameters are none that a package may
            have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(graph, nn.Module):
        graph = graph.eval().to(memory_format=torch.contiguous_format)
    example = torch.from_numpy(golden_input(input_size, parameters.channels))
    content = onnx_bytes(graph, example) if isinstance(graph, nn.Module) else graph.onnx_bytes(example)
    write_bytes(folder / GRAPH, content)
    description = {
        "format_version": FORMAT_VERSION,
        "task": parameters.task,
        "name": name,
        "version": __version__,
        "created": datetime.now(UTC).date().isoformat(),
        "input_size": input_size,
        "parameters": parameters.model_dump(mode="json", exclude_none=True),
        "provenance": provenance,
        **more,
        "checksums": {name: sha256_of(folder / name) for name in (GRAPH, *files)},
        "golden": {},
    }
    write_description(folder, description)
    found = load_package(folder).run(example.numpy())
    _assert_agreement(graph, example, found, folder)
    write_description(folder, description | {"golden": golden_summary(found)})


def _assert_agreement(graph: Graph, example: Tensor, found: Mapping[str, NDArray[Any]], folder: Path) -> None:
    with torch.inference_mode():
        expected = dict(zip(graph.outputs, graph(example), strict=True))  # type: ignore[arg-type]
    for output, tensor in expected.items():
        largest = max(1.0, float(tensor.abs().max()))  # what has no limits is compared with its own size
        worst = float(np.abs(found[output] - tensor.numpy()).max()) / largest
        most = _HEAT_AGREEMENT if output == "heat" else AGREEMENT
        if worst > most:
            (folder / DESCRIPTION).unlink()  # it is no package that anybody should answer with
            raise ModelPackageError(f"{folder}: ONNX and torch differ by {worst:.2g} in {output} (at most {most})")


def onnx_bytes(graph: nn.Module, example: Tensor) -> bytes:
    """The ONNX graph of a module with `outputs`, for a free batch size, in one piece."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on its own internals
        program = torch.onnx.export(
            graph,
            (example.repeat(2, 1, 1, 1),),
            input_names=["images"],
            output_names=list(graph.outputs),  # type: ignore[arg-type]
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelPackageError("torch.onnx.export returned nothing")
    return bytes(_without_traces(program.model_proto).SerializeToString())


def _without_traces(model: Any) -> Any:
    """The exporter writes down where in whose files each step stands: paths of this machine are nobody's business."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model
