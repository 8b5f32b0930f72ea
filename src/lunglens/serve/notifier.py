"""Telling a webhook of each film that is answered: in a thread of its own, a while, and no analysis waits for it."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from queue import SimpleQueue
from typing import Any

from lunglens.serve.analysis import Analysis
from lunglens.serve.webhook import Webhook
from lunglens.serve.worklist import result_of

log = logging.getLogger("lunglens.serve")

_MOST_WAITING = 1000
_PAUSES_S = (1.0, 5.0, 30.0, 120.0)  # between the tries of a message
_PASSING = {408, 425, 429}  # and 5xx: the receiver may take it later


class Notifier:
    """Messages go one after the other, in the order in which films are answered."""

    def __init__(
        self, webhook: Webhook, count: Callable[[str], None] = lambda _: None, pauses: Sequence[float] = _PAUSES_S
    ) -> None:
        """count: called with what became of each message, "delivered", "given up" or "dropped"."""
        self.webhook, self._count, self._pauses = webhook, count, pauses
        self._waiting: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._closing, self._deadline = threading.Event(), float("inf")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def tell(self, analysis: Analysis) -> None:
        """Queue the message about a film that is answered; where too many wait it is dropped."""
        if self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put((analysis.id, json.dumps(message_of(analysis)).encode()))
        else:
            self._end(analysis.id, "dropped")

    def close(self, seconds: float) -> None:
        """Try what waits once more, within this time; what is left is dropped."""
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._waiting.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None:
            self._end(message[0], self._told(*message))

    def _told(self, id_: str, body: bytes) -> str:
        for pause in (*self._pauses, None):
            if time.monotonic() > self._deadline:
                return "dropped"
            status = self._tried(id_, body)
            if 200 <= status < 300:
                return "delivered"
            is_passing = status in _PASSING or status == 0 or status >= 500
            if not is_passing or pause is None or self._closing.wait(pause):
                break
        return "given up"

    def _tried(self, id_: str, body: bytes) -> int:
        """The answer's status; 0 where there is none."""
        try:
            return self.webhook.post(id_, body)
        except (OSError, HTTPException, ValueError):  # a host that is no name raises the last
            return 0

    def _end(self, id_: str, outcome: str) -> None:
        self._count(outcome)
        if outcome != "delivered":
            log.warning("%s: the message that it is answered was %s", id_, outcome)


def message_of(analysis: Analysis) -> dict[str, Any]:
    """What is told: nothing of the patient, of the file, or of the client's work list."""
    result, path = result_of(analysis), f"/api/analyses/{analysis.id}"
    found = {} if result is None else {"decision": result.decision, "probabilities": result.probabilities}
    links = {"analysis": path} | ({} if result is None else {"report": f"{path}/report.html", "fhir": f"{path}/fhir"})
    answered = datetime.fromtimestamp(analysis.finished or time.time(), UTC).isoformat(timespec="milliseconds")
    data = {"id": analysis.id, "state": analysis.state, **found, "links": links}
    return {"type": "analysis.finished", "timestamp": answered, "data": data}
