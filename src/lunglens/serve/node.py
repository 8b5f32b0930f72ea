"""`lunglens node`: a DICOM node that takes films by C-STORE, analyses them, and sends the results on (PS3.4 annex B).

These run side by side and know each other only by the spool: the receiver of films, one analyst, and a sender
for each who gets the results, so that one who is away keeps no other waiting; and one that asks, for each who is to
commit to keep them. Another looks after them, and keeps
`status.json` in the spool: whether the node is ready, and what waits. It is a file and no port: nothing more to guard,
it can be read when the node is dead or hangs, and then its time says so.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from lunglens.film.drift import Drift
from lunglens.serve.commitment import Asker
from lunglens.serve.facts import Facts
from lunglens.serve.logs import plain
from lunglens.serve.receiver import Receiver
from lunglens.serve.sender import Sender
from lunglens.serve.settings import NodeSettings
from lunglens.serve.spool import Spool
from lunglens.serve.task import Answer, Task
from lunglens.serve.uncommitted import Uncommitted

log = logging.getLogger("lunglens.node")

STATUS = "status.json"
MOST_TRIES = 3  # of a film whose analysing process does not answer; the others go before it
_STATUS_S = 2.0
_REASON_LENGTH = 200
_NOBODY = "no receiver gets films of its calling title; add a --send-to without one, and move it back into incoming"
_PAUSE_S = 5.0  # before something is tried again that is no film's fault


class Analysing(Protocol):
    """What the node needs of an `AnalysingProcess`."""

    is_ready: bool
    restarts: int

    def begin(self) -> bool:
        """Start it; whether it is ready."""

    def do(self, task: Task) -> Answer:
        """One film, to its answer."""

    def end(self) -> None:
        """Stop it."""


class Node:
    """A running node; `stop` ends it and leaves what is not done in the spool."""

    def __init__(self, settings: NodeSettings, spool: Spool, process: Analysing, drift: Drift | None = None) -> None:
        """process: analyses the films; nobody else uses it. drift: of its classifier."""
        self.settings, self.spool, self.process, self._drift = settings, spool, process, drift or Drift({})
        self._stopping, self._films, self._results = (threading.Event() for _ in range(3))
        self._uncommitted = Uncommitted(settings, spool)
        self._receiver = Receiver(settings, spool, self._uncommitted, self._films.set)
        peers = {str(peer): peer for peer in settings.peers}
        self._senders = {name: Sender(settings, peer, spool, self._stopping) for name, peer in peers.items()}
        asked = {name: peers[name] for name in settings.commitment}
        askers = {name: Asker(settings, peer, self._uncommitted, self._stopping) for name, peer in asked.items()}
        self._tries: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._restarts = 0
        self._last_film: str | None = None
        self._parts: dict[str, Callable[[], None]] = {"receiver": self._receiver.serve, "analyst": self._analyse}
        self._parts |= {f"sender to {name}": partial(self._deliver, name) for name in self._senders}
        self._parts |= {f"asker of {name}": partial(self._ask, asker) for name, asker in askers.items()}
        self._threads: dict[str, threading.Thread] = {}
        self._watch = threading.Thread(target=self._look_after, name="lunglens-watch", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._receiver.port

    @property
    def is_ready(self) -> bool:
        """Whether films are taken, analysed and sent on."""
        return (
            not self._stopping.is_set()
            and self.process.is_ready
            and self.spool.free() >= self.settings.least_free_bytes
            and len(self._threads) == len(self._parts)
            and all(thread.is_alive() for thread in self._threads.values())
        )

    def start(self) -> None:
        """Listen, and take up what an earlier, killed node has left."""
        self._receiver.prepare()
        self._uncommitted.prepare()
        self.spool.without_receiver(self._senders)
        for name in self._parts:
            self._begin_part(name)
        self._write_status()
        self._watch.start()

    def stop(self) -> None:
        """Take no more films, finish the one at hand if that is soon, keep the rest in the spool."""
        self._stopping.set()
        self._receiver.stop()
        self._films.set()
        self._results.set()
        self._threads["analyst"].join(_PAUSE_S)
        self.process.end()
        for thread in (self._watch, *self._threads.values()):
            thread.join(_PAUSE_S)  # a receiver of results may be silent for longer; whatever is cut off is done again
        with suppress(OSError):
            self._write_status()

    def _begin_part(self, name: str) -> None:
        thread = threading.Thread(target=self._parts[name], name=f"lunglens-{name}", daemon=True)
        self._threads[name] = thread
        thread.start()

    def _look_after(self) -> None:
        """Begin what has ended anew, sweep up what broken connections have left, and tell."""
        while not self._stopping.wait(_STATUS_S):
            for name, thread in self._threads.items():
                if not thread.is_alive() and not self._stopping.is_set():
                    log.error("the %s had ended and was begun anew", name)
                    self._restarts += 1
                    self._begin_part(name)
            try:
                self.spool.sweep(2 * self.settings.timeout_s + 60)
                self._write_status()
            except OSError as error:
                log.error("the status cannot be written: %s", error.strerror)

    def _analyse(self) -> None:
        self.process.begin()
        while not self._stopping.is_set():
            # One that has ended its process before waits behind the others.
            films = sorted(self.spool.waiting(), key=lambda film: self._tries[film.name])
            if not films:
                self._films.wait(1.0)
                self._films.clear()
            for film in films:
                if self._stopping.is_set():
                    return
                self._work_on(film)
                if self._films.is_set() and self._tries[film.name]:
                    break  # others have come meanwhile
        self.process.end()

    def _work_on(self, film: Path) -> None:
        """Whatever goes wrong with a film is that film's matter."""
        try:
            self._analyse_one(film)
        except OSError as error:  # a full disk, say: the film stays where it is
            log.error("%s: cannot be worked on: %s; tried again later", film.name, error.strerror)
            self._films.wait(_PAUSE_S)
        except Exception as error:
            log.error("%s: cannot be worked on: %s", film.name, type(error).__name__)
            if self._is_given_up(film.name):
                self.spool.put_aside(film, f"the node cannot work on it ({type(error).__name__})")

    def _analyse_one(self, film: Path) -> None:
        name, started = film.name, time.monotonic()
        self.spool.begin(film)
        answer = self.process.do(Task("results", film))
        if self._stopping.is_set() and answer.ended:
            return
        facts = Facts.read(film)
        facts.study = answer.study or facts.study
        if answer.ended in ("death", "time") and not self._is_given_up(name):
            log.warning("%s: %s; tried again, %s", name, answer.reason, facts)
            return
        if answer.ended == "start" or answer.status == "again":
            log.error("%s: %s; tried again later", name, answer.reason)
            self._films.wait(_PAUSE_S)
            return
        if answer.ended:
            self.process.do(Task("tell", film, answer.reason or ""))
        self._settle(film, facts, answer)
        reason = f" ({plain(answer.reason, _REASON_LENGTH)})" if answer.reason else ""
        log.info("%s: %s in %.2f s%s, %s", name, answer.status, time.monotonic() - started, reason, facts)

    def _is_given_up(self, name: str) -> bool:
        self._tries[name] += 1
        return self._tries[name] >= MOST_TRIES

    def _settle(self, film: Path, facts: Facts, answer: Answer) -> None:
        """Put the film where it belongs; a kill at any point leaves it to be done once more."""
        if answer.status == "failed":
            self.spool.keep_film(film, answer.reason or "")
        receivers = [str(peer) for peer in self.settings.receivers(facts.sender)]
        if any(film.glob("*.dcm")) and (answer.status == "analyzed" or self.settings.answer_refused):
            if receivers:
                self.spool.answer(film, facts, receivers)
                self._results.set()
            else:  # it came before the receivers were bound to calling titles
                self.spool.put_aside(film, _NOBODY)
        else:
            self.spool.forget(film)
        self._outcomes[answer.status] += 1
        self._drift.add(answer.numbers or {})
        self._last_film = _now()
        del self._tries[film.name]

    def _deliver(self, name: str) -> None:
        pause, longest = self.settings.retry_s
        mine = (name, "") if name == next(iter(self._senders)) else (name,)  # those of version 0.1.0 name nobody
        while not self._stopping.is_set():
            files = self.spool.undelivered(mine)
            if not files:
                self._results.wait(1.0)
                self._results.clear()
                continue
            try:
                sent = self._senders[name].send(files)
            except Exception as error:  # an association can end in many ways; the results are still there
                log.error("delivery broke off: %s", type(error).__name__)
                sent = False
            if sent:
                pause = self.settings.retry_s[0]
                continue
            log.warning("%d results wait for %s: next try in %.0f s", len(files), name, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, longest)

    def _ask(self, asker: Asker) -> None:
        pause, longest = self.settings.retry_s
        while not self._stopping.wait(pause):
            try:
                asked = asker.ask()
            except Exception as error:  # an association can end in many ways; the results are still there
                log.error("asking for storage commitment broke off: %s", type(error).__name__)
                asked = False
            pause = self.settings.retry_s[0] if asked else min(2 * pause, longest)

    def _write_status(self) -> None:
        status = {
            "time": _now(),
            "ready": self.is_ready,
            "waiting": self.spool.count(),
            "undelivered": self.spool.count_undelivered(),
            "uncommitted": len(self.spool.stored()),
            "quarantined": self.spool.quarantined(),
            "films": dict(self._outcomes),
            "drift": {name: asdict(found) for name, found in self._drift.state().items()},
            "delivered": {name: sender.sent for name, sender in self._senders.items()},
            "last_film": self._last_film,
            "restarts": {"threads": self._restarts, "process": self.process.restarts},
            "free_bytes": self.spool.free(),
        }
        path = self.spool.folder / STATUS
        begun = path.with_suffix(".partial")
        begun.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")
        begun.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
