"""Reading and a batch, before and after a change: source trees side by side in one run, their rounds alternating.

    python benchmarks/reading.py --out results/reading.json SRC [SRC ...]

Each SRC is a folder that holds `lunglens/` (`git worktree add` gives one of an earlier state). Measured in a process
of each tree, warm: reading the RG1 film of pydicom-data uncompressed and as JPEG 2000 (lossless); `lunglens analyze`
of 100 JPEG files (the film at 512 px, with noise of its own each) and of the one film, cold. Medians of the rounds, and
their range.
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

import data_store
import numpy as np
from PIL import Image

FOLDER = Path(data_store.__file__).parent / "data"
FILMS = {"RG1 uncompressed": FOLDER / "RG1_UNCR.dcm", "RG1 JPEG 2000": FOLDER / "RG1_J2KR.dcm"}
READ = """
import json, sys, time
from pathlib import Path
from lunglens.film.radiograph import read_radiograph
read_radiograph(Path(sys.argv[1]))
def once():
    start = time.perf_counter()
    read_radiograph(Path(sys.argv[1]))
    return time.perf_counter() - start
print(min(once() for _ in range(5)))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        jpegs = _jpegs(Path(folder))
        for _ in range(settings.rounds):
            for number, tree in enumerate(settings.trees):
                found = times.setdefault(f"tree {number}", {})
                for name, seconds in _measure(tree.resolve(), jpegs).items():
                    found.setdefault(name, []).append(seconds)
    settings.out.write_text(json.dumps(_report(times, settings.rounds), indent=2) + "\n")
    print(settings.out.read_text())


def _jpegs(folder: Path) -> Path:
    from lunglens.film.preprocess import resize
    from lunglens.film.radiograph import read_radiograph

    film = resize(read_radiograph(FILMS["RG1 uncompressed"]).pixels, 512, 482) * 255
    films = folder / "films"
    films.mkdir()
    for number in range(100):
        noise = np.random.default_rng(number).normal(0, 2, film.shape)
        Image.fromarray(np.clip(film + noise, 0, 255).astype(np.uint8)).save(films / f"{number:03}.jpg", quality=90)
    return films


def _measure(tree: Path, jpegs: Path) -> dict[str, float]:
    found = {}
    for name, film in FILMS.items():
        found[f"read {name}, s"] = float(_run(tree, ["-c", READ, str(film)]))
        found[f"analyze {name}, cold, s"] = _analyze(tree, film)
    found["analyze 100 JPEG files, s"] = _analyze(tree, jpegs)
    return found


def _analyze(tree: Path, films: Path) -> float:
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        _run(tree, ["-m", "lunglens", "analyze", str(films), "--out", out])
        return time.perf_counter() - start


def _run(tree: Path, arguments: list[str]) -> str:
    command = [sys.executable, *arguments]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _report(times: dict[str, dict[str, list[float]]], rounds: int) -> dict[str, object]:
    trees = {
        tree: {
            name: {"median": round(statistics.median(all_), 4), "range": [round(min(all_), 4), round(max(all_), 4)]}
            for name, all_ in found.items()
        }
        for tree, found in times.items()
    }
    date = datetime.now(UTC).date().isoformat()
    return {"command": "python benchmarks/reading.py", "date": date, "rounds": rounds} | trees


if __name__ == "__main__":
    main()
