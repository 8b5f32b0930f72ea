"""Small classifier packages of any classes: graphs made by hand, which answer by a film's mean brightness."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lunglens.files import sha256_of
from lunglens.film.model_package.package import (
    ModelPackage,
    golden_input,
    golden_summary,
    load_package,
    write_description,
)

SIZE, CELLS = 64, 8
TUBERCULOSIS = (
    {"name": "tuberculosis", "words": "tuberculosis"},
    {"name": "normal", "words": "no tuberculosis"},
)
THREE = ({"name": "pneumonia"}, {"name": "effusion", "words": "pleural effusion"}, {"name": "normal"})


def classifier_package(folder: Path, classes: Sequence[dict[str, Any]], heat: bool = True) -> Path:
    """A package that tells these classes apart (of two by a sigmoid, of more by softmax); `heat`: has it maps."""
    folder.mkdir(parents=True)
    onnx.save(_graph(len(classes), heat), folder / "model.onnx")
    words = ", ".join(entry.get("words", entry["name"]) for entry in classes)
    (folder / "README.md").write_text(f"# Test\n\n## Intended use\nTests of {words}.\n\n## Limits\nAll.\n")
    two = len(classes) == 2
    description: dict[str, Any] = {
        "format_version": 2,
        "task": "classification",
        "name": "brightness",
        "version": "1.0",
        "input_size": SIZE,
        "parameters": {
            "postprocess": {},
            "view": {"film_size": 256, "input_size": SIZE, "crop": True},
            "answer": {
                "activation": "sigmoid" if two else "softmax",
                "classes": list(classes),
                "threshold": 0.4 if two else None,
            },
        },
        "checksums": {"model.onnx": sha256_of(folder / "model.onnx")},
        "golden": {},
    }
    write_description(folder, description)
    outputs = load_package(folder, "classification").run(golden_input(SIZE))
    write_description(folder, description | {"golden": golden_summary(outputs)})
    return folder


def load(folder: Path) -> ModelPackage[Any]:
    return load_package(folder, "classification")


def _graph(classes: int, heat: bool) -> onnx.ModelProto:
    """images (N, 1, S, S) -> probability, logit, features, heat; of two classes the first one's, without its axis."""
    outputs = 1 if classes == 2 else classes
    weights = np.linspace(6, -6, classes, dtype=np.float32)[:outputs, None, None, None]
    cell = SIZE // CELLS
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["cells"], ["features"], axes=[2, 3], keepdims=0),
        helper.make_node("Relu", ["maps"], ["warm"]),
    ]
    if outputs == 1:
        nodes += [helper.make_node("Squeeze", ["means", "one"], ["logit"])]
        nodes += [helper.make_node("Sigmoid", ["logit"], ["probability"])]
        nodes += [helper.make_node("Squeeze", ["warm", "one"], ["heat"])]
    else:
        nodes += [helper.make_node("Identity", ["means"], ["logit"])]
        nodes += [helper.make_node("Softmax", ["logit"], ["probability"], axis=1)]
        nodes += [helper.make_node("Identity", ["warm"], ["heat"])]
    more = [] if outputs == 1 else [outputs]
    shapes: dict[str, list[Any]] = {"probability": ["n", *more], "logit": ["n", *more], "features": ["n", 1]}
    if heat:
        shapes["heat"] = ["n", *more, CELLS, CELLS]
    constants = {"weights": weights, "bias": np.full(outputs, -0.5, np.float32), "one": np.array([1], np.int64)}
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
