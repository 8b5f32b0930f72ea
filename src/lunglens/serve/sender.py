"""The node's voice: results to one receiver by C-STORE (PS3.4 annex B), until it has each of them."""

import io
import logging
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from lunglens.film.dicom import DICOM_FILES
from lunglens.serve.facts import Facts
from lunglens.serve.settings import NodeSettings, Peer
from lunglens.serve.spool import DamagedResultError, Spool, is_id

log = logging.getLogger("lunglens.node")

SENT = (
    SegmentationStorage,
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)
SUCCESS, PROCESSING_FAILURE, DUPLICATE = 0x0000, 0x0110, 0x0111
_MOST_SENDS = 8  # tries of a file on which the receiver breaks off


class Sender:
    """Used by one thread.

    sent: files that the receiver has taken.
    """

    def __init__(self, settings: NodeSettings, peer: Peer, spool: Spool, stopping: threading.Event) -> None:
        self.settings, self.peer, self.spool, self._stopping = settings, peer, spool, stopping
        self._tls = settings.tls_to(peer)
        self._spoilt: Counter[Path] = Counter()
        self.sent = 0

    def send(self, files: list[Path]) -> bool:
        """One association for all that waits; False where it must be tried again later."""
        entity = AE(ae_title=self.settings.aet)
        for kind in SENT:
            entity.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        entity.add_requested_context(SecondaryCaptureImageStorage, JPEGBaseline8Bit)  # a receiver takes one a context
        association = associate(entity, self.settings, self.peer, self._tls)
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
        """False where the receiver cannot take more now. Whatever is wrong with this file concerns no other."""
        name = _name(file)
        dataset = self._read(file)
        if dataset is None:
            return True
        try:
            status = association.send_c_store(_as_taken(dataset, association)).get("Status")
        except Exception as error:  # no presentation context, a data set that cannot be encoded, a lost association
            if not association.is_established:
                return self._failed(file)
            log.error("%s: cannot be sent: %s", name, type(error).__name__)
            self.spool.put_aside(file, "it cannot be sent to the receiver")
            return True
        if status is not None and 0xA700 <= status <= 0xA7FF:  # out of resources: nobody's fault but time's
            return False
        if status is None or status == PROCESSING_FAILURE:  # no answer (an abort), or a passing fault
            return self._failed(file)
        if status in (SUCCESS, DUPLICATE) or 0xB000 <= status <= 0xBFFF:  # taken, perhaps with a warning, or there
            who = Facts.read(file.parent)
            self.spool.delivered(file, is_kept=who.receiver in self.settings.commitment)
            self.sent += 1
            log.info("%s: delivered, %s", name, who)
        else:
            log.error("%s: not taken by the receiver (0x%04X)", name, status)
            self.spool.put_aside(file, f"the receiver does not take it (0x{status:04X})")
        return True

    def _read(self, file: Path) -> Dataset | None:
        """The data set; None where the file is damaged, and has been dealt with."""
        try:
            content = self.spool.content(file)
            if not Facts.read(file.parent).files and not _is_whole(content):  # as version 0.1.0 has left it
                raise DamagedResultError
            return dcmread(io.BytesIO(content))
        except FileNotFoundError:
            return None  # an earlier file of this film was damaged, and took it along
        except OSError as error:
            log.error("%s: cannot be read: %s", _name(file), error.strerror)
            self.spool.put_aside(file, "it cannot be read")
        except Exception as error:  # damaged files make pydicom raise anything
            what = "damaged" if isinstance(error, DamagedResultError) else "no DICOM file"
            if self.spool.again(file):
                log.warning("%s: %s on the disk, its film is analysed again", _name(file), what)
            else:
                self.spool.put_aside(file, f"it is {what}")
        return None

    def _failed(self, file: Path) -> bool:
        """Count a try that this file may have spoilt; after _MOST_SENDS of them it no longer blocks the others."""
        self._spoilt[file] += 1
        if self._spoilt[file] >= _MOST_SENDS:
            self.spool.put_aside(file, f"the receiver has broken off on it {_MOST_SENDS} times")
            del self._spoilt[file]
        return False


def associate(entity: AE, settings: NodeSettings, peer: Peer, tls: Any, **options: Any) -> Any:
    """An association with a receiver, established or not; tls: as `NodeSettings.tls_to` gives it."""
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = settings.timeout_s
    entity.connection_timeout = settings.timeout_s
    return entity.associate(peer.host, peer.port, ae_title=peer.aet, tls_args=tls, **options)


def _as_taken(dataset: Dataset, association: Any) -> Dataset:
    """With its pixels decompressed where the receiver does not take them as they are: the same instance (PS3.5 10)."""
    syntax = dataset.file_meta.TransferSyntaxUID
    contexts = [one for one in association.accepted_contexts if one.abstract_syntax == dataset.SOPClassUID]
    taken = {one for context in contexts for one in context.transfer_syntax}
    if syntax.is_encapsulated and syntax not in taken:
        dataset.decompress(generate_instance_uid=False)
    return dataset


def _name(file: Path) -> str:
    """For the log: names that are none of ours may be a patient's."""
    folder = file.parent.name if is_id(file.parent.name) else "(...)"
    return f"{folder}/{file.name if file.name in DICOM_FILES else '(...)'}"


def _is_whole(content: bytes) -> bool:
    """Whether a file, explicit little endian as all of version 0.1.0's, ends where its last element ends (PS3.5 7.1.2).

    Of what is cut off, pydicom takes what is there.
    """
    at = 144 + int.from_bytes(content[140:144], "little")  # behind the file meta information (PS3.10 7.1)
    while at + 12 <= len(content):
        is_long = content[at + 4 : at + 6].decode("latin-1") in EXPLICIT_VR_LENGTH_32
        length, header = ((at + 8, at + 12), 12) if is_long else ((at + 6, at + 8), 8)
        at += header + int.from_bytes(content[slice(*length)], "little")
    return at == len(content)
