"""A package's graph, held against its description and made ready to run: the one place that knows of devices."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lunglens.errors import DeviceError, ModelPackageError
from lunglens.film.model_package.on_openvino import Run, openvino_session
from lunglens.film.model_package.onnx_file import has_external_data
from lunglens.film.model_package.record import DESCRIPTION, ClassifierParameters, LungsParameters, Record

AGAIN = "export or install the package again"
Device = Literal["cpu", "openvino", "cuda"]

_INPUT = "images"
_CUDA = "CUDAExecutionProvider"


def devices() -> list[Device]:
    """Those that are installed; whether a GPU is there to be used shows when a graph is loaded."""
    found: list[Device] = ["cpu"]
    if find_spec("openvino") is not None:
        found.append("openvino")
    return [*found, "cuda"] if _CUDA in runtime().get_available_providers() else found


def open_session(graph: bytes, path: Path, record: Record[Any], device: Device) -> Run:
    """What runs a graph. path: for the words of errors.

    Raises:
        DeviceError: the device cannot be had, or not for this graph.
        ModelPackageError: it is no graph, keeps weights elsewhere, or is not as its description says.
    """
    # onnxruntime would look for such files in the working folder, and its refusals change with its version.
    try:
        outside = has_external_data(graph)
    except ValueError as error:
        raise ModelPackageError(f"{path}: is no ONNX graph; {AGAIN}") from error
    if outside:
        raise ModelPackageError(f"{path}: keeps weights in other files; export it in one piece")
    session = _session_of(graph, path, device)
    if problems := _misfits(session, record):
        raise ModelPackageError(f"{path}: {'; '.join(problems)}; {AGAIN}")
    names = [output.name for output in session.get_outputs()]
    if device == "openvino":
        return openvino_session(graph, path, names, _threads())
    return lambda images: dict(zip(names, session.run(names, {_INPUT: images}), strict=True))


def runtime() -> Any:
    """The module onnxruntime, of whichever package it comes, kept from reporting."""
    # From 1.29 on it reports to its makers, on Linux too, unless told not to before it is loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where somebody else has loaded it before
    return onnxruntime


def _session_of(graph: bytes, path: Path, device: Device) -> Any:
    """Of onnxruntime: to run, or where OpenVINO runs it, to be asked what the graph is."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is said by our own errors
    # One film at a time: the arena would only hold on to memory.
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = _threads()
    # Waiting threads sleep: spinning ones stand still together where other work holds a core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "openvino":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers: list[Any] = ["CPUExecutionProvider"]
    if device == "cuda":
        if _CUDA not in onnxruntime.get_available_providers():
            raise DeviceError("cuda: this onnxruntime has it not; install onnxruntime-gpu in its place")
        providers = [(_CUDA, {"use_tf32": "0"}), *providers]  # 10 bits of mantissa would be other answers
    try:
        session = onnxruntime.InferenceSession(graph, sess_options=options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ModelPackageError(
            f"{path}: this onnxruntime ({onnxruntime.__version__}) cannot load it; {AGAIN}, or update onnxruntime"
        ) from error
    if device == "cuda" and _CUDA not in session.get_providers():  # it would go on without a word, on the processor
        raise DeviceError("cuda: does not start; it needs a GPU, and the CUDA and cuDNN that onnxruntime-gpu asks for")
    return session


def _threads() -> int:
    """As many as OMP_NUM_THREADS says; 0: as many as there are cores."""
    threads = os.environ.get("OMP_NUM_THREADS", "").strip()
    return int(threads) if threads.isdecimal() else 0


def _misfits(session: Any, record: Record[Any]) -> list[str]:
    """What of the graph's inputs and outputs is not as the description needs it (free sizes are not numbers)."""
    inputs, shape = session.get_inputs(), [record.parameters.channels, record.input_size, record.input_size]
    problems = []
    if [(one.name, one.type) for one in inputs] != [(_INPUT, "tensor(float)")]:
        problems.append(f"its input must be {_INPUT}, in float32, and nothing else")
    elif [n for n in inputs[0].shape[1:] if isinstance(n, int)] != shape:
        problems.append(f"its input is not (N, {', '.join(map(str, shape))}) as {DESCRIPTION} says")
    shapes = {one.name: one.shape for one in session.get_outputs() if one.type == "tensor(float)"}
    for name, count in (record.outputs | record.optional_outputs).items():
        if name not in shapes and name in record.optional_outputs:
            continue
        if len(shapes.get(name, ())) != count:
            problems.append(f"a graph for {record.task} needs an output {name} of {count} dimensions")
    return problems or _other_number(shapes, record.parameters)


def _other_number(shapes: dict[str, list[Any]], parameters: Any) -> list[str]:
    """Whether a graph gives another number of probabilities than the description names classes or masks."""
    if isinstance(parameters, LungsParameters):
        named, what = len(parameters.masks), "masks"
    elif isinstance(parameters, ClassifierParameters) and not parameters.answer.is_binary:
        named, what = len(parameters.answer.classes), "classes"
    else:
        return []
    given = shapes["probability"][1]
    if not isinstance(given, int) or given == named:
        return []
    return [f"it gives {given} probabilities, and {DESCRIPTION} names {named} {what}"]
