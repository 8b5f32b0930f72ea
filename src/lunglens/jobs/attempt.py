"""One process at work on a job, seen from the process that has started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lunglens.jobs.job import LOG, change_status, is_finished, now, read_result, read_status

GRACE_S = 10.0  # between asking a process to end and killing it
POLL_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """What became of a job; `result` is None and `error` says why where it failed."""

    name: str
    folder: Path
    state: Literal["done", "failed"]
    attempt: int
    result: Any = None
    error: str | None = None

    @property
    def log(self) -> Path:
        """Output of all attempts of the job's process."""
        return self.folder / LOG


class Attempt:
    """A running process `python -m lunglens.jobs FOLDER`; it dies when this process does.

    Args:
        name: of the job.
        folder: with a `job.json`.
        environment: of the process.
    """

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        # -P: nothing that lies in the current folder is imported in place of a library.
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "lunglens.jobs", str(folder), "--watched"]
        with (folder / LOG).open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,  # its end is how the process learns of ours
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the runner, which then stops its jobs
            )

    def poll(self) -> Outcome | None:
        """What became of the job; None while the process is at work."""
        code = self.process.poll()
        if code is None:
            return None
        self._clear()
        state = read_status(self.folder).state
        if is_finished(self.folder):
            if state != "done":  # it ended badly after its result was written
                change_status(self.folder, state="done", ended=now(), error=None)
        elif code < 0 or state != "failed":
            change_status(self.folder, state="failed", ended=now(), error=_why(code))
        return outcome(self.name, self.folder)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.process.terminate()

    def kill(self) -> None:
        """End the process and what it has started, at once; the job waits for the next run."""
        self.process.kill()
        self.process.wait()
        self._clear()
        if not is_finished(self.folder):
            change_status(self.folder, state="waiting", ended=now())

    def _clear(self) -> None:
        with suppress(ProcessLookupError):  # nothing is left
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()


def outcome(name: str, folder: Path) -> Outcome:
    """What became of a job that is not running, from its files."""
    status = read_status(folder)
    if is_finished(folder):
        return Outcome(name, folder, "done", status.attempt, result=read_result(folder))
    return Outcome(name, folder, "failed", status.attempt, error=status.error)


def stop(attempts: Collection[Attempt]) -> None:
    """End processes: ask, wait, kill. Their jobs' status becomes "waiting". An interruption cuts the wait short."""
    deadline = time.monotonic() + GRACE_S
    try:
        for attempt in attempts:
            attempt.terminate()
        while time.monotonic() < deadline and any(attempt.process.poll() is None for attempt in attempts):
            time.sleep(POLL_S)
    finally:
        for attempt in attempts:
            attempt.kill()


def _why(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed (SIGKILL), most likely because memory ran out: fewer jobs at once, or smaller batches"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}; the log may say where"
    return f"the process ended with exit status {code} and left no result"
