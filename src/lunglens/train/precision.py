"""The arithmetic of a training: `precision = "auto"` becomes what this machine does fast, once for a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MethodType
from typing import Any, Literal, TypeVar

import torch
from rich.console import Console
from torch import Tensor, nn

from lunglens.study.config.training import ClassifierConfig, LungsConfig, Optimization

Settings = TypeVar("Settings", LungsConfig, ClassifierConfig)
_CPU_FLAGS = ("avx512_bf16", "amx_bf16")


def settled(config: Settings, record: Path, console: Console) -> Settings:
    """The configuration with an explicit precision, said on the console.

    Args:
        config: of a run that begins or goes on.
        record: JSON in which the run keeps its configuration (or, under "config", with more); may be missing.
        console: for the choice.

    A run that was begun goes on as it was begun, on another machine too: its folds must not differ in arithmetic.
    """
    if config.optimization.precision != "auto":
        return config
    begun = _begun(record)
    precision, why = (begun, "as this run was begun") if begun else fastest()
    console.print(f"precision: {precision} ({why})")
    optimization = Optimization.model_validate(config.optimization.model_dump() | {"precision": precision})
    return config.model_copy(update={"optimization": optimization})


def fastest() -> tuple[Literal["bf16-mixed", "32-true"], str]:
    """lightning's name of the arithmetic to train in here, and why in words.

    bfloat16 only where there are units for it: without them it is computed piece by piece, 11 times slower than
    float32 (measured on a processor with AVX2).
    """
    if torch.cuda.is_available():
        # Emulated support counts for torch unless told otherwise.
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU has bf16 units"
        return "32-true", "the GPU has no bf16 units"
    if any(_cpu_capabilities().get(flag) for flag in _CPU_FLAGS):
        return "bf16-mixed", "this processor has bf16 units"
    return "32-true", "this processor has no bf16 units"


def keep_grouped_in_float32(network: nn.Module) -> None:
    """Leave the grouped (depthwise) convolutions out of autocast, on a processor.

    Their gradients in bfloat16 fall back to a plain loop, up to seven times slower than float32 with strides or 5 x 5
    (`benchmarks/training_step.py`).
    """
    if torch.cuda.is_available():
        return
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = MethodType(_in_float32, layer)  # type: ignore[method-assign]


def _in_float32(layer: nn.Conv2d, images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        return type(layer).forward(layer, images.float())


def _cpu_capabilities() -> Mapping[str, Any]:
    """Names as in /proc/cpuinfo -> whether the processor has them; empty where nothing tells."""
    if hasattr(torch.cpu, "get_capabilities"):  # later than 2.6
        return dict(torch.cpu.get_capabilities())
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return dict.fromkeys(flags.split(), True)


def _begun(record: Path) -> str | None:
    if not record.exists():
        return None
    content = json.loads(record.read_text(encoding="utf-8"))
    precision = content.get("config", content).get("optimization", {}).get("precision")
    return None if precision in (None, "auto") else str(precision)
