"""Lungs packages without training: the same lungs in every film."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from lunglens.film.gate.traits import SHARPNESS
from lunglens.film.model_package.package import Array, golden_input, golden_summary, load_package, write_description
from tests.support.packages import SIZE, _node, _value


def lungs_package(folder: Path, maps: Array, traits: Mapping[str, float] | None = None, **parameters: Any) -> Path:
    """A package in `folder` that gives the same maps (C, SIZE, SIZE), 0..1, of every film, which its gate accepts.

    traits: the log odds of each, of every film.
    """
    folder.mkdir(parents=True, exist_ok=True)
    graph = _graph(maps)
    (folder / "model.onnx").write_bytes(graph)
    checks: dict[str, Any] = {name: _check(bias) for name, bias in (("frontal", 9.0), ("inverted", -9.0))}
    checks["traits"] = {name: _check(bias, 9 + SHARPNESS) for name, bias in (traits or {}).items()}
    description = {
        "format_version": 2,
        "task": "lungs",
        "name": "still",
        "version": "1",
        "input_size": SIZE,
        "parameters": {"postprocess": {}, "gate": checks} | parameters,
        "checksums": {"model.onnx": hashlib.sha256(graph).hexdigest()},
        "golden": {},
    }
    write_description(folder, description)
    outputs = load_package(folder).run(golden_input(SIZE))
    write_description(folder, description | {"golden": golden_summary(outputs)})
    return folder


def _graph(maps: Array) -> bytes:
    nodes = [_node("Mul", ["images", "nothing"], "zero"), _node("Add", ["zero", "maps"], "probability")]
    nodes += [_node("ReduceMean", ["images", "within"], "features", keepdims=0)]
    weights = {"nothing": np.float32(0), "maps": maps[None].astype(np.float32), "within": np.array([2, 3], np.int64)}
    shown = [_value("probability", ["n", len(maps), SIZE, SIZE]), _value("features", ["n", 1])]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [_value("images", ["n", 1, SIZE, SIZE])], shown, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def _check(bias: float, features: int = 9) -> dict[str, Any]:
    """Of the gate: always the same score, whatever the features (one of the network, eight of geometry)."""
    lists = {"mean": [0.0] * features, "scale": [1.0] * features, "weights": [0.0] * features}
    return lists | {"bias": bias, "threshold": 0.5}
