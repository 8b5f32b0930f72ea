"""Where the time of one film goes, by kind of file: source trees side by side in one run, their rounds alternating.

    python benchmarks/steps.py --out results/steps.json SRC [SRC ...] [--threads 1] [--jobs-films 500]

Each SRC is a folder that holds `lunglens/` (`git worktree add` gives one of an earlier state). In a process of each
tree, warm, in ms: reading, analysis, panel, its PNG, mask, its PNG, and all that `lunglens analyze` does with it. Then
cold `lunglens analyze` of one film, `lunglens --help`, peak memory, and of the last tree many films by one and
by two processes. Medians of the rounds, and their range.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data_store
import numpy as np
from PIL import Image

FOLDER = Path(data_store.__file__).parent / "data"
STEPS = """
import io, json, sys, tempfile, time
from dataclasses import replace
from pathlib import Path
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.write import AnalysisWriter
from lunglens.film.picture.panel import draw_panel, mask_image
from lunglens.film.radiograph import read_radiograph
analyzer, writer = Analyzer.load(), AnalysisWriter()
stem = Path(tempfile.mkdtemp()) / "film"
def png(picture):
    picture.save(io.BytesIO(), "PNG", compress_level=3)
found = {}
for film in map(Path, sys.argv[1:]):
    steps = {}
    def timed(name, function):
        best = []
        for _ in range(5):
            start = time.perf_counter()
            result = function()
            best.append(1000 * (time.perf_counter() - start))
        steps[name] = min(best)
        return result
    writer.write(film, stem, analyzer)
    radiograph = timed("read", lambda: read_radiograph(film))
    finding = timed("analysis", lambda: analyzer.analyze(radiograph))
    panel = timed("panel", lambda: draw_panel(finding, "film"))
    timed("panel's PNG", lambda: png(panel))
    mask = timed("mask", lambda: mask_image(replace(finding).lungs))
    timed("mask's PNG", lambda: png(mask))
    timed("whole film", lambda: writer.write(film, stem, analyzer))
    found[film.name] = steps
print(json.dumps(found))
"""
COLD = """
import sys
from lunglens.cli.main import main
try:
    main()
finally:
    print(open("/proc/self/status").read())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="")
    parser.add_argument("--jobs-films", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        films = _films(Path(folder))
        for _ in range(settings.rounds):
            for number, tree in enumerate(settings.trees):
                found = times.setdefault(f"tree {number}", {})
                for name, value in _measure(tree.resolve(), films, settings.threads).items():
                    found.setdefault(name, []).append(value)
        jobs = _by_jobs(settings.trees[-1].resolve(), films[0], Path(folder), settings.jobs_films)
    about = {"date": datetime.now(UTC).date().isoformat(), "cores": len(os.sched_getaffinity(0))}
    trees = {tree: {name: _spread(values) for name, values in found.items()} for tree, found in times.items()}
    first = trees["tree 0"]
    ratios = {
        tree: {name: round(value["median"] / first[name]["median"], 3) for name, value in found.items()}
        for tree, found in trees.items()
    }
    report = about | {"rounds": settings.rounds, "trees": trees, "to the first": ratios, "jobs": jobs}
    settings.out.write_text(json.dumps(report, indent=2) + "\n")
    print(settings.out.read_text())


def _spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def _films(folder: Path) -> list[Path]:
    from lunglens.film.radiograph import read_radiograph

    pixels = read_radiograph(FOLDER / "RG1_UNCR.dcm").pixels
    Image.fromarray(np.rint(pixels * 65535).astype(np.uint16)).save(folder / "16 bit.png")
    small = Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).resize((482, 512))
    small.save(folder / "512 px.jpg", quality=92)
    return [FOLDER / "RG1_UNCR.dcm", FOLDER / "RG1_J2KR.dcm", folder / "16 bit.png", folder / "512 px.jpg"]


def _measure(tree: Path, films: list[Path], threads: str) -> dict[str, float]:
    environment = os.environ | {"PYTHONPATH": str(tree)} | ({"OMP_NUM_THREADS": threads} if threads else {})

    def run(*words: object) -> str:
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    steps = json.loads(run("-c", STEPS, *films))
    found = {f"{film}: {step}, ms": value for film, values in steps.items() for step, value in values.items()}
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        status = run("-c", COLD, "analyze", films[0], "--out", out)
        found["cold analyze, s"] = time.perf_counter() - start
    found["peak memory, MB"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
    start = time.perf_counter()
    run("-m", "lunglens", "--help")
    return found | {"--help, s": time.perf_counter() - start}


def _by_jobs(tree: Path, film: Path, folder: Path, count: int) -> dict[str, Any]:
    """Films a second, of copies of one film, with the start of the program and of its processes."""
    films = folder / "films"
    films.mkdir()
    for number in range(count):
        (films / f"{number:04d}.dcm").write_bytes(film.read_bytes())
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, Any] = {"films": count}
    for name, jobs, used in (("1 process, 1 core", 1, 1), ("1 process, 2 cores", 1, 2), ("2 processes, 2 cores", 2, 2)):
        program = f"import os; os.sched_setaffinity(0, {cores[:used]}); from lunglens.cli.main import main; main()"
        command = [sys.executable, "-c", program, "analyze", films, "--out", folder / name, "--jobs", jobs]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        start = time.perf_counter()
        subprocess.run(list(map(str, command)), capture_output=True, check=True, env=environment)
        found[f"{name}, films/s"] = round(count / (time.perf_counter() - start), 2)
    found["ratio"] = round(found["2 processes, 2 cores, films/s"] / found["1 process, 1 core, films/s"], 2)
    return found


if __name__ == "__main__":
    main()
