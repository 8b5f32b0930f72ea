"""How `lunglens predict` grows with cores and machines: real runs, a model fitted to them, and what it says beyond.

    python benchmarks/growth.py --out results/growth.json --figure docs/growth.svg [--films 400] [--rounds 2]
    python benchmarks/growth.py --measured results/growth.json ...    # simulates and draws anew

Real: copies of one film through `predict` by one process on one core, by two on two, by four on two (emulated), and by
`--ray` on a cluster of 1 and 2 nodes of one core each on this machine, rounds alternating; seconds a film from the
difference between many films and few, so that the start is apart. The main process: seconds that a film costs it, from
a table whose films are answered at once. Simulated: Ray's jobs of 200 films by n cores, each as long as one of the real
runs makes it, while one main process notes what comes back; 10^6 and 10^8 films.
"""

import argparse
import heapq
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data_store
import numpy as np
from matplotlib.figure import Figure

from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, save_svg
from lunglens.files import write_json
from lunglens.jobs.films import PER_JOB

FILM = Path(data_store.__file__).parent / "data" / "RG1_UNCR.dcm"
ROOT = Path(__file__).parents[1]
CLASSIFIER = ROOT / "src" / "lunglens" / "models" / "classifier"
WAYS = {"1 core": ("jobs", 1), "2 cores": ("jobs", 2), "4 processes on 2 cores": ("jobs", 4)}
WAYS |= {"Ray, 1 node": ("ray", 1), "Ray, 2 nodes": ("ray", 2)}
FILMS, CORES = (10**6, 10**8), (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000, 4000, 8000)
PREDICT = [sys.executable, "-P", "-m", "lunglens", "predict"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src"), "RAY_USAGE_STATS_ENABLED": "0"}
FEW = 4  # films: what a run costs before and after its films
NOTED = 20_000  # films that cost only the main process

# The main process alone: films that are answered at once, by what stands in the place of the processes.
ALONE = """
import sys, time
from pathlib import Path
from lunglens.film.batch.models import Models
from lunglens.film.batch.predict import predict
from lunglens.film.batch.summary import SummaryRow
def at_once(left):
    for key, film in left.items():
        yield key, SummaryRow(str(film), "analyzed", probabilities={"covid": 0.25, "not covid": 0.75})
folder, films = Path(sys.argv[1]), [Path(f"/films/{number:08d}.dcm") for number in range(int(sys.argv[2]))]
folder.mkdir()
start = time.perf_counter()
predict(films, folder / "alone.csv", Models().load(), 1, lambda row: None, at_once)
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--measured", type=Path)
    settings = parser.parse_args()
    found = json.loads(settings.measured.read_text()) if settings.measured else measured(settings)
    on_a_node, noted, start = found["seconds_a_film"]["Ray, 1 node"], found["main_process_s"], found["start_s"]
    found["simulated_films_a_second"] = {
        str(films): {str(cores): simulated(films, cores, on_a_node, noted, start) for cores in CORES} for films in FILMS
    }
    write_json(settings.out, found)
    save_svg(settings.figure, draw, found)
    print(settings.out.read_text())


def measured(settings: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        seconds, start = real(Path(scratch), settings.films, settings.rounds)
        noted = alone(Path(scratch))
    rate = {way: round(1 / statistics.median(values), 2) for way, values in seconds.items()}
    on_a_core, on_a_node = seconds["1 core"], seconds["Ray, 1 node"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "film": FILM.name,
        "films": settings.films,
        "seconds_a_film": {way: [round(value, 4) for value in values] for way, values in seconds.items()},
        "start_s": round(start, 1),
        "main_process_s": noted,
        "films_a_second": rate,
        "as_many_cores_would": {
            "2 cores": round(2 / statistics.median(on_a_core), 2),
            "4 processes on 2 cores": round(2 / statistics.median(on_a_core), 2),
            "Ray, 2 nodes": round(2 / statistics.median(on_a_node), 2),
        },
    }


def real(folder: Path, films: int, rounds: int) -> tuple[dict[str, list[float]], float]:
    """Way -> seconds a film of each round; and seconds that a run on one core takes before and after its films."""
    for number in range(films + FEW):
        path = folder / ("few" if number < FEW else "many") / f"{number:06d}.dcm"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(FILM, path)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    starts = []
    for _ in range(rounds):
        for way, (kind, n) in WAYS.items():
            with ray_nodes(n) if kind == "ray" else nullcontext(["--jobs", str(n)]) as words:
                on = ["taskset", "-c", "0"] if way == "1 core" else []
                few, many = (predicted(folder, name, [*on, *PREDICT], words) for name in ("few", "many"))
            seconds[way].append((many - few) / (films - FEW))
            if way == "1 core":
                starts.append(few - FEW * seconds[way][-1])
    return seconds, statistics.median(starts)


def predicted(folder: Path, films: str, begin: list[str], words: list[str]) -> float:
    """Seconds of one run, done anew."""
    out = folder / "out"
    start = time.perf_counter()
    command = [*begin, str(CLASSIFIER), str(folder / films), "--out", str(out / "answers.csv"), *words]
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    took = time.perf_counter() - start
    shutil.rmtree(out)
    return took


@contextmanager
def ray_nodes(count: int) -> Iterator[list[str]]:
    """Options for a cluster of nodes of one core each, and a head that does no work."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 * 2**20, "include_log_monitor": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=1, **small)
        yield ["--ray", cluster.address]
    finally:
        cluster.shutdown()


def alone(folder: Path) -> float:
    """Seconds that a film costs the main process."""
    took = []
    for films in (1, NOTED):
        command = [sys.executable, "-c", ALONE, str(folder / f"alone {films}"), str(films)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
        took.append(float(done.stdout))
    return round((took[1] - took[0]) / NOTED, 7)


def simulated(films: int, cores: int, film: list[float], noted: float, start: float) -> float:
    """Films a second of jobs that go to whichever core is free, noted one after the other by one process."""
    lasts = np.random.default_rng(0).choice(film, films // PER_JOB) * PER_JOB
    free, done = [start] * cores, []
    for last in lasts:
        done.append(free[0] + last)
        heapq.heapreplace(free, done[-1])
    now = 0.0
    for end in sorted(done):
        now = max(now, end) + PER_JOB * noted
    return float(f"{films / now:.4g}")


def draw(found: dict[str, Any]) -> Figure:
    """Films a second and core against cores."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for (films, rates), colour in zip(found["simulated_films_a_second"].items(), (BLUE, ORANGE), strict=True):
        each = [rate / int(cores) for cores, rate in rates.items()]
        axes.plot([int(cores) for cores in rates], each, color=colour, label=f"simulated, {int(films):,} films")
    rates = found["films_a_second"]
    axes.plot([1, 2], [rates["1 core"], rates["2 cores"] / 2], "o", color=INK, label="real, one machine")
    axes.plot([1, 2], [rates["Ray, 1 node"], rates["Ray, 2 nodes"] / 2], "s", color=MUTED, label="real, Ray nodes")
    axes.set(xscale="log", xlabel="cores", ylabel="films a second and core", ylim=(0, 1.15 * rates["1 core"]))
    axes.xaxis.set_major_formatter(lambda cores, _: f"{cores:,.0f}")
    axes.legend(frameon=False, loc="lower left")
    return figure


if __name__ == "__main__":
    main()
