"""The node's ear: films by C-STORE (PS3.4 annex B), written to disk as they come, and who was turned away.

Receivers of results that are asked for storage commitment may report here, too (PS3.4 annex J).
"""

import logging
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import pynetdicom
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from lunglens.serve.commitment import SYNTAXES, heard
from lunglens.serve.facts import Facts, hashed
from lunglens.serve.logs import plain
from lunglens.serve.settings import NodeSettings
from lunglens.serve.spool import Spool
from lunglens.serve.uncommitted import Uncommitted

log = logging.getLogger("lunglens.node")

_TAKEN = (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation)
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLosslessSV1]
_SYNTAXES += [JPEGLSLossless, JPEG2000Lossless, JPEG2000, JPEGBaseline8Bit]
SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
_MOST_PDU_BYTES = 1024**2  # 64 times what we ask for
_MOST_ASSOCIATIONS = 16
_MOST_CONNECTIONS = 64  # with those that have asked for nothing yet
_MOST_COMMAND_BYTES = 1024**2  # what is no film is held in memory
_ABORT_BYTES = 10  # PS3.8 9.3.8
_MOST_UNANSWERED = 16  # requests of one association
_LOOK_EVERY_BYTES = 16 * 1024**2


class _Server(ThreadedAssociationServer):
    def verify_request(self, *_: object) -> bool:
        """Whether there is room for one more connection: each has two threads."""
        return len(self.ae.active_associations) < _MOST_CONNECTIONS

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """A connection; whom it is encrypted with is asked when it is read, so that who says nothing keeps nobody."""
        context, self.ssl_context = self.ssl_context, None
        try:
            connection, address = super().get_request()
        finally:
            self.ssl_context = context
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address


