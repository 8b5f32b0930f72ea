"""Time and answers of the shipped networks on another device against the processor by onnxruntime, in one process.

    python benchmarks/devices.py FILM --out results/devices.json [--device openvino] [--repeats 41]

Each network gets what it gets of this film; single runs of both devices alternate. With 1 and 2 threads: medians in ms,
the gain (time of cpu : time of the device, pair by pair; median and quartiles), seconds to load (cpu, device), the
greatest difference of any output. Then the same of the whole analysis.
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lunglens.cli.options import Device
from lunglens.files import write_json
from lunglens.film.analyzer import Analyzer
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.film.radiograph import Radiograph, read_radiograph

CLASSIFIERS = ("classifier", "hrnet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--device", default="openvino")
    parser.add_argument("--repeats", type=int, default=41)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    film, device, repeats = read_radiograph(arguments.film), arguments.device, arguments.repeats
    images = images_of(film)
    found: dict[str, Any] = {}
    for threads in (1, 2):
        os.environ["OMP_NUM_THREADS"] = str(threads)
        ways = {name: network(name, given, device, repeats) for name, given in images.items()}
        ways["whole film"] = whole_film(film, device, repeats)
        found[f"{threads} thread{'s' if threads > 1 else ''}"] = ways
        for name, way in ways.items():
            print(f"{threads} {name}: {way}", flush=True)
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "film": arguments.film.name,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "onnxruntime": onnxruntime.__version__,
        "device": device,
        "openvino": version("openvino") if device == "openvino" else None,
        "repeats": repeats,
    }
    write_json(arguments.out, about | found)


def images_of(film: Radiograph) -> dict[str, Any]:
    """What each network that ships is given first of a film, by the name of its package."""
    given: dict[str, Any] = {}
    run = ModelPackage.run

    def noted(package: ModelPackage[Any], images: Any) -> Any:
        given.setdefault(package.folder.name, images)
        return run(package, images)

    ModelPackage.run = noted  # type: ignore[method-assign]
    for classifier in CLASSIFIERS:
        Analyzer.load(classifier=classifier).analyze(film)
    ModelPackage.run = run  # type: ignore[method-assign]
    return given


def network(name: str, images: Any, device: Device, repeats: int) -> dict[str, Any]:
    packages = load_package(name), load_package(name).on(device)
    loads = [seconds(package.prepare) for package in packages]
    here, there = (package.run(images) for package in packages)
    most = max(float(np.abs(here[output] - there[output]).max()) for output in here)
    return compared(*(lambda one=one: one.run(images) for one in packages), repeats) | {
        "load_s": [round(load, 2) for load in loads],
        "greatest_difference": float(f"{most:.2g}"),
    }


def whole_film(film: Radiograph, device: Device, repeats: int) -> dict[str, Any]:
    """Of the shipped classifier; the difference is that of the probabilities."""
    analyzers = Analyzer.load(), Analyzer.load(device=device)
    loads = [seconds(analyzer.prepare) for analyzer in analyzers]
    here, there = (np.array(list(one.analyze(film).probabilities.values())) for one in analyzers)
    return compared(*(lambda one=one: one.analyze(film) for one in analyzers), repeats) | {
        "load_s": [round(load, 2) for load in loads],
        "greatest_difference": float(f"{np.abs(here - there).max():.2g}"),
    }


def compared(cpu: Callable[[], object], device: Callable[[], object], repeats: int) -> dict[str, Any]:
    """Single runs that alternate, each time the other one first."""
    pairs = np.empty((repeats, 2))
    for number in range(repeats):
        order = ((0, cpu), (1, device))[:: 1 if number % 2 else -1]
        for column, run in order:
            pairs[number, column] = seconds(run)
    low, gain, high = np.quantile(pairs[:, 0] / pairs[:, 1], (0.25, 0.5, 0.75)).round(2).tolist()
    cpu_ms, device_ms = np.round(1000 * np.median(pairs, axis=0), 1).tolist()
    return {"cpu_ms": cpu_ms, "device_ms": device_ms, "gain": gain, "quartiles": [low, high]}


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
