"""ONNX models put together node by node: estimators into one, and descriptors with estimators."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from lunglens.train.systems.texture.options import Fusion

Span = tuple[int, int]
FEATURES, PROBABILITIES = "features", "probabilities"
_LEAST = 1e-6  # a product must not die of one estimator that is wholly sure
SURE = 1e-3  # logits end here: nearer to 0 and 1 the rounding of probabilities would be most of them


def multiplied(model: Any, matrix: NDArray[np.floating]) -> Any:
    """A regressor's model, its answer (N, n) times (n, K) as probabilities (N, K)."""
    graph = _Graph()
    answer = graph.placed(model, "tree.", FEATURES, "variable")
    graph.node("MatMul", [answer, graph.constant(matrix.astype(np.float32))], PROBABILITIES)
    return graph.model([(FEATURES, None)], [(PROBABILITIES, matrix.shape[1])])


def joined(models: Sequence[Any], spans: Sequence[Span], fusion: Fusion, classes: int) -> Any:
    """Estimators as one: (N, F) -> "probabilities" (N, classes).

    Args:
        models: each with one input, and "probabilities" among its outputs.
        spans: which columns of the features each takes.
        fusion: "early" and "late-sum" take the mean of the answers.
        classes: K.
    """
    graph = _Graph()
    answers = []
    for number, (model, (start, stop)) in enumerate(zip(models, spans, strict=True)):
        bounds = [graph.constant(np.array([value], np.int64)) for value in (start, stop, 1)]
        part = graph.node("Slice", [FEATURES, *bounds])
        answers.append(graph.placed(model, f"e{number}.", part, PROBABILITIES))
    if fusion == "late-product":
        ends = [graph.constant(np.float32(end)) for end in (_LEAST, 1)]
        total = graph.node("Clip", [answers[0], *ends])
        for answer in answers[1:]:
            total = graph.node("Mul", [total, graph.node("Clip", [answer, *ends])])
        graph.node(
            "Div", [total, graph.node("ReduceSum", [total, graph.constant(np.array([1], np.int64))])], PROBABILITIES
        )
    else:
        votes = [graph.vote(answer, classes) for answer in answers] if fusion == "late-vote" else answers
        graph.node("Mean", votes, PROBABILITIES)
    return graph.model([(FEATURES, spans[-1][1])], [(PROBABILITIES, classes)])


def answering(descriptors: Any, estimators: Any, classes: int) -> Any:
    """A package's graph: images -> probability and logit, (N,) of the first of two classes or (N, K), and features.

    Args:
        descriptors: images -> "features" (N, F).
        estimators: as `joined` makes them.
        classes: K.
    """
    graph = _Graph(descriptors)
    answer = graph.placed(estimators, "estimator.", FEATURES, PROBABILITIES)
    if classes == 2:
        answer = graph.node("Gather", [answer, graph.constant(np.int64(0))], axis=1)
    graph.node("Identity", [answer], "probability")
    ends = [graph.constant(np.float32(end)) for end in (SURE, 1 - SURE)]
    inside = graph.node("Clip", [answer, *ends])
    log = graph.node("Log", [inside], *(["logit"] if classes > 2 else []))
    if classes == 2:
        other = graph.node("Sub", [graph.constant(np.float32(1)), inside])
        graph.node("Sub", [log, graph.node("Log", [other])], "logit")
    width = None if classes == 2 else classes
    return graph.model([], [("probability", width), ("logit", width)])


class _Graph:
    """An ONNX graph that grows: nodes, constants and operator sets, of others and of its own."""

    def __init__(self, begun: Any = None) -> None:
        self.begun = begun or helper.make_model(helper.make_graph([], "texture", [], []), opset_imports=[])
        self.graph = self.begun.graph
        self.opsets = {one.domain: one.version for one in self.begun.opset_import}

    def placed(self, model: Any, prefix: str, source: str, output: str) -> str:
        """Take over a model whose one input is `source`; returns the new name of its output."""
        inner = compose.add_prefix(model, prefix).graph
        self.node("Identity", [source], inner.input[0].name)
        self.graph.node.extend(inner.node)
        self.graph.initializer.extend(inner.initializer)
        for one in model.opset_import:
            self.opsets[one.domain] = max(one.version, self.opsets.get(one.domain, 0))
        return prefix + output

    def constant(self, value: Any) -> str:
        """Add an array; returns its name."""
        name = f"texture.constant.{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        output = output or f"texture.{kind}.{len(self.graph.node)}"
        self.graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def vote(self, answer: str, classes: int) -> str:
        """1 for the most probable class, 0 for the others."""
        most = self.node("ArgMax", [answer], axis=1, keepdims=0)
        ends = self.constant(np.array([0, 1], np.float32))
        return self.node("OneHot", [most, self.constant(np.int64(classes)), ends], axis=1)

    def model(self, inputs: Sequence[tuple[str, int | None]], outputs: Sequence[tuple[str, int | None]]) -> Any:
        """The whole; inputs and outputs, beside those it has, are (N, width), or (N,) for an output without a width."""
        for name, width in inputs:
            self.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]))
        made = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"] if width is None else ["N", width])
            for name, width in outputs
        ]
        kept = list(self.graph.output)
        del self.graph.output[:]
        self.graph.output.extend([*made, *kept])
        del self.begun.opset_import[:]
        self.begun.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in self.opsets.items())
        self.begun.ir_version = min(self.begun.ir_version, 10)  # what onnxruntime 1.20 reads
        onnx.checker.check_model(self.begun)
        return self.begun
