"""Asking a receiver to commit to keep what it has stored, and hearing its report (PS3.4 annex J, as SCU)."""

import logging
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from lunglens.serve.sender import associate
from lunglens.serve.settings import NodeSettings, Peer
from lunglens.serve.uncommitted import Uncommitted

log = logging.getLogger("lunglens.node")
_SUCCESS, _PROCESSING_FAILURE, _NO_SUCH_INSTANCE, _NO_SUCH_EVENT, _INVALID_ARGUMENT = 0, 0x0110, 0x0112, 0x0113, 0x0115
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_REQUEST = 1  # the action type of PS3.4 J.3.2


def heard(event: Any, receivers: Collection[str], uncommitted: Uncommitted) -> tuple[int, None]:
    """The answer to a report (N-EVENT-REPORT) that one of these receivers sends."""
    request = event.request
    if request.AffectedSOPInstanceUID != StorageCommitmentPushModelInstance:
        return _NO_SUCH_INSTANCE, None
    if request.EventTypeID not in (1, 2):
        return _NO_SUCH_EVENT, None
    try:
        is_ours = uncommitted.report(receivers, request.EventTypeID, event.event_information)
    except Exception as error:  # no data set, one without UIDs, a full disk
        log.error("a report of %s cannot be worked on: %s", " or ".join(receivers), type(error).__name__)
        return _PROCESSING_FAILURE, None
    if not is_ours:
        log.warning("a report of %s was refused: it is not on what was asked for", " or ".join(receivers))
    return (_SUCCESS if is_ours else _INVALID_ARGUMENT), None


class Asker:
    """Asks one receiver; used by one thread."""

    def __init__(self, settings: NodeSettings, peer: Peer, uncommitted: Uncommitted, stopping: threading.Event) -> None:
        self.settings, self.peer, self.uncommitted, self._stopping = settings, peer, uncommitted, stopping
        self._tls = settings.tls_to(peer)

    def ask(self) -> bool:
        """Ask for all that is due, an association for each film; False where the receiver cannot be asked now."""
        for folder in self.uncommitted.due(str(self.peer)):
            if not self._stopping.is_set() and not self._ask_one(folder):
                return False
        return True

    def _ask_one(self, folder: Path) -> bool:
        here = _Here(str(self.peer), self.uncommitted)
        entity = AE(ae_title=self.settings.aet)
        entity.add_requested_context(StorageCommitmentPushModel, SYNTAXES)
        association = associate(entity, self.settings, self.peer, self._tls, evt_handlers=here.handlers)
        if not association.is_established:
            log.warning("%s is not there, or knows no storage commitment: asked again later", self.peer)
            return False
        try:
            # Now and not before: a transaction that nobody has heard of would push out one that a report may come on.
            request = self.uncommitted.request(folder)
            if request is None:
                return True
            reply, _ = association.send_n_action(
                request, _REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            status = reply.get("Status")
            if status == _SUCCESS:
                log.info("%s: %s is asked to commit to it", folder.name, self.peer)
                here.wait(association, self.settings.commitment_s[0], self._stopping)
                return True
        finally:
            if association.is_established:
                association.release()
        said = "no answer" if status is None else f"0x{status:04X}"
        log.warning("%s: %s does not take the request for commitment (%s)", folder.name, self.peer, said)
        self.uncommitted.refused(folder)
        return False


class _Here:
    """A report on the association of its request."""

    def __init__(self, receiver: str, uncommitted: Uncommitted) -> None:
        self._receiver, self._uncommitted = receiver, uncommitted
        self._is_heard, self._is_answered = False, threading.Event()
        self.handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._hear), (evt.EVT_PDU_SENT, self._sent)]

    def _hear(self, event: Any) -> tuple[int, None]:
        answer = heard(event, [self._receiver], self._uncommitted)
        self._is_heard = True  # what is sent next is the answer
        return answer

    def _sent(self, _: Any) -> None:
        if self._is_heard:
            self._is_answered.set()

    def wait(self, association: Any, seconds: float, stopping: threading.Event) -> None:
        """Until a report was answered, the receiver has ended the association, or the time is over."""
        end = time.monotonic() + seconds
        while association.is_established and not stopping.is_set() and time.monotonic() < end:
            if self._is_answered.wait(0.05):
                return
