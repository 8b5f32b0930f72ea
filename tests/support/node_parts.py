"""A node, a receiver and small films for the tests of the DICOM node."""

import io
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from lunglens.film.analyzer import Analyzer
from lunglens.film.radiograph import Limits
from lunglens.serve.node import Node
from lunglens.serve.sender import SENT
from lunglens.serve.settings import NodeSettings, Peer
from lunglens.serve.spool import Spool
from lunglens.serve.task import Answer, Task
from lunglens.serve.worker import answered
from tests.support.dicom_files import encoded


class Archive:
    """A receiver that keeps what it is sent; `answers` are statuses that it gives first."""

    def __init__(
        self,
        port: int = 0,
        answers: tuple[int, ...] = (),
        tls: ssl.SSLContext | None = None,
        more: dict[str, tuple[Any, Any]] | None = None,
    ) -> None:
        """more: SOP classes that it knows besides, each with an event's handler."""
        self.kept: list[pydicom.Dataset] = []
        self.answers = list(answers)
        entity = AE(ae_title="ARCHIVE")
        for kind in (*SENT, *(more or ())):
            entity.add_supported_context(kind)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), *(more or {}).values()]
        self.server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
        self.port = int(self.server.socket.getsockname()[1])

    def _store(self, event: evt.Event) -> int:
        if self.answers:
            return self.answers.pop(0)
        dataset = event.dataset
        dataset.walk(lambda *_: None)  # where it was received into a file, that goes with this event
        self.kept.append(dataset)
        return 0

    def films(self) -> Counter[str]:
        """How many results of each film have come, by the patient's number, which the tests make the film's."""
        return Counter(str(dataset.PatientID) for dataset in self.kept)

    def uids(self) -> list[str]:
        return [str(dataset.SOPInstanceUID) for dataset in self.kept]


@contextmanager
def archive(port: int = 0, answers: tuple[int, ...] = (), tls: ssl.SSLContext | None = None) -> Iterator[Archive]:
    running = Archive(port, answers, tls)
    try:
        yield running
    finally:
        running.server.shutdown()


class Inside:
    """What an analysing process does, in the test's own, where it can be changed; `before` may answer instead."""

    is_ready, restarts = True, 0

    def __init__(self, analyzer: Analyzer, before: Callable[[Task], Answer | None] = lambda _: None) -> None:
        self.analyzer, self.before = analyzer, before
        self.tasks: list[Task] = []

    def begin(self) -> bool:
        return True

    def do(self, task: Task) -> Answer:
        self.tasks.append(task)
        return self.before(task) or answered(task, self.analyzer, Limits())

    def end(self) -> None:
        self.is_ready = False


@contextmanager
def node(spool: Path, port: int, analyzer: Analyzer | Any, /, **settings: Any) -> Iterator[Node]:
    """A node that sends to a port of this machine; `analyzer`: one, or what has the methods of a process."""
    settings = {"port": 0, "retry_s": (0.05, 0.2), "timeout_s": 10.0, "least_free_bytes": 0, **settings}
    process = Inside(analyzer) if isinstance(analyzer, Analyzer) else analyzer
    peers = settings.pop("peers", (Peer("ARCHIVE", "127.0.0.1", port),))
    running = Node(NodeSettings("LUNGLENS", peers, **settings), Spool(spool), process)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def associate(port: int, kind: str, calling: str = "MODALITY", called: str = "LUNGLENS", **options: Any) -> Any:
    entity = AE(ae_title=calling)
    entity.add_requested_context(kind, **options)
    entity.add_requested_context(Verification)
    return entity.associate("127.0.0.1", port, ae_title=called)


def store(port: int, film: pydicom.Dataset) -> int:
    association = associate(port, film.SOPClassUID)
    assert association.is_established
    status = association.send_c_store(film).Status
    association.release()
    return int(status)


def echoes(port: int) -> bool:
    association = associate(port, pydicom.uid.ComputedRadiographyImageStorage)
    if not association.is_established:
        return False
    status = association.send_c_echo().get("Status")
    association.release()
    return bool(status == 0)


def small_film(path: Path, number: int = 0) -> pydicom.Dataset:
    """Every third row and column of a film, as one of its own."""
    film = pydicom.dcmread(path)
    pixels = film.pixel_array[::3, ::3]
    film.Rows, film.Columns = pixels.shape
    film.PixelData = pixels.tobytes()
    film.PatientID = f"FILM{number}"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{number + 1}"
    return film


def put(spool: Spool, film: pydicom.Dataset | bytes) -> str:
    """As if the film had been received."""
    from lunglens.serve.facts import Facts

    path = spool.receiving / "film.dcm"
    path.write_bytes(film if isinstance(film, bytes) else encoded(film))
    return spool.receive(path, Facts())


def put_results(spool: Spool, results: dict[str, bytes], film: bytes = b"film", receiver: str = "") -> Path:
    """As if a film had been analysed; its folder."""
    from lunglens.serve.facts import Facts

    name = put(spool, film)
    for file, content in results.items():
        (spool.incoming / name / file).write_bytes(content)
    spool.answer(spool.incoming / name, Facts(), [receiver])
    return spool.outgoing / name


def dataset_of(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(content))