class Receiver:
    """Takes films into the spool; `serve` runs until `stop`."""

    def __init__(
        self, settings: NodeSettings, spool: Spool, uncommitted: Uncommitted, arrived: Callable[[], None]
    ) -> None:
        """arrived: called when a film is on disk."""
        self.settings, self.spool, self.uncommitted, self._arrived = settings, spool, uncommitted, arrived
        self._coming: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # association -> bytes of its unfinished film
        self._broken_off: WeakSet[Any] = WeakSet()
        self._tempdir = tempfile.tempdir
        entity = AE(ae_title=settings.aet)
        entity.add_supported_context(Verification)
        for kind in _TAKEN:
            entity.add_supported_context(kind, _SYNTAXES)
        # The sender of a report asks to be SCP (PS3.4 J.3.3); nobody may be SCU, and ask us.
        entity.add_supported_context(StorageCommitmentPushModel, SYNTAXES, scu_role=False, scp_role=True)
        entity.require_called_aet = True
        asked = [peer.aet for peer in settings.peers if str(peer) in settings.commitment]
        entity.require_calling_aet = [*settings.allowed, *asked] if settings.allowed else []
        entity.maximum_associations = _MOST_ASSOCIATIONS
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = settings.timeout_s
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._reported),
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_DATA_RECV, self._came),
            (evt.EVT_DIMSE_RECV, self._complete),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_REJECTED, self._rejected),
        ]
        self._server: Any = entity.make_server(
            (settings.host, settings.port),
            evt_handlers=handlers,
            server_class=_Server,
            ssl_context=None if settings.tls is None else settings.tls.context(ssl.Purpose.CLIENT_AUTH),
        )
        entity._servers.append(self._server)  # as AE.start_server does; its own `shutdown` takes it away again

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.socket.getsockname()[1])

    def prepare(self) -> None:
        """Have films written into the spool's own folder, by the switch that pynetdicom has for all of a program."""
        pynetdicom._config.STORE_RECV_CHUNKED_DATASET = True
        tempfile.tempdir = str(self.spool.receiving)

    def serve(self) -> None:
        """Listen."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Take no more films."""
        self._server.shutdown()
        tempfile.tempdir = self._tempdir

    def _requested(self, event: Any) -> None:
        """Offer reports to those alone who are asked for them, and storage to those alone who may store."""
        title = event.assoc.requestor.primitive.calling_ae_title
        kinds = {Verification}
        kinds |= {StorageCommitmentPushModel} if self.settings.asked(title) else set()
        kinds |= set(_TAKEN) if not self.settings.allowed or title in self.settings.allowed else set()
        acceptor = event.assoc.acceptor
        acceptor.supported_contexts = [one for one in acceptor.supported_contexts if one.abstract_syntax in kinds]

    def _accepted(self, event: Any) -> None:
        self._coming.pop(event.assoc, None)  # so far it was the request, and no film
        if not event.assoc.accepted_contexts:
            log.warning("nothing that is asked for is taken here, from %s at %s", *_names(event.assoc))

    def _reported(self, event: Any) -> tuple[int, None]:
        return heard(event, self.settings.asked(event.assoc.requestor.ae_title), self.uncommitted)

    def _store(self, event: Any) -> int:
        """The film is on disk, for good, before the sender hears of success."""
        path = event.dataset_path
        who = Facts(*_names(event.assoc), hashed(event.request.AffectedSOPInstanceUID) or "-")
        problem = self._problem(path)
        if problem is not None:
            log.warning("a film was turned away, %s: %s", who, problem[1])
            return problem[0]
        try:
            size = path.stat().st_size
            name = self.spool.receive(path, who)
        except OSError as error:
            log.error("a film was turned away, %s: %s", who, error.strerror)
            return OUT_OF_RESOURCES
        log.info("%s: received, %s, %d bytes", name, who, size)
        self._arrived()
        return SUCCESS

    def _problem(self, path: Path | None) -> tuple[int, str] | None:
        if path is None:
            return CANNOT_UNDERSTAND, "it has no data set"
        if self.spool.count() >= self.settings.most_waiting:
            return OUT_OF_RESOURCES, f"{self.settings.most_waiting} are waiting"
        if self._is_full():
            return OUT_OF_RESOURCES, "the disk is nearly full"
        return None

    def _is_full(self) -> bool:
        return self.spool.free() < self.settings.least_free_bytes

    def _opened(self, event: Any) -> None:
        """Read from this connection with patience and memory that end: pynetdicom's own reading has no limits."""
        connection = event.assoc.dul.socket
        connection.recv = lambda size: _read(connection.socket, size, self.settings.timeout_s)

    def _came(self, event: Any) -> None:
        if event.assoc in self._broken_off:
            return
        before = self._coming.get(event.assoc, 0)
        now = self._coming[event.assoc] = before + len(event.data)
        message = event.assoc.dimse.message
        in_memory = 0 if message is None else message.encoded_command_set.tell() + message.data_set.tell()
        if now > self.settings.most_film_bytes:
            self._break_off(event.assoc, f"it is larger than {self.settings.most_film_bytes:,} bytes")
        elif in_memory > _MOST_COMMAND_BYTES:
            self._break_off(event.assoc, "it is a request without end")
        elif now // _LOOK_EVERY_BYTES > before // _LOOK_EVERY_BYTES and self._is_full():
            self._break_off(event.assoc, "the disk is nearly full")

    def _complete(self, event: Any) -> None:
        self._coming.pop(event.assoc, None)
        if event.assoc.dimse.msg_queue.qsize() >= _MOST_UNANSWERED:
            self._break_off(event.assoc, "it does not wait for answers")

    def _break_off(self, association: Any, reason: str) -> None:
        self._broken_off.add(association)  # what still comes is read, and goes nowhere, until the connection ends
        log.warning("a film was broken off, from %s at %s: %s", *_names(association), reason)
        association.abort(block=False)

    def _closed(self, event: Any) -> None:
        size = self._coming.pop(event.assoc, 0)
        if size > _ABORT_BYTES and event.assoc.is_established and event.assoc not in self._broken_off:
            log.warning("a film has not come to its end, from %s at %s, %d bytes", *_names(event.assoc), size)

    def _rejected(self, event: Any) -> None:
        called = event.assoc.requestor.primitive.called_ae_title
        sender, address = _names(event.assoc)
        if called != self.settings.aet.strip():
            reason = f"it calls for {plain(called)}"
        elif self.settings.allowed and sender not in self.settings.allowed:
            reason = "its title is not allowed"
        else:
            reason = f"more than {_MOST_ASSOCIATIONS} at a time"
        log.warning("an association was rejected, from %s at %s: %s", sender, address, reason)


def _read(connection: socket.socket, size: int, seconds: float) -> bytearray:
    """As AssociationSocket.recv, for a size and a time that a PDU may have."""
    if size > _MOST_PDU_BYTES:
        raise OSError(f"a PDU of {size} bytes")
    data, deadline = bytearray(), time.monotonic() + seconds
    try:
        while len(data) < size:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            part = connection.recv(size - len(data))
            if not part:
                break
            data += part
            if time.monotonic() > deadline:
                raise TimeoutError
    finally:
        connection.settimeout(None)
    return data


def _names(association: Any) -> tuple[str, str]:
    """The calling title and the address, as they may stand in a log."""
    requestor = association.requestor
    return plain(requestor.ae_title), plain(requestor.address)
