"""The queue of films, the processes that analyse them, and the results until they are forgotten.

Everything lies in a private temporary folder, a folder an analysis, and is deleted with it.
"""

import contextlib
import logging
import os
import queue
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from lunglens.film.drift import Drift
from lunglens.serve.settings import ServeSettings
from lunglens.serve.task import Answer, Task
from lunglens.serve.worker_handle import AnalysingProcess

log = logging.getLogger("lunglens.serve")
_PREFIX = "lunglens-serve-"
_LOCK = ".lock"  # held while the server lives


class QueueFullError(Exception):
    """Too many films wait; `retry_s`: when to ask again."""

    def __init__(self, retry_s: int) -> None:
        super().__init__("too many films are waiting")
        self.retry_s = retry_s


@dataclass(eq=False)
class Analysis:
    """One film's way through the server.

    state: "queued", "running", then "analyzed", "refused" or "failed". label: what the client called the file, for the
    client alone. created, finished: monotonic seconds. working: processes that are at work in its folder.
    """

    id: str
    folder: Path
    label: str
    sha256: str
    state: str = "queued"
    reason: str | None = None
    created: float = field(default_factory=time.monotonic)
    finished: float | None = None
    working: int = 0

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.finished is not None


@dataclass(frozen=True, eq=False)
class _Order:
    """kind: what to do with the film. done: called with the answer, also where the analysis was deleted before."""

    kind: Literal["analyse", "dicom"]
    analysis: Analysis
    done: Callable[[Answer], None]


class Service:
    """Start it, submit films, ask for their state; `stop` ends it and deletes everything.

    waiting: films and exports that nobody has begun. drift: of the films since it was made.
    """

    def __init__(
        self,
        settings: ServeSettings,
        observe: Callable[[str, float], None] = lambda *_: None,
        drift: Drift | None = None,
    ) -> None:
        """observe: called with the status and seconds of each analysis."""
        self.settings, self._observe, self.drift = settings, observe, drift or Drift({})
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = FileLock(self.folder / _LOCK)
        self._held.acquire()
        self.analyses: dict[str, Analysis] = {}
        self._queue: queue.Queue[_Order | None] = queue.Queue()
        self._lock = threading.RLock()
        self.waiting = 0
        self._stopping = threading.Event()
        self._processes = [AnalysingProcess(settings) for _ in range(settings.workers)]
        self._threads = [threading.Thread(target=self._work, args=(it,), daemon=True) for it in self._processes]
        self._cleaner = threading.Thread(target=self._clean, daemon=True)

    def start(self) -> None:
        """Start the processes, and delete what killed servers have left."""
        _delete_leftovers(self.folder.parent)
        for thread in (*self._threads, self._cleaner):
            thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether a process has its models loaded and films are taken."""
        return not self._stopping.is_set() and any(process.is_ready for process in self._processes)

    @property
    def restarts(self) -> int:
        """Processes that were replaced."""
        return sum(process.restarts for process in self._processes)

    def new_folder(self) -> Path:
        """A private folder for one upload."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def submit(self, films: list[tuple[Path, str, str]]) -> list[Analysis]:
        """Queue films, all or none.

        Args:
            films: folder (the film is the file `film` in it), label and SHA-256 of each.

        Raises:
            QueueFullError: they would be more than may wait.
        """
        with self._lock:
            self._assert_room(len(films))
            analyses = [Analysis(secrets.token_urlsafe(16), folder, label, digest) for folder, label, digest in films]
            self.analyses |= {analysis.id: analysis for analysis in analyses}
            for analysis in analyses:
                self._put(_Order("analyse", analysis, self._finish(analysis)))
            self._forget_surplus()
        return analyses

    def export_dicom(self, analysis: Analysis, done: Callable[[Answer], None]) -> None:
        """Queue the writing of `dicom.zip` into the analysis's folder.

        Raises:
            QueueFullError: too much waits already.
        """
        with self._lock:
            self._assert_room(1)
            self._put(_Order("dicom", analysis, done))

    def forget(self, analysis: Analysis) -> None:
        """Delete an analysis and its files now; where a process is at work on it, as soon as that has ended."""
        with self._lock:
            self.analyses.pop(analysis.id, None)
            if analysis.working == 0:
                shutil.rmtree(analysis.folder, ignore_errors=True)

    def drain(self, seconds: float) -> None:
        """Take no more films, and wait for those that are queued."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(not a.is_done for a in list(self.analyses.values())):
            time.sleep(0.05)

    def stop(self) -> None:
        """End the processes and delete everything."""
        self._stopping.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        for process in self._processes:
            process.end()
            self._queue.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        self._held.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _work(self, process: AnalysingProcess) -> None:
        """One thread a process: orders in their turn until the service stops."""
        process.begin()
        while (order := self._queue.get()) is not None:
            if not self._begin(order):
                order.done(Answer("failed", "it was deleted before its turn"))
                continue
            answer = process.do(Task(order.kind, order.analysis.folder))
            with self._lock:
                order.analysis.working -= 1
                order.done(answer)
                if order.analysis.id not in self.analyses:  # deleted meanwhile
                    self.forget(order.analysis)

    def _begin(self, order: _Order) -> bool:
        with self._lock:
            self.waiting -= 1
            if order.analysis.id not in self.analyses:
                return False
            order.analysis.working += 1
            if order.kind == "analyse":
                order.analysis.state = "running"
            return True

    def _assert_room(self, more: int) -> None:
        if self._stopping.is_set() or self.waiting + more > self.settings.most_queued:
            raise QueueFullError(max(1, round(self.waiting * 0.3 / len(self._processes))))

    def _put(self, order: _Order) -> None:
        self.waiting += 1
        self._queue.put(order)

    def _finish(self, analysis: Analysis) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            analysis.reason, analysis.state, analysis.finished = answer.reason, answer.status, time.monotonic()
            log.info("%s: %s", analysis.id, answer.status)
            self.drift.add(answer.numbers or {})
            self._observe(answer.status, analysis.finished - analysis.created)

        return done

    def _clean(self) -> None:
        while not self._stopping.wait(min(5.0, self.settings.keep_s / 4)):
            now = time.monotonic()
            for analysis in list(self.analyses.values()):
                if analysis.finished is not None and now - analysis.finished > self.settings.keep_s:
                    self.forget(analysis)

    def _forget_surplus(self) -> None:
        done = [analysis for analysis in self.analyses.values() if analysis.is_done]
        for analysis in done[: max(0, len(self.analyses) - self.settings.most_kept)]:
            self.forget(analysis)


def _delete_leftovers(beside: Path) -> None:
    """Delete the folders of servers that were killed, whose locks nobody holds: uploads must not outlive them."""
    for folder in beside.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if folder.stat().st_uid != os.getuid() or not (folder / _LOCK).exists():
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
