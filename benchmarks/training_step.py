"""Time of a training step as lightning's bf16 does it, with grouped convolutions in float32, and all in float32.

    python benchmarks/training_step.py --config lite0 --out results/training-step.json [--steps 8]

One thread, alternating, the fastest of the steps: forward and backward of a batch of the configuration's classifier.
"""

import argparse
import time
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn

from lunglens.files import write_json
from lunglens.study.config import load_config
from lunglens.train.classifier import ClassifierTraining
from lunglens.train.precision import fastest, keep_grouped_in_float32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = load_config(arguments.config, ["classifier.pretrained=none"]).classifier
    plain = ClassifierTraining(config).classifier.train()
    mended = deepcopy(plain)
    keep_grouped_in_float32(mended)
    ways = {"bf16": (plain, True), "bf16, grouped in float32": (mended, True), "float32": (plain, False)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    size, batch = config.view.input_size, config.optimization.batch_size
    images = torch.rand(batch, config.view.channels, size, size).contiguous(memory_format=torch.channels_last)
    for _ in range(arguments.steps):
        for name, (network, bf16) in ways.items():
            seconds[name].append(step(network, images, bf16=bf16))
    found = {name: {"seconds": min(times)} for name, times in seconds.items()}
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": fastest()[1],
        "torch": torch.__version__,
    }
    write_json(arguments.out, about | {"config": arguments.config, "batch": batch, "size_px": size, "ways": found})
    for name, way in found.items():
        print(f"{name}: {way['seconds']:.3f} s, {found['bf16']['seconds'] / way['seconds']:.2f} times as fast as bf16")


def step(network: nn.Module, images: torch.Tensor, *, bf16: bool) -> float:
    begun = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        answer = network(images)
    answer.float().mean().backward()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
