"""The queue of films, the processes that analyse them, and the results until they are forgotten.

Everything lies in a private folder, a folder an analysis, and is deleted with it. It is a temporary one that goes with
the server, or one that is kept (`ServeSettings.keep`): a server that starts there again goes on.
"""

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from lunglens.film.batch.processes import share_of_cores
from lunglens.film.drift import Drift
from lunglens.serve.analysis import Analysis, kept_analyses
from lunglens.serve.settings import LOCK, ServeSettings
from lunglens.serve.task import Answer, Export, Task
from lunglens.serve.turns import Turns
from lunglens.serve.worker_handle import AnalysingProcess

log = logging.getLogger("lunglens.serve")
_PREFIX = "lunglens-serve-"
_FILM_PREFIX = "film-"


class QueueFullError(Exception):
    """Too many films wait; `retry_s`: when to ask again."""

    def __init__(self, retry_s: int) -> None:
        super().__init__("too many films are waiting")
        self.retry_s = retry_s


@dataclass(frozen=True, eq=False)
class _Order:
    """kind: what to do with the film. done: called with the answer, also where the analysis was deleted before."""

    kind: Literal["analyse", "pictures", "dicom", "stored"]
    analysis: Analysis
    done: Callable[[Answer], None]


class Service:
    """Start it, submit films, ask for their state; `stop` ends it and deletes everything that is not to be kept.

    drift: of the films since it was made.
    """

    def __init__(
        self,
        settings: ServeSettings,
        observe: Callable[[Analysis], None] = lambda _: None,
        drift: Drift | None = None,
    ) -> None:
        """observe: called with each analysis when it is done, one that was deleted meanwhile, too."""
        self.settings, self._observe, self.drift = settings, observe, drift or Drift({})
        self.folder = settings.keep or Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = None if settings.keep else FileLock(self.folder / LOCK)
        if self._held is not None:
            self._held.acquire()
        self.analyses: dict[str, Analysis] = {}
        self._turns: Turns[_Order] = Turns()
        self._exports: dict[tuple[str, Export], list[Callable[[Answer], None]]] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._processes = [
            AnalysingProcess(settings, share_of_cores(number, settings.workers)) for number in range(settings.workers)
        ]
        self._threads = [threading.Thread(target=self._work, args=(it,), daemon=True) for it in self._processes]
        self._cleaner = threading.Thread(target=self._clean, daemon=True)

    def start(self) -> None:
        """Start the processes, go on with what is kept, and delete what killed servers have left."""
        if self.settings.keep is not None:
            self._go_on()
        else:
            _delete_leftovers(self.folder.parent)
        for thread in (*self._threads, self._cleaner):
            thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether a process has its models loaded and films are taken."""
        return not self._stopping.is_set() and any(process.is_ready for process in self._processes)

    @property
    def waiting(self) -> int:
        """Films and exports that nobody has begun."""
        return len(self._turns)

    @property
    def restarts(self) -> int:
        """Processes that were replaced."""
        return sum(process.restarts for process in self._processes)

    def new_folder(self) -> Path:
        """A private folder for one upload."""
        return Path(tempfile.mkdtemp(dir=self.folder, prefix=_FILM_PREFIX))

    def submit(self, films: list[tuple[Path, str, str]], worklist: str = "") -> list[Analysis]:
        """Queue films, all or none.

        Args:
            films: folder (the film is the file `film` in it), label and SHA-256 of each.
            worklist: the work list that they go on; lists have their films analysed by turns.

        Raises:
            QueueFullError: they would be more than may wait.
        """
        with self._lock:
            self._assert_room(len(films))
            there = {one.sha256: one for one in self.listed(worklist) if one.state != "failed"} if worklist else {}
            analyses = []
            for folder, label, digest in films:
                if digest in there:  # it was sent before, or twice
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    there[digest] = Analysis(secrets.token_urlsafe(16), folder, label, digest, worklist)
                    self._queue(there[digest])
                analyses.append(there[digest])
                if not worklist:
                    del there[digest]
            self._forget_surplus()
        return analyses

    def listed(self, worklist: str) -> list[Analysis]:
        """Those of a work list, in the order of their coming."""
        found = [analysis for analysis in list(self.analyses.values()) if analysis.worklist == worklist]
        for analysis in found:
            analysis.asked = time.time()
        return found

    def kept_s(self, analysis: Analysis) -> float | None:
        """Seconds until a film that is done is forgotten; None where it is not done."""
        if analysis.finished is None:
            return None
        return max(0.0, analysis.finished + self.settings.keep_s - time.time())

    def place(self, analysis: Analysis) -> int | None:
        """The how manieth to be begun next it is; None where it does not wait."""
        return self._turns.place(analysis.worklist, lambda order: order.analysis is analysis)

    def export(self, kind: Export, analysis: Analysis, done: Callable[[Answer], None]) -> None:
        """Queue the writing of what somebody waits for into the analysis's folder, before the films of its list.

        What several ask for at a time is made once.

        Raises:
            QueueFullError: the service is stopping.
        """
        which = analysis.id, kind
        with self._lock:
            if which in self._exports:
                self._exports[which].append(done)
                return
            if self._stopping.is_set():
                raise QueueFullError(1)
            self._exports[which] = [done]
            self._turns.put_first(analysis.worklist, _Order(kind, analysis, lambda answer: self._tell(which, answer)))

    def _tell(self, which: tuple[str, Export], answer: Answer) -> None:
        with self._lock:
            asked = self._exports.pop(which)
        for done in asked:
            done(answer)

    def forget(self, analysis: Analysis) -> None:
        """Delete an analysis and its files now; where a process is at work on it, as soon as that has ended."""
        with self._lock:
            self.analyses.pop(analysis.id, None)
            for order in self._turns.take_back(lambda order: order.analysis is analysis):
                order.done(Answer("failed", "it was deleted before its turn"))
            if analysis.working == 0:
                shutil.rmtree(analysis.folder, ignore_errors=True)

    def drain(self, seconds: float) -> None:
        """Take no more films, and wait for those that are queued."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(not a.is_done for a in list(self.analyses.values())):
            time.sleep(0.05)

    def stop(self) -> None:
        """End the processes and delete everything that is not to be kept."""
        self._stopping.set()
        self._turns.close()
        for process in self._processes:
            process.end()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(10)
        if self._held is not None:
            self._held.release()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _work(self, process: AnalysingProcess) -> None:
        """One thread a process: orders in their turn until the service stops."""
        process.begin()
        while (order := self._turns.get()) is not None:
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
            if order.analysis.id not in self.analyses:
                return False
            order.analysis.working += 1
            if order.kind == "analyse":
                order.analysis.state = "running"
            return True

    def _assert_room(self, more: int) -> None:
        if self._stopping.is_set() or self.waiting + more > self.settings.most_queued:
            raise QueueFullError(max(1, round(self.waiting * 0.3 / len(self._processes))))

    def _queue(self, analysis: Analysis) -> None:
        if self.settings.keep is not None:
            analysis.keep()
        self.analyses[analysis.id] = analysis
        self._turns.put(analysis.worklist, _Order("analyse", analysis, self._finish(analysis)))

    def _go_on(self) -> None:
        """Take up what an earlier server has kept, and delete what it was just receiving."""
        with self._lock:
            for analysis in kept_analyses(self.folder):
                if analysis.is_done:
                    self.analyses[analysis.id] = analysis
                else:
                    self._queue(analysis)
        known = {analysis.folder for analysis in self.analyses.values()}
        for folder in self.folder.glob(f"{_FILM_PREFIX}*"):
            if folder not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _finish(self, analysis: Analysis) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            if self._stopping.is_set() and answer.ended and self.settings.keep is not None:
                return  # the stop has ended the process: the film waits for the next start
            analysis.reason, analysis.state, analysis.finished = answer.reason, answer.status, time.time()
            if self.settings.keep is not None and analysis.id in self.analyses:
                analysis.keep()
            log.info("%s: %s", analysis.id, answer.status)
            self.drift.add(answer.numbers or {})
            self._observe(analysis)

        return done

    def _clean(self) -> None:
        while not self._stopping.wait(min(5.0, self.settings.keep_s / 4)):
            now = time.time()
            for analysis in list(self.analyses.values()):
                # What waits is forgotten, too, once nobody has asked for it that long.
                since = analysis.asked if analysis.state == "queued" else analysis.finished
                if since is not None and now - since > self.settings.keep_s:
                    self.forget(analysis)

    def _forget_surplus(self) -> None:
        done = [analysis for analysis in self.analyses.values() if analysis.is_done]
        for analysis in done[: max(0, len(self.analyses) - self.settings.most_kept)]:
            self.forget(analysis)


def _delete_leftovers(beside: Path) -> None:
    """Delete the folders of servers that were killed, whose locks nobody holds: uploads must not outlive them."""
    for folder in beside.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if folder.stat().st_uid != os.getuid() or not (folder / LOCK).exists():
                continue
            with FileLock(folder / LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
