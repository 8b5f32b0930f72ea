"""The server under load, and under 2,000 hostile uploads: throughput, waiting, memory, errors, mixed-up answers.

    python benchmarks/serve_load.py FILM.dcm --out results/serve.json [--seconds 60] [--hostile 2000]

Starts a server of its own, with as many workers as `lunglens serve`. 1, 4, 16 and 64 clients send the film for a minute
each, every copy with another patient number, so that its SHA-256 tells the answers apart: an answer for another film is
counted as mixed up. Then the hostile uploads, one after the other, with the memory before and after.
"""

import argparse
import hashlib
import os
import platform
import signal
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.hostile import hostile
from tests.support.serving import Running, server

from lunglens.files import write_json
from lunglens.film.batch.processes import cores

CLIENTS = (1, 4, 16, 64)
MARK = b"9RG1"  # the example film's patient number, four bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hostile", type=int, default=2000)
    arguments = parser.parse_args()
    film = arguments.film.read_bytes()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), keep_s=20, workers=min(4, cores())) as running:
        loads = [load(running, film, clients, arguments.seconds) for clients in CLIENTS]
        found: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "cores": os.cpu_count()}
        found |= {
            "machine": platform.machine(),
            "film": arguments.film.name,
            "seconds": arguments.seconds,
            "load": loads,
        }
        found["hostile"] = under_attack(running, film, arguments.hostile)
    write_json(arguments.out, found)


def load(running: Running, film: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """So many clients for so long, each sending its next film when it has its answer."""
    times: list[float] = []
    wrong, busy, errors, peak = [0], [0], [0], [0.0]
    deadline = time.monotonic() + seconds
    lock, number = threading.Lock(), iter(range(10**7))

    def client() -> None:
        with httpx.Client(base_url=running.url, timeout=180) as session:
            while time.monotonic() < deadline:
                with lock:
                    mine = film.replace(MARK, f"{next(number) % 10_000:04d}".encode())
                started = time.monotonic()
                answer = session.post("/api/analyses?wait=60", files={"files": ("film.dcm", mine)})
                if answer.status_code == 503:
                    busy[0] += 1
                    time.sleep(float(answer.headers["retry-after"]))
                    continue
                digest = hashlib.sha256(mine).hexdigest()
                got = answer.json()["analyses"][0] if answer.is_success else {"state": "failed"}
                while got["state"] in ("queued", "running"):
                    got = session.get(f"/api/analyses/{got['id']}?wait=60").json()
                if got["state"] != "analyzed":
                    errors[0] += 1
                elif not digest == got["sha256"] == got["result"]["film"]["sha256"]:
                    wrong[0] += 1
                else:
                    times.append(time.monotonic() - started)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak[0] = max(peak[0], memory_mb(running))
        time.sleep(0.25)
    taken = time.monotonic() - started
    row = {
        "clients": clients,
        "answers": len(times),
        "films_per_s": round(len(times) / taken, 2),
        "p50_s": round(statistics.median(times), 3),
        "p99_s": round(sorted(times)[min(len(times) - 1, int(0.99 * len(times)))], 3),
        "peak_mb": round(peak[0]),
        "errors": errors[0],
        "busy": busy[0],
        "mixed_up": wrong[0],
    }
    print(row, flush=True)
    return row


def under_attack(running: Running, film: bytes, count: int) -> dict[str, Any]:
    """Statuses of hostile uploads, and memory before and after."""
    time.sleep(25)  # what the load has left is forgotten
    statuses: dict[int, int] = {}
    with httpx.Client(base_url=running.url, timeout=180) as session:
        for number in range(60):  # warm: each kind five times, so that caches are as large as they get
            attack(session, film, number)
        before = memory_mb(running)
        for number in range(count):
            status = attack(session, film, number)
            statuses[status] = statuses.get(status, 0) + 1
        after = memory_mb(running)
        last = session.post("/api/analyses?wait=60", files={"files": ("film.dcm", film)}).status_code
    row = {"uploads": count, "statuses": {str(code): n for code, n in sorted(statuses.items())}}
    row |= {"memory_before_mb": round(before), "memory_after_mb": round(after), "next_film": last}
    print(row, flush=True)
    return row


def attack(session: httpx.Client, film: bytes, number: int) -> int:
    files = [("files", (name, content)) for name, content in hostile(number, film)]
    return int(session.post("/api/analyses?wait=60", files=files).status_code)


def memory_mb(running: Running) -> float:
    """Resident memory of the server and its workers."""
    total, waiting = 0.0, [running.process.pid]
    while waiting:
        pid = waiting.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0]) / 1024
            tasks = Path(f"/proc/{pid}/task").glob("*/children")
            waiting += [int(child) for task in tasks for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue
    return total


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
