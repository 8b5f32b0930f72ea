"""Time of a training step, in every precision, compiled, and beside others; on the processor or a GPU.

    python benchmarks/training_step.py --config lite0 --out results/training-step.json [--steps 8] [--beside 2]

Forward and backward of a batch of the configuration's classifier, the ways alternating, the fastest of the steps. On
the processor one thread: as lightning's bf16 does it, with grouped convolutions in float32 (what training does), all in
float32, and what training does compiled. Share of the roofline: operations a second (three times those of the forward
pass) of those of one large product of matrices in the same precision. Beside: N processes at once, as folds of a run
are (`--jobs N`; on Ray `--gpus-per-job 0.5`), in the way that training takes: steps a second of all, against one alone.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lunglens.files import write_json
from lunglens.study.config import load_config
from lunglens.train.classifier import ClassifierTraining
from lunglens.train.precision import fastest, keep_grouped_in_float32

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TRAINED, COMPILED = "bf16, grouped in float32", "the same, compiled"
_MATRIX = 8192 if DEVICE == "cuda" else 1536


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--beside", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plain, images = network_of(arguments.config)
    mended = deepcopy(plain)
    keep_grouped_in_float32(mended)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(images)
    operations = 3 * counter.get_total_flops()
    ways = {"bf16": (plain, True), TRAINED: (mended, True), "float32": (plain, False)}
    ways[COMPILED] = (torch.compile(mended), True)
    first, seconds = dict[str, float](), {name: list[float]() for name in ways}
    for turn in range(arguments.steps + 1):  # the first compiles
        for name, (network, bf16) in ways.items():
            took = step(network, images, bf16=bf16)
            if turn:
                seconds[name].append(took)
            else:
                first[name] = took
    peak = {bf16: roofline(torch.bfloat16 if bf16 else torch.float32) for bf16 in (True, False)}
    found = {}
    for name, (_, bf16) in ways.items():
        rate = operations / min(seconds[name])
        found[name] = {"seconds": min(seconds[name]), "first_s": first[name], "gflops_a_second": rate / 1e9}
        found[name]["of_roofline"] = rate / peak[bf16]
    one, several = (beside(arguments.config, count, arguments.steps) for count in (1, arguments.beside))
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": fastest()[1],
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu, one thread",
        "torch": torch.__version__,
        "config": arguments.config,
        "batch": len(images),
        "size_px": images.shape[-1],
        "roofline_gflops_a_second": {"bf16": peak[True] / 1e9, "float32": peak[False] / 1e9},
        "beside": {"processes": arguments.beside, "steps_a_second": several, "one_alone": one},
    }
    write_json(arguments.out, about | {"ways": found})
    for name, way in found.items():
        gain = found["bf16"]["seconds"] / way["seconds"]
        print(f"{name}: {way['seconds']:.3f} s, {gain:.2f} of bf16's pace, {way['of_roofline']:.0%} of the roofline")
    print(f"{arguments.beside} beside each other: {several / one:.2f} times the steps of one alone")


def network_of(config: str) -> tuple[nn.Module, Tensor]:
    """A configuration's classifier, and a batch for it."""
    torch.manual_seed(0)
    settings = load_config(config, ["classifier.pretrained=none"]).classifier
    shape = (settings.optimization.batch_size, settings.view.channels, *[settings.view.input_size] * 2)
    images = torch.rand(shape, device=DEVICE).contiguous(memory_format=torch.channels_last)
    network = ClassifierTraining(settings).classifier.train()
    return network.to(DEVICE, memory_format=torch.channels_last), images


def step(network: nn.Module, images: Tensor, *, bf16: bool) -> float:
    return timed(partial(_step, network, images, bf16))


def _step(network: nn.Module, images: Tensor, bf16: bool) -> None:
    with torch.autocast(DEVICE, torch.bfloat16, enabled=bf16):
        answer = network(images)
    answer.float().mean().backward()


def timed(work: Callable[[], object]) -> float:
    """Seconds until it is done, on the GPU too."""
    begun = time.perf_counter()
    work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def roofline(precision: torch.dtype) -> float:
    """Operations a second of a large product of matrices, the fastest of ten."""
    matrix = torch.rand(_MATRIX, _MATRIX, device=DEVICE, dtype=precision)
    return 2 * _MATRIX**3 / min(timed(partial(torch.mm, matrix, matrix)) for _ in range(10))


def beside(config: str, processes: int, steps: int) -> float:
    """Steps a second of all together."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return sum(pool.starmap(_alone, [(config, steps)] * processes))


def _alone(config: str, steps: int) -> float:
    torch.set_num_threads(1)
    network, images = network_of(config)
    keep_grouped_in_float32(network)
    step(network, images, bf16=True)
    return steps / sum(step(network, images, bf16=True) for _ in range(steps))


if __name__ == "__main__":
    main()
