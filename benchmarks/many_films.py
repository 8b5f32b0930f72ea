"""A hundred thousand small made-up files through `lunglens predict`, killed twice: a row each, memory, the journal.

    python benchmarks/many_films.py --out results/many-films.json [--films 100000] [--jobs 2] [--folder SCRATCH]

Of ten files two are chests that are analysed, six are too small, two broken. The networks are made-up and
small, with the gate and everything round them as they are: it is the batch that is looked at. Memory is each process's
own (resident set), the largest of every tenth of the way.
"""

import argparse
import csv
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.support.lungs_packages import lungs_package
from tests.support.packages import SIZE, classifier_package
from tests.support.phantom import chest

from lunglens.files import write_json

KILLED_AT = (0.3, 0.7)  # of the way; each time all its processes at once
KINDS = ("chest",) * 2 + ("small",) * 6 + ("broken",) * 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="Keeps the files; else a temporary one.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        found = run(Path(scratch), arguments.films, arguments.jobs)
    write_json(arguments.out, {"date": datetime.now(UTC).date().isoformat(), "cores": os.cpu_count()} | found)
    print(found)


def run(folder: Path, films: int, jobs: int) -> dict[str, Any]:
    make_films(folder / "films", films)
    _, lungs = chest(0, SIZE)
    lungs_package(folder / "lungs", lungs[None].astype(np.float32) * 0.98 + 0.01)
    classifier_package(folder / "classifier", ("covid", "not covid"), [0.4])
    table, journal = folder / "answers.csv", folder / ".answers.csv.journal.jsonl"
    command = [sys.executable, "-m", "lunglens", "predict", "classifier", "films", "--lungs", "lungs"]
    command += ["--out", table.name, "--jobs", str(jobs)]
    silent = subprocess.DEVNULL
    start, lines, memory = time.monotonic(), 0, dict[int, dict[str, int]]()
    for until in (*KILLED_AT, 2.0):
        process = subprocess.Popen(command, cwd=folder, stdout=silent, stderr=silent, start_new_session=True)
        while process.poll() is None and lines < until * films:
            time.sleep(1)
            lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
            part = memory.setdefault(min(9, 10 * lines // films), {})
            for name, size in resident(process.pid):
                part[name] = max(part.get(name, 0), size)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    rows = list(csv.DictReader(table.open()))
    expected = sorted(str(path.relative_to(folder)) for path in (folder / "films").rglob("*.png"))
    return {
        "films": films,
        "jobs": jobs,
        "kills": len(KILLED_AT),
        "seconds": round(time.monotonic() - start),
        "exit_code": process.returncode,
        "rows": len(rows),
        "each_film_once_in_order": [row["path"] for row in rows] == expected,
        "status": dict(Counter(row["status"] for row in rows)),
        "journal_bytes_a_film": round(journal.stat().st_size / films, 1),
        "journal_lines": journal.read_bytes().count(b"\n"),
        "table_bytes_a_film": round(table.stat().st_size / films, 1),
        "memory_mb": {f"{10 * part}%": most for part, most in memory.items()},
    }


def make_films(folder: Path, count: int) -> None:
    """No two are equal to the byte; a hundred in a folder of their own."""
    chests = [Image.fromarray(np.rint(chest(seed, 96)[0] * 255).astype(np.uint8)) for seed in range(20)]
    of_kind = {"chest": [_png(each) for each in chests], "small": [_png(each.resize((24, 24))) for each in chests]}
    of_kind["broken"] = [each[: len(each) // 2] for each in of_kind["chest"]]
    for number in range(count):
        path = folder / f"{number // 100:05d}" / f"{number:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(of_kind[KINDS[number % 10]][number // 10 % 20] + str(number).encode())


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def resident(leader: int) -> list[tuple[str, int]]:
    """(main or worker, MB) of the processes in the leader's session."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getsid(int(status.parent.name)) == leader:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                name = "main" if int(status.parent.name) == leader else "worker"
                found.append((name, round(int(lines.get("VmRSS", "0 kB").split()[0]) / 1024)))
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


if __name__ == "__main__":
    main()
