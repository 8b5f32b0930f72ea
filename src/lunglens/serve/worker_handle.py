"""A process that analyses films, and its replacement when it dies or hangs."""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from lunglens.film.batch.processes import KILLER
from lunglens.serve.settings import WorkerSettings
from lunglens.serve.task import Answer, Task
from lunglens.serve.worker import work

log = logging.getLogger("lunglens.serve")
_START_S = 60.0


class AnalysingProcess:
    """Used by one thread; only `end` may be called by another.

    is_ready: its models are loaded. restarts: how often it was replaced.
    """

    def __init__(self, settings: WorkerSettings, cores: list[int] | None = None) -> None:
        """cores: as many threads as these it computes with; None: as many as there are."""
        self._settings, self._cores = settings.of_worker(), cores or []
        self.is_ready, self.restarts = False, 0
        self._ended = threading.Event()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def begin(self) -> bool:
        """Start it; False where it does not come up."""
        if self._ended.is_set():
            return False
        context = multiprocessing.get_context("spawn")
        try:
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs, self._settings, self._cores), daemon=True)
            self._process.start()
            theirs.close()
            self.is_ready = self._pipe.poll(_START_S) and self._pipe.recv().status == "ready"
        except (EOFError, OSError, ValueError) as error:
            log.error("an analysing process does not start: %s", type(error).__name__)
            self.is_ready = False
        return self.is_ready

    def do(self, task: Task) -> Answer:
        """The answer of the process; "failed" where it died or hung, and then there is another one."""
        if not self.is_ready and not self.begin():
            return Answer("failed", "the analysing process does not start; try again later", "start")
        try:
            if self._pipe is None:
                raise EOFError
            self._pipe.send(task)
            if self._pipe.poll(self._settings.film_s):
                answer: Answer = self._pipe.recv()
                return answer
            failed = Answer("failed", f"took more than {self._settings.film_s:g} s", "time")
        except (EOFError, OSError):
            failed = Answer("failed", KILLER, "death")
        self._kill()
        if not self._ended.is_set():
            self.restarts += 1
            log.warning("an analysing process was replaced")
            self.begin()
        return failed

    def end(self) -> None:
        """End it for good; a task at hand fails."""
        self._ended.set()
        self._kill_all()

    def _kill(self) -> None:
        self.is_ready = False
        self._kill_all()
        if self._process is not None and self._process.pid is not None:
            self._process.join()
        self._process = None
        if self._pipe is not None:
            self._pipe.close()

    def _kill_all(self) -> None:
        """The process, and whatever it has started: it leads a group of its own as soon as it runs."""
        process = self._process
        if process is not None and process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
