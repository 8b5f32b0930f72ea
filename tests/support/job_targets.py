"""What the jobs of the tests do, and a runner to kill: `python -m tests.support.job_targets FOLDER SECONDS_A_STEP`."""

import io
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from lunglens.errors import DataError
from lunglens.files import write_json
from lunglens.jobs import Job, run_jobs

STEPS = 20


def orbit(folder: Path, start: float, steps: int, seconds: float) -> dict[str, float]:
    """A chaotic sequence, one step after another, each saved: a step lost or done twice changes the result."""
    saved = folder / "saved.txt"
    step, value = eval(saved.read_text()) if saved.exists() else (0, start)  # noqa: S307
    while step < steps:
        step, value = step + 1, 3.9 * value * (1 - value)
        (folder / "saved.new").write_text(repr((step, value)))
        (folder / "saved.new").rename(saved)
        with (folder / "steps.txt").open("a") as trace:
            trace.write(f"{os.getpid()} {step}\n")
        time.sleep(seconds)
    return {"value": value}


def meet(folder: Path, others: list[str]) -> list[float]:
    """Waits until the others are there too; returns when it has started and ended."""
    start = time.monotonic()
    (folder / "here").touch()
    while not all((Path(other) / "here").exists() for other in others):
        if time.monotonic() - start > 20:
            raise TimeoutError("nobody came")
        time.sleep(0.01)
    return [start, time.monotonic()]


def span(folder: Path, seconds: float) -> list[float]:
    """When it has started and ended."""
    start = time.monotonic()
    time.sleep(seconds)
    return [start, time.monotonic()]


def variable(folder: Path, name: str) -> str | None:
    """An environment variable of the process."""
    return os.environ.get(name)


def refuse(folder: Path) -> None:
    """An error that LungLens raises."""
    raise DataError("film.png: is no film; remove it")


def divide(folder: Path, by: float) -> float:
    """A defect."""
    sys.stdout.write("about to divide\n")
    return 1 / by


def leave(folder: Path, code: int) -> None:
    """Ends the process before there is a result."""
    os._exit(code)


def send(folder: Path, number: int) -> None:
    """Ends the process by a signal, as the kernel does when memory runs out."""
    os.kill(os.getpid(), number)
    time.sleep(60)


def kill_parent(folder: Path) -> None:
    """Ends the process that has started this one, as when a machine goes down."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def crash_late(folder: Path) -> None:
    """Ends the process by a signal right after its result was written."""
    write_json(folder / "result.json", 1)
    os.kill(os.getpid(), signal.SIGSEGV)


def nothing_to_say(folder: Path) -> Any:
    """Returns what is no JSON."""
    return float("nan")


def with_worker(folder: Path) -> None:
    """Starts a process, as a loader does, and takes no notice of being asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    write_json(folder / "pids.json", [os.getpid(), worker.pid])
    time.sleep(60)


def orbits(folder: Path, seconds: float) -> list[Job]:
    """Four jobs that take STEPS steps each."""
    arguments = {"steps": STEPS, "seconds": seconds}
    return [
        Job(f"fold {n}", folder / str(n), "tests.support.job_targets:orbit", {"start": 0.1 + 0.2 * n} | arguments)
        for n in range(4)
    ]


def job(folder: Path, function: str, **arguments: Any) -> Job:
    """A job that does one of these."""
    return Job(folder.name, folder, f"tests.support.job_targets:{function}", arguments)


def steps_of(folder: Path) -> list[list[str]]:
    """Process and step of every line that `orbit` has written."""
    trace = folder / "steps.txt"
    return [line.split() for line in trace.read_text().splitlines()] if trace.exists() else []


def said(console: Console) -> str:
    """What was printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


if __name__ == "__main__":
    run_jobs(orbits(Path(sys.argv[1]), float(sys.argv[2])), 1, Console())
