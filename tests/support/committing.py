"""A receiver that is asked for storage commitment and answers as a test says, by pynetdicom."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from tests.support.dicom_files import encoded
from tests.support.node_parts import Archive

Answer = Callable[["Committing", Any, Dataset], object]  # the receiver, the association, what was asked


class Committing(Archive):
    """asked: each request. answer: called a moment after each was answered; statuses: that it gives first."""

    def __init__(self, answer: Answer, statuses: Sequence[int] = ()) -> None:
        self.asked: list[Dataset] = []
        self.answer, self.statuses = answer, list(statuses)
        super().__init__(more={StorageCommitmentPushModel: (evt.EVT_N_ACTION, self._act)})

    def _act(self, event: evt.Event) -> tuple[int, None]:
        if self.statuses:
            return self.statuses.pop(0), None
        self.asked.append(event.action_information)
        threading.Timer(0.02, self.answer, (self, event.assoc, event.action_information)).start()
        return 0, None


@contextmanager
def committing(answer: Answer = lambda *_: None, statuses: Sequence[int] = ()) -> Iterator[Committing]:
    running = Committing(answer, statuses)
    try:
        yield running
    finally:
        running.server.shutdown()


def instances(asked: Dataset) -> list[str]:
    return sorted(str(item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence)


def report_on(asked: Dataset, failed: Sequence[str] = ()) -> Dataset:
    """The event information that answers a request, all committed but these instances."""
    report = Dataset()
    report.TransactionUID = asked.TransactionUID
    report.ReferencedSOPSequence, report.FailedSOPSequence = [], []
    for item in asked.ReferencedSOPSequence:
        said = deepcopy(item)
        if item.ReferencedSOPInstanceUID in failed:
            said.FailureReason = 0x0112
            report.FailedSOPSequence.append(said)
        else:
            report.ReferencedSOPSequence.append(said)
    if not report.FailedSOPSequence:
        del report.FailedSOPSequence
    return report


def tell_here(association: Any, report: Dataset, kind: int | None = None, instance: str = "") -> int:
    """Report on an open association; the status of the answer."""
    kind = kind or (2 if "FailedSOPSequence" in report else 1)
    instance = instance or StorageCommitmentPushModelInstance
    reply, _ = association.send_n_event_report(report, kind, StorageCommitmentPushModel, instance)
    return int(reply.Status)


def tell_anew(
    port: int, report: Dataset, calling: str = "ARCHIVE", kind: int | None = None, instance: str = ""
) -> int | None:
    """Report on an association of its own to the node; None: the node does not take it."""
    entity = AE(ae_title=calling)
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = entity.associate("127.0.0.1", port, ae_title="LUNGLENS", ext_neg=[role])
    if not association.is_established:
        return None
    status = tell_here(association, report, kind, instance)
    association.release()
    return status


def small_results(count: int = 3) -> dict[str, bytes]:
    """Results that hold next to nothing."""
    found = {}
    for number, name in enumerate(["report.sr.dcm", "lungs.seg.dcm", "panel.sc.dcm"][:count]):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = ComprehensiveSRStorage, f"1.2.3.{number + 1}"
        dataset.PatientID = "FILM0"
        dataset.file_meta = Dataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found[name] = encoded(dataset)
    return found
