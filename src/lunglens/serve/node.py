"""`lunglens node`: a DICOM node that takes films by C-STORE, analyses them, and sends the results on (PS3.4 annex B).

Three things run side by side and know each other only by the spool: the receiver, one analyst, one sender.
"""

import logging
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
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
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)

from lunglens.errors import ConfigurationError, LungLensError
from lunglens.files import readable
from lunglens.pipeline import Analyzer
from lunglens.radiograph import read_radiograph
from lunglens.report.dicom import dicom_results, read_source
from lunglens.serve.spool import Spool

log = logging.getLogger("lunglens.node")

TAKEN = (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation)
SENT = (SegmentationStorage, ComprehensiveSRStorage, SecondaryCaptureImageStorage)
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLosslessSV1]
SYNTAXES += [JPEGLSLossless, JPEG2000Lossless, JPEG2000, JPEGBaseline8Bit]
SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
PROCESSING_FAILURE, DUPLICATE = 0x0110, 0x0111
MOST_SENDS = 8  # tries of a file on which the receiver breaks off
MOST_FILM_BYTES = 512 * 1024**2
_PEER = re.compile(r"(?P<aet>[^@\s\\]{1,16})@(?P<host>[^\s:@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Peer:
    """Where results go: application entity title, host and port."""

    aet: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """From "AE@HOST:PORT".

        Raises:
            ConfigurationError: it is not of that form.
        """
        found = _PEER.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise ConfigurationError(f"{text}: not of the form AE@HOST:PORT")
        return cls(found["aet"], found["host"], int(found["port"]))


@dataclass(frozen=True)
class NodeSettings:
    """How the node runs.

    aet, host, port: its own title and where it listens (port 0: any free one). allowed: calling titles that may store;
    empty: all. most_waiting: films in the spool from which on new ones are turned away. retry_s: first and longest
    pause between tries to deliver. timeout_s: of the network.
    """

    aet: str
    peer: Peer
    host: str = "127.0.0.1"
    port: int = 11112
    allowed: tuple[str, ...] = ()
    most_waiting: int = 1000
    retry_s: tuple[float, float] = (1.0, 60.0)
    timeout_s: float = 30.0


class Node:
    """A running node; `stop` ends it and leaves what is not done in the spool."""

    def __init__(self, settings: NodeSettings, spool: Spool, analyzer: Analyzer) -> None:
        self.settings, self.spool, self.analyzer = settings, spool, analyzer
        self._stopping, self._films, self._results = (threading.Event() for _ in range(3))
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._analyse, self._deliver)]
        self._spoilt: Counter[Path] = Counter()
        self._server: Any = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.socket.getsockname()[1])

    def start(self) -> None:
        """Listen, and take up what an earlier, killed node has left."""
        entity = AE(ae_title=self.settings.aet)
        entity.add_supported_context(Verification)
        for kind in TAKEN:
            entity.add_supported_context(kind, SYNTAXES)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self.settings.allowed)
        entity.maximum_associations = 16
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.settings.timeout_s
        address = (self.settings.host, self.settings.port)
        self._server = entity.start_server(address, block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more films, finish the one at hand, keep the rest in the spool."""
        self._server.shutdown()
        self._stopping.set()
        self._films.set()
        self._results.set()
        for thread in self._threads:
            thread.join()

    def _store(self, event: evt.Event) -> int:
        """C-STORE: the film is on disk before the sender hears of success."""
        try:
            if len(self.spool.waiting()) >= self.settings.most_waiting:
                log.warning("a film was turned away: %d are waiting", self.settings.most_waiting)
                return OUT_OF_RESOURCES
            film = event.encoded_dataset()
            if len(film) > MOST_FILM_BYTES:
                return CANNOT_UNDERSTAND
            name = self.spool.receive(film)
        except OSError as error:
            log.error("a film was turned away: %s", error.strerror)
            return OUT_OF_RESOURCES
        log.info("%s: received", name)
        self._films.set()
        return SUCCESS

    def _analyse(self) -> None:
        while not self._stopping.is_set():
            films = self.spool.waiting()
            if not films:
                self._films.wait(1.0)
                self._films.clear()
            for film in films:
                if self._stopping.is_set():
                    return
                try:
                    self._analyse_one(film)
                except OSError as error:  # a full disk, say: the film stays where it is
                    log.error("%s: cannot be worked on: %s; tried again later", film.name.split(".")[0], error.strerror)
                    self._stopping.wait(5.0)

    def _analyse_one(self, film: Path) -> None:
        name = film.name.split(".")[0]
        begun = self.spool.begin(film)
        if begun is None:
            log.error("%s: put aside, it has ended the program", name)
            return
        started, results = time.monotonic(), dict[str, bytes]()
        try:
            finding = self.analyzer.analyze(read_radiograph(begun))
            results = dicom_results(read_source(begun), finding).files()
            log.info("%s: %s in %.2f s", name, finding.status, time.monotonic() - started)
        except LungLensError as error:
            # The reason names only the file, which is ours, and what is wrong with it.
            log.warning("%s: no result: %s", name, readable(error))
        except Exception as error:  # one film never stops the node
            log.error("%s: no result, the film was put aside: %s", name, type(error).__name__)
            self.spool.put_aside(begun)
            return
        try:
            self.spool.answer(begun, results)
        except OSError as error:
            log.error("%s: results cannot be kept: %s; tried again later", name, error.strerror)
            begun.rename(film)
            self._stopping.wait(5.0)
            return
        self._results.set()

    def _deliver(self) -> None:
        pause, longest = self.settings.retry_s
        while not self._stopping.is_set():
            files = self.spool.undelivered()
            if not files:
                self._results.wait(1.0)
                self._results.clear()
                continue
            try:
                sent = self._send(files)
            except Exception as error:  # an association can end in many ways; the results are still there
                log.error("delivery broke off: %s", type(error).__name__)
                sent = False
            if sent:
                pause = self.settings.retry_s[0]
                continue
            log.warning("%d results wait: next try in %.0f s", len(files), pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, longest)

    def _send(self, files: list[Path]) -> bool:
        """One association for all that waits; False where it must be tried again later."""
        entity = AE(ae_title=self.settings.aet)
        for kind in SENT:
            entity.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.settings.timeout_s
        entity.connection_timeout = self.settings.timeout_s
        peer = self.settings.peer
        association = entity.associate(peer.host, peer.port, ae_title=peer.aet)
        if not association.is_established:
            return False
        try:
            for file in files:
                if self._stopping.is_set():
                    return True
                if not self._send_one(association, file):
                    return False
        finally:
            if association.is_established:
                association.release()
        return True

    def _send_one(self, association: Any, file: Path) -> bool:
        name = f"{file.parent.name}/{file.stem}"
        try:
            status = association.send_c_store(dcmread(file)).get("Status")
        except (ValueError, RuntimeError) as error:  # no presentation context, or the association has gone
            if not association.is_established:
                return self._failed(file)
            log.error("%s: not taken by the receiver: %s", name, type(error).__name__)
            self.spool.reject(file)
            return True
        if status is not None and 0xA700 <= status <= 0xA7FF:  # out of resources: nobody's fault but time's
            return False
        if status is None or status == PROCESSING_FAILURE:  # no answer (an abort), or a passing fault
            return self._failed(file)
        if status in (SUCCESS, DUPLICATE) or 0xB000 <= status <= 0xBFFF:  # taken, perhaps with a warning, or there
            self.spool.delivered(file)
            log.info("%s: delivered", name)
        else:
            log.error("%s: not taken by the receiver (0x%04X): put aside", name, status)
            self.spool.reject(file)
        return True

    def _failed(self, file: Path) -> bool:
        """Count a try that this file may have spoilt; after MOST_SENDS of them it no longer blocks the others."""
        self._spoilt[file] += 1
        if self._spoilt[file] >= MOST_SENDS:
            log.error("%s/%s: put aside after %d tries", file.parent.name, file.stem, MOST_SENDS)
            self.spool.reject(file)
            del self._spoilt[file]
        return False
