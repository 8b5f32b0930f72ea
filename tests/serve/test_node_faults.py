"""The DICOM node among the unfriendly: strays and damage in its spool, hostile senders, films that end a process."""

import json
import logging
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom import AE

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import DicomResults, dicom_results, read_source, refusal_results
from lunglens.film.radiograph import read_radiograph
from lunglens.serve.facts import Facts, hashed
from lunglens.serve.logs import plain
from lunglens.serve.node import MOST_TRIES, Node
from lunglens.serve.sender import _is_whole
from lunglens.serve.settings import MIB
from lunglens.serve.spool import Spool
from lunglens.serve.task import FILM, Answer, Task
from tests.support.dicom_files import encoded
from tests.support.node_parts import (
    Inside,
    archive,
    associate,
    dataset_of,
    echoes,
    node,
    put,
    put_results,
    small_film,
    store,
)
from tests.support.waiting import free_port, wait_until

ALL = len(DICOM_FILES)  # results of a film
OF_VERSION_0_1_0 = ("lungs.seg.dcm", "heat.seg.dcm", "report.sr.dcm", "panel.sc.dcm")


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def results(film: Path, analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("films") / "film.dcm"
    path.write_bytes(encoded(small_film(film)))
    return dicom_results(read_source(path), analyzer.analyze(read_radiograph(path))).files()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Reason and code of each film that was answered without an analysis."""
    seen: list[tuple[str, str]] = []

    def seeing(source: Any, reason: str, code: str) -> DicomResults:
        seen.append((reason, code))
        return refusal_results(source, reason, code)

    monkeypatch.setattr("lunglens.serve.node_results.refusal_results", seeing)
    return seen


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    ours = logging.getLogger("lunglens")
    before = ours.propagate, ours.level
    ours.propagate = True
    ours.setLevel(logging.INFO)
    yield caplog
    ours.propagate = before[0]
    ours.setLevel(before[1])


def strays(folder: Path) -> int:
    """Put all kinds of what is no film into a folder; how many."""
    for name in (
        "notes.txt",
        "Thumbs.db",
        "a.b.c.dcm",
        "x.y.dcm",
        ".DS_Store",
        "Doe^Jane.dcm",
        "a\nb",
        "5" * 32,
        "x" * 250,
    ):
        (folder / name).write_bytes(b"stray")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm")).write_bytes(b"not UTF-8")
    (folder / "folder.dcm").mkdir()
    (folder / ("6" * 32)).mkdir()
    (folder / ("7" * 32)).symlink_to(folder / "nowhere")
    (folder / "link").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may only be short
        listening.bind("socket")
        os.chdir(here)
    return len(list(folder.iterdir()))


def test_strays_stop_neither_the_analysis_nor_the_delivery(
    film: Path, results: dict[str, bytes], stub: Analyzer, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    ours = put_results(spool, results)
    own = len(results) + 2  # its film, and what is known of it
    count = strays(spool.incoming) + strays(spool.outgoing) - 1 + strays(ours) - own
    with archive() as receiver, node(tmp_path, receiver.port, stub) as running:
        assert store(running.port, small_film(film, 1)) == 0
        wait_until(lambda: receiver.films() == {"FILM0": ALL, "FILM1": ALL})
        wait_until(lambda: not any(spool.incoming.iterdir()) and not any(spool.outgoing.iterdir()))
        assert running.is_ready
    # What is empty is deleted, not kept: of the folders in `outgoing`, two.
    assert sum(len(list(aside.iterdir())) for aside in spool.quarantine.iterdir() if aside.is_dir()) == count - 2
    assert Path("/etc/hostname").exists()
    assert "Doe" not in said.text
    assert "Thumbs" not in said.text


def test_what_cannot_be_moved_is_left_and_logged_once(
    tmp_path: Path, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    (spool.incoming / "notes.txt").write_text("stray")
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    for _ in range(5):
        assert spool.waiting() == []
    assert said.text.count("cannot be put into quarantine") == 1


def damage(kind: str, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "zeroed": bytes(len(content))}[kind])


@pytest.mark.parametrize("kind", ["truncated", "empty", "zeroed"])
def test_damaged_results_are_made_anew_and_block_no_others(
    kind: str, film: Path, results: dict[str, bytes], stub: Analyzer, tmp_path: Path
) -> None:
    """Each result arrives once, also those of the damaged film that were delivered before."""
    spool = Spool(tmp_path)
    ours = put_results(spool, results, encoded(small_film(film)))
    damage(kind, ours / "lungs.seg.dcm")
    lost = put_results(spool, {"report.sr.dcm": results["report.sr.dcm"]}, b"a film that is gone")
    (lost / FILM).unlink()
    damage(kind, lost / "report.sr.dcm")
    put(spool, small_film(film, 1))
    with archive() as receiver, node(tmp_path, receiver.port, stub):
        wait_until(lambda: receiver.films() == {"FILM0": ALL, "FILM1": ALL})
        wait_until(lambda: not any(spool.outgoing.iterdir()))
    assert set(Counter(receiver.uids()).values()) == {1}
    assert [path.name for path in spool.quarantine.rglob("*.dcm")] == ["report.sr.dcm"]


@given(share=st.floats(0, 0.9999))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_cut_off_anywhere_is_known_without_its_checksum(share: float, results: dict[str, bytes]) -> None:
    for content in (results[name] for name in OF_VERSION_0_1_0):
        assert _is_whole(content)
        cut = content[: int(share * len(content))]
        if _is_whole(cut):  # between two elements: then what matters is not among them
            assert not {"PixelData", "ContentSequence"} & set(dataset_of(cut).dir())


@pytest.mark.parametrize("kind", ["truncated", "empty", "zeroed"])
def test_damaged_films_in_the_spool_are_kept_aside_and_block_no_others(
    kind: str, film: Path, stub: Analyzer, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    name = put(spool, small_film(film))
    damage(kind, spool.incoming / name / FILM)
    (spool.incoming / ("8" * 32 + ".1.dcm")).write_bytes(encoded(small_film(film, 1)))  # as version 0.1.0 left it
    with archive() as receiver, node(tmp_path, receiver.port, stub):
        wait_until(lambda: receiver.films()["FILM1"] == ALL)
        wait_until(lambda: not any(spool.incoming.iterdir()) and not any(spool.outgoing.iterdir()))
    assert (spool.quarantine / name / "film.dcm").exists()
    assert len((spool.quarantine / f"{name}.txt").read_text()) > 10
    assert receiver.films()["FILM0"] == (1 if kind == "truncated" else 0)  # a report, where the header can be read


NAMES = st.sampled_from(["files", "delivered", "again", "sender", "x"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(content=VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facts_can_be_read_whatever_they_are(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "film.json").write_bytes(content)
    facts = Facts.read(tmp_path)
    assert isinstance(facts.files, dict)
    assert isinstance(facts.delivered, list)
    assert str(facts).startswith("instance ")


@pytest.mark.parametrize("ended", ["death", "time"])
def test_a_film_that_ends_its_process_waits_behind_the_others_and_is_kept_aside(
    ended: str, film: Path, stub: Analyzer, tmp_path: Path, told: list[tuple[str, str]]
) -> None:
    spool = Spool(tmp_path)
    bad = put(spool, small_film(film))
    good = [put(spool, small_film(film, number + 1)) for number in range(2)]

    def before(task: Task) -> Answer | None:
        is_bad = task.folder.name == bad and task.kind == "results"
        return Answer("failed", "it ended the process", ended) if is_bad else None  # type: ignore[arg-type]

    process = Inside(stub, before)
    with archive() as receiver, node(tmp_path, receiver.port, process):
        wait_until(lambda: receiver.films() == {"FILM0": 1, "FILM1": ALL, "FILM2": ALL})
    turns = [task.folder.name for task in process.tasks]
    assert turns == [bad, *good, *[bad] * (MOST_TRIES - 1), bad]
    assert told == [("it ended the process", "unreadable")]
    assert (spool.quarantine / bad / "film.dcm").exists()


def test_a_process_that_does_not_start_condemns_no_film(
    film: Path, stub: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lunglens.serve.node._PAUSE_S", 0.01)
    answers = [Answer("failed", "it does not start", "start")] * 5 + [Answer("again", "the disk is full")] * 5
    spool = Spool(tmp_path)
    put(spool, small_film(film))
    process = Inside(stub, lambda _: answers.pop() if answers else None)
    with archive() as receiver, node(tmp_path, receiver.port, process):
        wait_until(lambda: receiver.films() == {"FILM0": ALL})
    assert spool.quarantined() == 0


def test_an_error_of_the_node_itself_is_its_film_s_matter(
    film: Path, stub: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    bad = put(spool, small_film(film))
    put(spool, small_film(film, 1))
    real = Spool.begin
    monkeypatch.setattr(Spool, "begin", lambda self, folder: 1 / 0 if folder.name == bad else real(self, folder))
    with archive() as receiver, node(tmp_path, receiver.port, stub) as running:
        wait_until(lambda: receiver.films() == {"FILM1": ALL})
        wait_until(lambda: not any(spool.incoming.iterdir()))
        assert running.is_ready
    assert spool.quarantined() == 1
    assert len(list(spool.quarantine.rglob(FILM))) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_is_begun_anew(
    film: Path, stub: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exceptions are confined to a film or a delivery; what is worse ends a thread, and the next one goes on."""
    spool = Spool(tmp_path)
    put(spool, small_film(film))
    monkeypatch.setattr("lunglens.serve.node._STATUS_S", 0.05)
    failures: dict[str, list[type[BaseException]]] = {"waiting": [SystemExit], "undelivered": [SystemExit, ValueError]}
    for name, kinds in failures.items():
        real = getattr(Spool, name)

        def failing(self: Spool, *rest: Any, real: Any = real, kinds: list[type[BaseException]] = kinds) -> Any:
            if kinds:
                raise kinds.pop()
            return real(self, *rest)

        monkeypatch.setattr(Spool, name, failing)
    with archive() as receiver, node(tmp_path, receiver.port, stub) as running:
        wait_until(lambda: receiver.films() == {"FILM0": ALL})
        wait_until(lambda: running.is_ready)
        wait_until(lambda: '"threads": 3' in (tmp_path / "status.json").read_text())


def test_status_tells_what_waits_and_whether_the_node_is_ready(
    film: Path, stub: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lunglens.serve.node._STATUS_S", 0.05)
    process = Inside(stub)
    with node(tmp_path, free_port(), process) as running:
        assert store(running.port, small_film(film)) == 0
        wait_until(lambda: json.loads((tmp_path / "status.json").read_text())["films"])
        wait_until(lambda: json.loads((tmp_path / "status.json").read_text())["undelivered"] == ALL)
        status = json.loads((tmp_path / "status.json").read_text())
        assert (status["ready"], status["waiting"], status["films"]) == (True, 0, {"analyzed": 1})
        process.is_ready = False
        wait_until(lambda: not json.loads((tmp_path / "status.json").read_text())["ready"])
        process.is_ready = True
        assert running.is_ready
        monkeypatch.setattr(
            running.spool, "free", lambda: running.settings.least_free_bytes - 1
        )  # films are turned away
        assert not running.is_ready
    assert not json.loads((tmp_path / "status.json").read_text())["ready"]


def test_films_that_are_refused_or_unreadable_are_answered_or_not(
    film: Path, stub: Analyzer, tmp_path: Path, told: list[tuple[str, str]]
) -> None:
    leg = small_film(film, 1)
    leg.Modality = "CT"
    broken = small_film(film, 2)
    broken.PixelData = broken.PixelData[:1000]
    for answered in (True, False):
        spool = Spool(tmp_path / str(answered))
        with archive() as receiver, node(spool.folder, receiver.port, stub, answer_refused=answered) as running:
            for sent in (leg, broken, small_film(film)):
                assert store(running.port, sent) == 0
            wait_until(lambda receiver=receiver: receiver.films()["FILM0"] == ALL)  # type: ignore[misc]
        assert receiver.films() == ({"FILM0": ALL, "FILM1": 1, "FILM2": 1} if answered else {"FILM0": ALL})
        assert spool.quarantined() == 1  # what was refused is no damage
    assert [code for _, code in told] == ["modality", "unreadable"] * 2
    assert FILM not in "".join(reason for reason, _ in told).split()


def test_the_log_can_be_followed_and_holds_nothing_of_the_patient(
    film: Path, stub: Analyzer, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    sent = small_film(film)
    with archive() as receiver, node(tmp_path, receiver.port, stub, allowed=("MODALITY",)) as running:
        assert store(running.port, sent) == 0
        wait_until(lambda: said.text.count("delivered,") == ALL)
        assert associate(running.port, sent.SOPClassUID, calling="STRANGER").is_rejected
        assert associate(running.port, sent.SOPClassUID, called="ANOTHER").is_rejected
        wait_until(lambda: said.text.count("was rejected") == 2)
    who = f"instance {hashed(sent.SOPInstanceUID)}, study {hashed(sent.StudyInstanceUID)}, from MODALITY at 127.0.0.1"
    assert said.text.count(who) == 1 + ALL  # analysed, and each result delivered
    assert "from STRANGER at 127.0.0.1: its title is not allowed" in said.text
    assert "it calls for ANOTHER" in said.text
    secrets = (str(sent.PatientName), "FILM0", str(sent.StudyInstanceUID), str(sent.SOPInstanceUID))
    assert not [secret for secret in secrets if secret in said.text]
    assert plain("\x1b[31mA\nB\u202e") == "?[31mA?B?"


# --- what comes over the network


def test_a_film_is_on_disk_while_it_comes_and_is_broken_off_at_its_limit(
    film: Path, stub: Analyzer, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    large = small_film(film)
    large.PixelData = bytes(40 * MIB)
    with node(tmp_path, free_port(), stub, most_film_bytes=16 * MIB) as running:
        association = associate(running.port, large.SOPClassUID)
        assert association.send_c_store(large).get("Status") is None
        wait_until(lambda: "it is larger than" in said.text)
        wait_until(lambda: not association.is_established)
        assert echoes(running.port)
        assert sum(path.stat().st_size for path in (tmp_path / "receiving").iterdir()) <= 16 * MIB
        running.spool.sweep(0)
        assert not any((tmp_path / "receiving").iterdir())
        assert not any((tmp_path / "incoming").iterdir())


def test_what_a_killed_node_was_receiving_is_deleted_at_its_next_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (spool.receiving / "tmpabc.dcm").write_bytes(b"half a film")
    (spool.receiving / "folder").mkdir()
    Spool(tmp_path)
    assert not any(spool.receiving.iterdir())


def test_a_nearly_full_disk_turns_films_away(film: Path, stub: Analyzer, tmp_path: Path) -> None:
    with node(tmp_path, free_port(), stub, least_free_bytes=2**60) as running:
        assert store(running.port, small_film(film)) == 0xA700
        assert not any((tmp_path / "incoming").iterdir())


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBL", kind, 0, len(content) if length is None else length) + content


def fragment(control: int, content: bytes) -> bytes:
    return pdu(4, struct.pack(">LBB", len(content) + 2, 1, control) + content)


def command(**elements: Any) -> bytes:
    found = pydicom.Dataset()
    for name, value in elements.items():
        setattr(found, name, value)
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    pydicom.filewriter.write_dataset(stream, found)
    return stream.getvalue()


ECHO = {"CommandField": 0x30, "MessageID": 1, "AffectedSOPClassUID": "1.2.840.10008.1.1"}
STORE = {"CommandField": 1, "MessageID": 1, "Priority": 0, "AffectedSOPInstanceUID": "1.2.3"}
STORE |= {"AffectedSOPClassUID": pydicom.uid.ComputedRadiographyImageStorage}
WITH, WITHOUT = {"CommandDataSetType": 1}, {"CommandDataSetType": 0x0101}
HOSTILE = {
    "huge PDU": pdu(4, bytes(1000), 0xFFFFFFFF),
    "command without end": fragment(1, bytes(16000)) * 200,
    "echo with data without end": fragment(3, command(**ECHO, **WITH)) + fragment(0, bytes(16000)) * 200,
    "no UID": fragment(3, command(CommandField=1, MessageID=1, **WITH)) + fragment(2, bytes(100)),
    "no data set": fragment(3, command(**STORE, **WITHOUT)),
    "no answer awaited": (fragment(3, command(**STORE, **WITH)) + fragment(2, bytes(100))) * 200,
    "rubbish": bytes(range(256)) * 10,
}


def hostile_sender(running: Node, kind: str, film: pydicom.Dataset) -> None:
    """Send what no sender should, over a real association's connection."""
    association = associate(running.port, film.SOPClassUID)
    assert association.is_established
    with suppress(OSError):
        association.dul.socket.socket.sendall(HOSTILE[kind])
        time.sleep(0.3)
    association.abort()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_senders_that_break_the_rules_end_only_their_own_association(
    film: Path, stub: Analyzer, tmp_path: Path
) -> None:
    sent = small_film(film)
    tiny = Inside(stub, lambda task: Answer("refused") if (task.folder / FILM).stat().st_size < 1000 else None)
    with archive() as receiver, node(tmp_path, receiver.port, tiny, timeout_s=2.0) as running:
        for _ in range(3):  # together more than there may be at a time
            for kind in HOSTILE:
                hostile_sender(running, kind, sent)
        wait_until(lambda: echoes(running.port), 20)
        assert store(running.port, sent) == 0
        wait_until(lambda: receiver.films() == {"FILM0": ALL})
        assert running.is_ready


def test_a_film_that_breaks_off_is_told_from_a_sender_who_asks_for_what_is_not_taken(
    film: Path, stub: Analyzer, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    with node(tmp_path, free_port(), stub) as running:
        scanner = AE(ae_title="SCANNER")
        scanner.add_requested_context(pydicom.uid.CTImageStorage)
        scanner.associate("127.0.0.1", running.port, ae_title="LUNGLENS")
        wait_until(lambda: "nothing that is asked for is taken here, from SCANNER" in said.text)
        association = associate(running.port, small_film(film).SOPClassUID)
        association.dul.socket.socket.sendall(fragment(3, command(**STORE, **WITH)) + fragment(0, bytes(5000)))
        time.sleep(0.3)
        association.abort()
        wait_until(lambda: "a film has not come to its end, from MODALITY" in said.text)
        assert "come to its end, from SCANNER" not in said.text


def test_a_sender_that_stops_in_the_middle_is_left(film: Path, stub: Analyzer, tmp_path: Path) -> None:
    with node(tmp_path, free_port(), stub, timeout_s=1.0) as running:
        stuck = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(70)]
        for connection in stuck[:20]:
            connection.sendall(b"\x01\x00\x00\x00\x01\x00half a request")
        wait_until(lambda: echoes(running.port), 30)
        for connection in stuck:
            connection.close()
