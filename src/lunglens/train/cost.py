"""What one film costs a model."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

TRIES = 7


def cost_of(answer: Callable[[Tensor], Any], parameters: int, size: int, channels: int = 1) -> dict[str, float]:
    """Parameters, GFLOPs (a multiply-add counts as two) and median CPU time in ms of one film, batch of one.

    Args:
        answer: takes (1, channels, size, size) images; only torch's operations in it are counted.
        parameters: how many numbers it has learned.
        size: side of the images, px.
        channels: of the images.
    """
    image = torch.zeros(1, channels, size, size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            answer(image)
        seconds = []
        for _ in range(TRIES):
            start = time.perf_counter()
            answer(image)
            seconds.append(time.perf_counter() - start)
    return {
        "parameters": parameters,
        "gflops": round(counter.get_total_flops() / 1e9, 3),
        "cpu_ms": round(1000 * float(np.median(seconds)), 1),
    }
