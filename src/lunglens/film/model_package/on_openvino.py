"""A graph run by OpenVINO on the processor, of whatever maker."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import DeviceError

Array = NDArray[np.float32]
Run = Callable[[Array], dict[str, Array]]  # (N, channels, S, S) images -> the graph's outputs by name

_CONVERTER = "openvino.tools.ovc"


def openvino_session(graph: bytes, path: Path, names: list[str], threads: int) -> Run:
    """What runs a graph, in full precision.

    Args:
        graph: one that onnxruntime has taken.
        path: for the words of errors.
        names: of the outputs, in their order; OpenVINO gives one tensor several names where outputs are alike.
        threads: 0: as many as there are cores.

    Raises:
        DeviceError: OpenVINO is not installed, or does not take the graph.
    """
    core = _core()
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,  # one film at a time
        "ENABLE_CPU_PINNING": False,  # processes beside each other would be pinned to the same cores
    }
    try:
        network = core.compile_model(core.read_model(graph), "CPU", settings)
    except Exception as error:  # a RuntimeError as a rule
        raise DeviceError(f"openvino: cannot load {path}; take the device cpu") from error

    def run(images: Array) -> dict[str, Array]:
        found = network.infer_new_request({0: images})  # a new one: threads may share the package
        return {name: found[at] for at, name in enumerate(names)}

    return run


@cache  # one for as long as the process lives: without any its libraries are unloaded, and the server ends in a crash
def _core() -> Any:
    """OpenVINO without its converter: that reports to its makers, and writes into the home folder, when imported."""
    hidden = sys.modules.setdefault(_CONVERTER, None) is None  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise DeviceError("openvino: is not installed; pip install 'lunglens[openvino]'") from error
    finally:
        if hidden:  # others may need it
            del sys.modules[_CONVERTER]
    return openvino.Core()
