"""Model packages without training: a classifier of any classes, whose answer is set by its logits."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from lunglens.film.model_package.package import golden_input, golden_summary, load_package, write_description

SIZE = 64
TUBERCULOSIS: tuple[str | dict[str, Any], ...] = ("tuberculosis", {"name": "normal", "words": "no tuberculosis"})
THREE: tuple[str | dict[str, Any], ...] = ("pneumonia", {"name": "effusion", "words": "pleural effusion"}, "normal")


def classifier_graph(logits: Sequence[float], heat: bool = True, channels: int = 1, far: bool = False) -> bytes:
    """A graph that answers nearly these logits (one for two classes), with heat where the image is bright.

    Of more classes than two the first has no heat. Of two channels, for two classes alone, the heat is their sum, and
    opacity is as probable as the first class. far, for two classes alone: it tells a distance, the image's mean.
    """
    one = len(logits) == 1
    names = ["probability", "logit", *(["heat"] if heat else []), "features"]
    names += ["opacity"] if channels == 2 else []
    names += ["distance"] if far else []
    nodes = [_node("ReduceMean", ["images", "within"], "features", keepdims=0)]
    if one:
        nodes += [_node("ReduceMean", ["features", "channel"], "mean", keepdims=0)]
        nodes += [_node("Mul", ["mean", "little"], "change"), _node("Add", ["change", "base"], "logit")]
        nodes += [_node("Sigmoid", ["logit"], "probability")]
        nodes += [_node("ReduceSum", ["images", "channel"], "heat", keepdims=0)]
        nodes += [_node("Identity", ["probability"], "opacity")] if channels == 2 else []
        nodes += [_node("Identity", ["mean"], "distance")] if far else []
    else:
        nodes += [_node("Mul", ["features", "little"], "change"), _node("Add", ["change", "base"], "logit")]
        nodes += [_node("Softmax", ["logit"], "probability"), _node("Mul", ["images", "strength"], "heat")]
    weights = {
        "within": np.array([2, 3], np.int64),
        "channel": np.array([1], np.int64),
        "little": np.float32(0.01),
        "base": np.array(logits[0] if one else [logits], np.float32),
        "strength": np.arange(len(logits), dtype=np.float32).reshape(1, -1, 1, 1),
    }
    classes = [] if one else [len(logits)]
    shapes = {"heat": ["n", *classes, SIZE, SIZE], "features": ["n", channels]}
    shown = [_value(name, shapes.get(name, ["n", *classes])) for name in names]
    kept = [node for node in nodes if heat or node.output[0] != "heat"]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(kept, "g", [_value("images", ["n", channels, SIZE, SIZE])], shown, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def classifier_package(
    folder: Path,
    classes: Sequence[str | dict[str, Any]],
    logits: Sequence[float],
    heat: bool = True,
    pool: str = "all",
    answers: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """A package in `folder` for classes, each a name or what `package.json` says of it; answers: more of `answer`."""
    folder.mkdir(parents=True, exist_ok=True)
    channels = 2 if pool == "region" else 1
    answers = answers or {}
    graph = classifier_graph(logits, heat, channels, far="far_above" in answers.get("abstention", {}))
    (folder / "model.onnx").write_bytes(graph)
    two = len(classes) == 2
    answer = {
        "activation": "sigmoid" if two else "softmax",
        "classes": [{"name": entry} if isinstance(entry, str) else entry for entry in classes],
        "threshold": 0.5 if two else None,
        **answers,
    }
    view = {"film_size": SIZE, "input_size": SIZE} | ({"pool": pool, "cut": False} if pool != "all" else {})
    description = {
        "format_version": 2,
        "task": "classification",
        "name": "tiny",
        "version": "1",
        "input_size": SIZE,
        "parameters": {"postprocess": {}, "view": view, "answer": answer}
        | ({"opacity": {"threshold": 0.4}} if channels == 2 else {}),
        "checksums": {"model.onnx": hashlib.sha256(graph).hexdigest()},
        "golden": {},
        **more,
    }
    write_description(folder, description)
    outputs = load_package(folder).run(golden_input(SIZE, channels))
    write_description(folder, description | {"golden": golden_summary(outputs)})
    return folder


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def _value(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
