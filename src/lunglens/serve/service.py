"""The queue of films, the processes that analyse them, and the results until they are forgotten.

Everything lies in a private temporary folder, a folder an analysis, and is deleted with it.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from lunglens.radiograph import Limits
from lunglens.serve.settings import ServeSettings
from lunglens.serve.worker import FILM, Answer, Task, work

log = logging.getLogger("lunglens.serve")
PREFIX = "lunglens-serve-"
START_S = 60.0


class QueueFullError(Exception):
    """Too many films wait; `retry_s`: when to ask again."""

    def __init__(self, retry_s: int) -> None:
        super().__init__("too many films are waiting")
        self.retry_s = retry_s


@dataclass(eq=False)
class Analysis:
    """One film's way through the server.

    state: "queued", "running", then "analyzed", "refused" or "failed". label: what the client called the file, for the
    client alone. created, finished: monotonic seconds.
    """

    id: str
    folder: Path
    label: str
    sha256: str
    state: str = "queued"
    reason: str | None = None
    created: float = field(default_factory=time.monotonic)
    finished: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.finished is not None


@dataclass
class _Job:
    task: Task
    done: Callable[[Answer], None]
    begun: Callable[[], None]


class Service:
    """Start it, submit films, ask for their state; `stop` ends it and deletes everything."""

    def __init__(self, settings: ServeSettings, observe: Callable[[str, float], None] = lambda *_: None) -> None:
        """observe: called with the status and seconds of each analysis."""
        self.settings, self._observe = settings, observe
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.analyses: dict[str, Analysis] = {}
        self.restarts = 0
        self._queue: queue.Queue[_Job | None] = queue.Queue()
        self._lock = threading.RLock()
        self._waiting = 0
        self._stopping = threading.Event()
        self._workers = [_Worker(self) for _ in range(settings.workers)]
        self._cleaner = threading.Thread(target=self._clean, daemon=True)

    def start(self) -> None:
        """Start the processes, and delete what killed servers have left."""
        delete_leftovers(self.folder.parent)
        for worker in self._workers:
            worker.thread.start()
        self._cleaner.start()

    @property
    def is_ready(self) -> bool:
        """Whether a process has its models loaded and films are taken."""
        return not self._stopping.is_set() and any(worker.is_ready for worker in self._workers)

    @property
    def waiting(self) -> int:
        """Films and exports that nobody has begun."""
        return self._waiting

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
            found = [Analysis(secrets.token_urlsafe(16), folder, label, digest) for folder, label, digest in films]
            self.analyses |= {analysis.id: analysis for analysis in found}
            for analysis in found:
                self._put(_Job(Task("analyse", analysis.folder), *self._callbacks(analysis)))
            self._forget_surplus()
        return found

    def export_dicom(self, analysis: Analysis, done: Callable[[Answer], None]) -> None:
        """Queue the writing of `dicom.zip` into the analysis's folder.

        Raises:
            QueueFullError: too much waits already.
        """
        with self._lock:
            self._assert_room(1)
            self._put(_Job(Task("dicom", analysis.folder), done, lambda: None))

    def forget(self, analysis: Analysis) -> None:
        """Delete an analysis and its files; one at work ends first, then its files go."""
        with self._lock:
            self.analyses.pop(analysis.id, None)
            if analysis.is_done:
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
        for _ in self._workers:
            self._queue.put(None)
        for worker in self._workers:
            worker.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def next_job(self) -> _Job | None:
        """For a worker: the next job, or None when the service stops."""
        job = self._queue.get()
        if job is not None:
            with self._lock:
                self._waiting -= 1
        return job

    def _assert_room(self, more: int) -> None:
        if self._stopping.is_set() or self._waiting + more > self.settings.most_queued:
            raise QueueFullError(max(1, round(self._waiting * 0.3 / len(self._workers))))

    def _put(self, job: _Job) -> None:
        self._waiting += 1
        self._queue.put(job)

    def _callbacks(self, analysis: Analysis) -> tuple[Callable[[Answer], None], Callable[[], None]]:
        def begun() -> None:
            analysis.state = "running"

        def done(answer: Answer) -> None:
            with self._lock:
                analysis.reason = answer.reason
                analysis.state = answer.status
                analysis.finished = time.monotonic()
                if analysis.id not in self.analyses:  # forgotten meanwhile
                    shutil.rmtree(analysis.folder, ignore_errors=True)
            log.info("%s: %s", analysis.id, answer.status)
            self._observe(answer.status, analysis.finished - analysis.created)

        return done, begun

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


class _Worker:
    """A thread that owns one analysing process, and replaces it when it dies or hangs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self.is_ready = False

    def end(self) -> None:
        self._kill()
        self.thread.join(5.0)

    def _run(self) -> None:
        self._begin()
        while (job := self.service.next_job()) is not None:
            job.begun()
            job.done(self._do(job.task))

    def _begin(self) -> bool:
        """Start a process; False where it does not come up."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        limits = Limits(self.service.settings.most_film_bytes, self.service.settings.most_pixels)
        self._process = context.Process(target=work, args=(theirs, limits), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.is_ready = self._pipe.poll(START_S) and self._pipe.recv().status == "ready"
        except (EOFError, OSError):
            self.is_ready = False
        return self.is_ready

    def _do(self, task: Task) -> Answer:
        if not self.is_ready and not self._begin():
            return Answer("failed", "the analysing process does not start; the server's log may say why")
        assert self._pipe is not None  # noqa: S101 - made by _begin
        try:
            self._pipe.send(task)
            if self._pipe.poll(self.service.settings.film_s):
                answer: Answer = self._pipe.recv()
                return answer
            reason = f"took more than {self.service.settings.film_s:g} s"
        except (EOFError, OSError):
            reason = "it ended the process that read it: damaged, malicious or too large for the memory"
        self._kill()
        self.service.restarts += 1
        log.warning("an analysing process was replaced")
        self._begin()
        return Answer("failed", reason)

    def _kill(self) -> None:
        self.is_ready = False
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()


def delete_leftovers(beside: Path) -> None:
    """Delete the folders of servers of ours that were killed: uploads must not outlive them."""
    for folder in beside.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if owner.isdigit() and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def film_of(folder: Path) -> Path:
    """Where an upload's film lies in its folder."""
    return folder / FILM
