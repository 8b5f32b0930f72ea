"""Films a second of the lungs and classifier networks by films a call, and what memory that takes.

    python benchmarks/batching.py --out results/batching.json [--rounds 11]

In one process, with 1 and 2 threads: each round runs 16 films by each number a call, in turn; the gain is the rate
against that of one film a call in the same round, median and quartiles. Peak memory is that of a fresh process that
loads the network and makes one call. The images are the golden case: time does not depend on what is on them.
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lunglens.files import write_json
from lunglens.film.model_package.package import ModelPackage, golden_input, load_package

NETWORKS = ("lungs", "classifier")
A_CALL = (1, 2, 4, 8, 16)
FILMS = max(A_CALL)
FRESH = """
import sys
import numpy as np
from lunglens.film.model_package.package import golden_input, load_package
package = load_package(sys.argv[1])
package.run(np.repeat(golden_input(package.input_size, package.parameters.channels), int(sys.argv[2]), 0))
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found: dict[str, Any] = {name: {} for name in NETWORKS}
    for threads in (1, 2):
        os.environ["OMP_NUM_THREADS"] = str(threads)
        for name in NETWORKS:
            rates = np.array([round_of(package, images) for package, images in [loaded(name)] * arguments.rounds])
            found[name][f"{threads} thread{'s' if threads > 1 else ''}"] = told(rates)
    for name in NETWORKS:
        found[name]["peak_memory_mb"] = {str(number): peak_mb(name, number) for number in A_CALL}
        print(name, found[name])
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "onnxruntime": onnxruntime.__version__,
        "rounds": arguments.rounds,
    }
    write_json(arguments.out, about | found)


def loaded(name: str) -> tuple[ModelPackage[Any], Any]:
    """The network, warm, and films for it."""
    package = load_package(name)
    images = np.repeat(golden_input(package.input_size, package.parameters.channels), FILMS, 0)
    package.run(images[:1])
    return package, images


def round_of(package: ModelPackage[Any], images: Any) -> list[float]:
    """Films a second by each number a call."""
    rates = []
    for number in A_CALL:
        start = time.perf_counter()
        for first in range(0, FILMS, number):
            package.run(images[first : first + number])
        rates.append(FILMS / (time.perf_counter() - start))
    return rates


def told(rates: Any) -> dict[str, Any]:
    """rates: (rounds, numbers a call)."""
    gains = np.quantile(rates / rates[:, :1], (0.25, 0.5, 0.75), axis=0).round(2).T.tolist()
    by_number = zip(A_CALL, np.median(rates, axis=0).round(1).tolist(), gains, strict=True)
    return {
        str(number): {"films_a_second": rate, "gain": gain, "quartiles": [low, high]}
        for number, rate, (low, gain, high) in by_number
    }


def peak_mb(name: str, number: int) -> int:
    command = [sys.executable, "-c", FRESH, name, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1024)


if __name__ == "__main__":
    main()
