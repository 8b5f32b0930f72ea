"""Time per film of the shipped pipeline against the paper-size networks run eagerly in torch, in one run, as a ratio.

    python benchmarks/speed.py [FILM] [--repeats 5] [--out FILE]

Both do the same analysis of the same film: lungs, post-processing, cut, classifier, heat-map. The slow side is the UNet
of table 4 at 512x512 and HRNet-W18 at 512x512 with Grad-CAM by autograd, with random weights (time does not depend on
them). Cold start and peak memory are those of a fresh `lunglens analyze` process, with bytecode, as pip leaves it (the
test environment has none: `pip install --no-compile`). Rounds alternate; medians; the first is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lunglens.film.analyzer import Analyzer
from lunglens.film.lungs.postprocess import lung_mask
from lunglens.film.parameters import Postprocess, View
from lunglens.film.preprocess import classifier_view, film_square, seen
from lunglens.film.radiograph import Radiograph, read_radiograph

# The child reports its own peak: getrusage would count this process's memory from before the child's exec.
FRESH = """
import sys
from lunglens.cli.main import main
try:
    main()
finally:
    print(open("/proc/self/status").read())
"""


def paper_size_analysis() -> Callable[[Radiograph], float]:
    """The same steps with the paper's networks in eager torch."""
    import torch

    from lunglens.train.networks.classifier import Classifier, class_activation, pool
    from lunglens.train.networks.unet import UNet

    unet, classifier, view = UNet(32).eval(), Classifier("hrnet_w18").eval(), View()

    def analyze(film: Radiograph) -> float:
        square = film_square(film.pixels, 512)
        with torch.inference_mode():
            probability = unet(torch.from_numpy(square)[None, None]).sigmoid()[0, 0].numpy()
        mask = lung_mask(probability[None], Postprocess())
        image, lungs, _ = classifier_view(square, mask.region, view)
        maps = classifier.streams(torch.from_numpy(seen(image, lungs, view))[None, None])
        pooled = pool(maps)
        logit = classifier.logits(pooled)
        (gradient,) = torch.autograd.grad(logit.sum(), pooled)
        class_activation(maps, gradient).detach()
        return float(logit.detach().sigmoid())

    return analyze


def seconds(function: Callable[[Radiograph], Any], film: Radiograph) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function(film)
    return time.perf_counter() - start


def fresh_process(film: Path, bytecode: str) -> tuple[float, float]:
    """(seconds to the first answer, peak memory in MB) of `lunglens analyze` in a new process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        command = [sys.executable, "-c", FRESH, "analyze", str(film), "--out", out]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return time.perf_counter() - start, int(done.stdout.split("VmHWM:")[1].split()[0]) / 1024


def phantom_file() -> Path:
    """A 2000x2000 synthetic chest as PNG, where no film is given."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.phantom import chest, save_png

    return save_png(chest(0, 2000)[0], Path(tempfile.mkdtemp()) / "chest.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    path = arguments.film or phantom_file()
    film, analyzer, paper = read_radiograph(path), Analyzer.load(), paper_size_analysis()
    rounds = [(seconds(analyzer.analyze, film), seconds(paper, film)) for _ in range(arguments.repeats + 1)][1:]
    with tempfile.TemporaryDirectory() as bytecode:
        starts = [fresh_process(path, bytecode) for _ in range(arguments.repeats + 1)][1:]
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "film": f"{path.name} {film.pixels.shape[0]}x{film.pixels.shape[1]}",
        "cores": len(os.sched_getaffinity(0)),
        "numpy": np.__version__,
        "shipped_ms": round(1000 * ours, 1),
        "paper_size_eager_torch_ms": round(1000 * theirs, 1),
        "ratio": round(statistics.median(b / a for a, b in rounds), 1),
        "cold_start_to_first_answer_s": round(statistics.median(s for s, _ in starts), 2),
        "peak_memory_mb": round(max(m for _, m in starts)),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
