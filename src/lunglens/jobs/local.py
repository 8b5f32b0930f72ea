"""Jobs on this machine, some at a time, each in a process that dies when this one does."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console

from lunglens.files import only_one, writing
from lunglens.jobs.display import Display
from lunglens.jobs.job import Job, JobResult, change_status, is_finished, now, read_status, result_of, write_job

GRACE_S = 10.0  # between asking a process to end and killing it
POLL_S = 0.1


def run_jobs(jobs: Sequence[Job], workers: int, console: Console) -> list[JobResult]:
    """Run every job that has no result yet, `workers` at a time; killed and called again, it goes on.

    A job that fails stops none but those that come after it, and is tried again by the next call. Ctrl-C stops the
    processes; when this process is killed, theirs die too.

    Args:
        jobs: each with a folder of its own.
        workers: how many processes at once. Each computes with cores // workers threads unless OMP_NUM_THREADS is set;
            sums depend on the number of threads in their last digits, so call again with the same.
        console: for the live table, or a line a change where it is no terminal.

    Returns:
        What became of each, in the same order.

    Raises:
        OutputError: another runner is at work on one of the jobs, a folder has begun or finished with other settings,
            or it cannot be written.
    """
    environment = {"OMP_NUM_THREADS": str(max(1, _cores() // workers)), **os.environ}
    with claimed(jobs) as waiting, Display(jobs, console) as display:
        running: list[Attempt] = []
        try:
            while running or any(map(is_ready, waiting)):
                while len(running) < workers and (job := next(filter(is_ready, waiting), None)):
                    waiting.remove(job)
                    running.append(Attempt(job, environment))
                running = [attempt for attempt in running if not attempt.has_ended()]
                display.update()
                time.sleep(POLL_S)
            give_up(waiting)
        finally:
            stop(running)
    return [result_of(job) for job in jobs]


def is_ready(job: Job) -> bool:
    """Whether all jobs that it comes after have their results."""
    return all(map(is_finished, job.after))


def give_up(jobs: Iterable[Job]) -> None:
    """Write into the status of jobs that cannot begin which job they wait for in vain."""
    for job in jobs:
        lacking = next(folder for folder in job.after if not is_finished(folder))
        change_status(job.folder, state="failed", ended=now(), error=f"not begun: {lacking} has no result")


@contextmanager
def claimed(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Write the jobs into their folders and give those that have no result yet; other runners are kept out meanwhile.

    Raises:
        OutputError: as in `run_jobs`.
        ValueError: two jobs have one folder.
    """
    if len({job.folder.resolve() for job in jobs}) < len(jobs):
        raise ValueError("two jobs have the same folder")
    _allow_files(len(jobs))
    with ExitStack() as locks:
        for job in jobs:
            locks.enter_context(only_one(job.folder / ".runner.lock", job.folder, "run"))
            with writing(job.folder):
                write_job(job)
        yield [job for job in jobs if not is_finished(job.folder)]


class Attempt:
    """A running process `python -m lunglens.jobs FOLDER`; it dies when this process does."""

    def __init__(self, job: Job, environment: Mapping[str, str]) -> None:
        """Start the process of a job that has its `job.json`."""
        self._folder = job.folder
        # -P: nothing that lies in the current folder is imported in place of a library.
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "lunglens.jobs", str(job.folder), "--watched"]
        with job.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,  # its end is how the process learns of ours
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the runner, which then stops its jobs
            )

    def has_ended(self) -> bool:
        """Whether the process has; if so, the job's status says what became of it."""
        code = self.process.poll()
        if code is None:
            return False
        self._clear()
        state = read_status(self._folder).state
        if is_finished(self._folder):
            if state != "done":  # it ended badly after its result was written
                change_status(self._folder, state="done", ended=now(), error=None)
        elif code < 0 or state != "failed":
            change_status(self._folder, state="failed", ended=now(), error=_why(code))
        return True

    def kill(self) -> None:
        """End the process and what it has started, at once; the job waits for the next run."""
        self.process.kill()
        self.process.wait()
        self._clear()
        if not is_finished(self._folder):
            change_status(self._folder, state="waiting", ended=now())

    def _clear(self) -> None:
        with suppress(ProcessLookupError):  # nothing is left
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()


def stop(attempts: Collection[Attempt]) -> None:
    """End processes: ask, wait, kill. Their jobs' status becomes "waiting". An interruption cuts the wait short."""
    deadline = time.monotonic() + GRACE_S
    try:
        for attempt in attempts:
            attempt.process.terminate()
        while time.monotonic() < deadline and any(attempt.process.poll() is None for attempt in attempts):
            time.sleep(POLL_S)
    finally:
        for attempt in attempts:
            attempt.kill()


def _allow_files(locks: int) -> None:
    """Let this process hold so many locks, each an open file, as far as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = locks + 256
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


def _why(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed (SIGKILL), most likely because memory ran out: fewer jobs at once, or smaller batches"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}; the log may say where"
    return f"the process ended with exit status {code} and left no result"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
