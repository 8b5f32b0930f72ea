"""Jobs on this machine, some at a time."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console

from lunglens.files import only_one, writing
from lunglens.jobs.attempt import POLL_S, Attempt, Outcome, outcome, stop
from lunglens.jobs.display import Display
from lunglens.jobs.job import Job, is_finished, write_job

LOCK = ".runner.lock"


def run_jobs(jobs: Sequence[Job], workers: int, console: Console) -> list[Outcome]:
    """Run every job that has no result yet, `workers` at a time; killed and called again, it goes on.

    A job that fails does not stop the others, and is tried again by the next call. Ctrl-C stops the processes; when
    this process is killed, theirs die too.

    Args:
        jobs: each with a folder of its own.
        workers: how many processes at once. Each computes with cores // workers threads unless OMP_NUM_THREADS is set;
            sums depend on the number of threads in their last digits, so call again with the same.
        console: for the live table, or a line a change where it is no terminal.

    Returns:
        An outcome a job, in the same order.

    Raises:
        OutputError: another runner is at work on one of the jobs, a folder has begun or finished with other settings,
            or it cannot be written.
    """
    environment = {"OMP_NUM_THREADS": str(max(1, _cores() // workers)), **os.environ}
    with claimed(jobs) as waiting, Display(jobs, console) as display:
        running: list[Attempt] = []
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    running.append(Attempt(job.name, job.folder, environment))
                running = [attempt for attempt in running if attempt.poll() is None]
                display.update()
                time.sleep(POLL_S)
        finally:
            stop(running)
    return [outcome(job.name, job.folder) for job in jobs]


@contextmanager
def claimed(jobs: Sequence[Job]) -> Iterator[deque[Job]]:
    """Write the jobs into their folders and give those that have no result yet; other runners are kept out meanwhile.

    Raises:
        OutputError: as in `run_jobs`.
        ValueError: two jobs have one folder.
    """
    if len({job.folder.resolve() for job in jobs}) < len(jobs):
        raise ValueError("two jobs have the same folder")
    with ExitStack() as locks:
        for job in jobs:
            locks.enter_context(only_one(job.folder / LOCK, job.folder, "run"))
            with writing(job.folder):
                write_job(job)
        yield deque(job for job in jobs if not is_finished(job.folder))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
