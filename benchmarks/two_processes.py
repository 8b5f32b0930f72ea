"""Does one training in two processes (DDP over gloo) learn what one process with the doubled batch learns?

    python benchmarks/two_processes.py --out results/two-processes.json [--steps 30]

The paper's UNet, which has no batch normalisation (its statistics would be those of half a batch), on ellipses, without
augmentation: every process draws its own. All ways see the same films in each step. One thread a process. How far two
trainings drift by rounding alone is told by a third: one process, the films of each batch in another order.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lunglens.files import write_json
from lunglens.study.config import load_config
from lunglens.train.loop import optimizers
from lunglens.train.losses import soft_dice_loss
from lunglens.train.networks.unet import create_unet

SIZE, CHANNELS, BATCH, SEED = 96, 8, 8, 0
ONE = "one process"
# Processes, and by how many places the films of a batch are turned round.
WAYS = {ONE: (1, 0), "two processes": (2, 0), "one process, films in another order": (1, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    found = {name: run(count, turn, arguments.steps) for name, (count, turn) in WAYS.items()}
    one = np.array(found[ONE]["losses"])
    for way in found.values():
        way["differences"] = np.abs(np.array(way["losses"]) - one).tolist()
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "seed": SEED,
        "size_px": SIZE,
        "channels": CHANNELS,
    }
    write_json(arguments.out, about | {"ways": found})
    for name, way in found.items():
        early, late = max(way["differences"][:10]), max(way["differences"])
        print(
            f"{name}: loss {way['losses'][0]:.4f} -> {way['losses'][-1]:.4f}, {way['step_seconds']:.3f} s a step, ",
            end="",
        )
        print(f"from one process {early:.1g} at most in ten steps, {late:.1g} in all")


def run(processes: int, turn: int, steps: int) -> dict[str, Any]:
    """Mean loss of every step over all processes, and the median time of a step in the first."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(learn, (processes, turn, steps, Path(folder)), nprocs=processes)
        parts = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(processes)]
    losses = torch.stack([part["losses"] for part in parts]).mean(0)
    return {"losses": losses.tolist(), "step_seconds": float(parts[0]["seconds"].median())}


def learn(rank: int, processes: int, turn: int, steps: int, folder: Path) -> None:
    """One of the processes: its share of each batch."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes, timeout=timedelta(minutes=2)
    )
    changes = [f"lungs.input_size={SIZE}", f"lungs.base_channels={CHANNELS}", "lungs.optimization.epochs=1"]
    config = load_config("paper", changes).lungs
    torch.manual_seed(SEED)
    network = DistributedDataParallel(create_unet(config))
    settings = optimizers(network, config.optimization, steps)
    losses, seconds = [], []
    for step in range(steps):
        images, masks = (films.roll(turn, 0)[rank::processes] for films in batch(step))
        begun = time.perf_counter()
        loss = soft_dice_loss(network(images), masks)
        settings["optimizer"].zero_grad()
        loss.backward()
        settings["optimizer"].step()
        seconds.append(time.perf_counter() - begun)
        losses.append(loss.detach())
    torch.save({"losses": torch.stack(losses), "seconds": torch.tensor(seconds)}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def batch(step: int) -> tuple[Tensor, Tensor]:
    """(N, 1, S, S) films of dark ellipses in noise, and their masks."""
    random = np.random.default_rng([SEED, step])
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    centre, radius = random.uniform(0.35, 0.65, (2, BATCH, 1, 1)), random.uniform(0.1, 0.3, (2, BATCH, 1, 1))
    masks = sum(((axis - c) / r) ** 2 for axis, c, r in zip((rows, columns), centre, radius, strict=True)) < 1
    films = 0.7 - 0.4 * masks + random.normal(0, 0.1, masks.shape)
    return torch.tensor(films, dtype=torch.float32)[:, None], torch.tensor(masks, dtype=torch.float32)[:, None]


if __name__ == "__main__":
    main()
