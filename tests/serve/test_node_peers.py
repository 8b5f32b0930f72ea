"""The DICOM node with several who get its results, and by TLS."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lunglens.errors import ConfigurationError
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.radiograph import read_radiograph
from lunglens.serve.facts import Facts
from lunglens.serve.settings import NodeSettings, Peer, Tls
from lunglens.serve.spool import Spool
from tests.support.dicom_files import encoded
from tests.support.node_parts import archive, associate, node, put, small_film
from tests.support.waiting import free_port, wait_until

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> pydicom.Dataset:
    return small_film(rg_folder / "RG1_UNCR.dcm")


@pytest.fixture(scope="module")
def results(film: pydicom.Dataset, analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("film") / "film.dcm"
    path.write_bytes(encoded(film))
    return dicom_results(read_source(path), analyzer.analyze(read_radiograph(path))).files()


def here(port: int, title: str = "ARCHIVE", calling: str | None = None) -> Peer:
    return Peer(title, "127.0.0.1", port, calling)


def analysed(spool: Spool, results: dict[str, bytes], receivers: list[str]) -> None:
    folder = spool.incoming / put(spool, b"film")
    for name, content in results.items():
        (folder / name).write_bytes(content)
    spool.answer(folder, Facts(), receivers)


def test_one_receiver_is_dead_one_is_slow_and_each_gets_every_result_once(
    results: dict[str, bytes], analyzer: Analyzer, tmp_path: Path
) -> None:
    spool, dead = Spool(tmp_path), free_port()
    with archive(answers=(0xA700,) * 4) as slow:  # has no room at first
        peers = (here(dead, "DEAD"), here(slow.port, "SLOW"))
        analysed(spool, results, [str(peer) for peer in peers])
        with node(tmp_path, 0, analyzer, peers=peers) as running:
            wait_until(lambda: len(slow.kept) == len(results))
            wait_until(lambda: spool.count_undelivered() == len(results))
            with archive(dead) as late:
                wait_until(lambda: not any(spool.outgoing.iterdir()))
            assert running.is_ready
        assert sorted(late.uids()) == sorted(slow.uids()) == sorted(set(slow.uids()))
        status = json.loads((tmp_path / "status.json").read_text())
    assert status["delivered"] == {str(peer): len(results) for peer in peers}
    assert not list(spool.quarantine.iterdir())


def test_results_go_where_the_sender_of_their_film_is_routed_to(
    film: pydicom.Dataset, analyzer: Analyzer, tmp_path: Path
) -> None:
    with archive() as everything, archive() as of_ward:
        peers = (here(everything.port, "ALL"), here(of_ward.port, "WARD", "BEDSIDE"))
        with node(tmp_path, 0, analyzer, peers=peers) as running:
            for number, calling in enumerate(("BEDSIDE", "ROOM1")):
                film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number + 1}"
                association = associate(running.port, film.SOPClassUID, calling)
                assert association.send_c_store(film).Status == 0
                association.release()
            wait_until(lambda: len(everything.kept) == 2 * len(DICOM_FILES))
            wait_until(lambda: not any((tmp_path / "outgoing").iterdir()))
    assert len(of_ward.kept) == len(DICOM_FILES)
    assert set(of_ward.uids()) < set(everything.uids())


def test_a_kill_between_two_receivers_makes_no_second_copy(results: dict[str, bytes], tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    folder = spool.incoming / put(spool, b"film")
    for _ in range(2):  # as if killed before the film's own folder had moved, and analysed again
        for name, content in results.items():
            (folder / name).write_bytes(content)
        spool._copy(folder, replace(Facts(files=dict.fromkeys(results, "")), receiver="B@h:2"))
    assert len(spool.undelivered(["B@h:2"])) == len(results)
    spool.answer(folder, Facts(), ["A@h:1", "B@h:2"])
    assert len(spool.undelivered(["A@h:1"])) == len(spool.undelivered(["B@h:2"])) == len(results)
    assert spool.count_undelivered() == 2 * len(results)


def test_a_damaged_result_is_made_anew_for_its_receiver_alone(results: dict[str, bytes], tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    analysed(spool, results, ["A@h:1", "B@h:2"])
    file = spool.undelivered(["B@h:2"])[0]
    file.write_bytes(b"rotten")
    assert spool.again(file)
    [again] = spool.waiting()
    for name, content in results.items():
        (again / name).write_bytes(content)
    spool.answer(again, Facts.read(again), ["A@h:1", "B@h:2"])
    assert spool.count_undelivered() == 2 * len(results)
    assert len(spool.undelivered(["B@h:2"])) == len(results)


def test_results_of_version_0_1_0_go_to_the_first_and_those_of_nobody_into_quarantine(
    results: dict[str, bytes], analyzer: Analyzer, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    analysed(spool, results, [""])
    analysed(spool, results, ["GONE@h:1"])
    with archive() as first, archive() as second:
        peers = (here(first.port, "FIRST"), here(second.port, "SECOND"))
        with node(tmp_path, 0, analyzer, peers=peers):
            wait_until(lambda: not any(spool.outgoing.iterdir()))
    assert (len(first.kept), len(second.kept)) == (len(results), 0)
    [said] = spool.quarantine.glob("*.txt")
    assert "GONE@h:1" in said.read_text()


def test_a_film_of_version_0_1_0_whose_results_nobody_gets_is_kept_and_said(
    film: pydicom.Dataset, stub: Analyzer, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    (spool.incoming / ("8" * 32 + ".1.dcm")).write_bytes(encoded(film))
    with archive() as receiver:
        peer = here(receiver.port, "FIRST", "ROOM1")
        with node(tmp_path, 0, stub, peers=(peer,), allowed=("ROOM1",)):
            wait_until(lambda: any(spool.quarantine.glob("*.txt")))
    [said] = spool.quarantine.glob("*.txt")
    assert "no receiver gets films of its calling title" in said.read_text()
    assert not receiver.kept


@pytest.mark.parametrize(
    ("receivers", "allowed", "said"),
    [
        (["A@h:1", "A@h:1"], (), "given twice"),
        (["X=A@h:1"], (), "one for all others"),
        (["X=A@h:1", "Y=B@h:1"], ("X", "Z"), "one for all others"),
        (["X=A@h:1"], ("X",), None),
        (["X=A@h:1", "A@h:1"], (), None),
    ],
)
def test_no_film_can_come_whose_results_nobody_gets(
    receivers: list[str], allowed: tuple[str, ...], said: str | None
) -> None:
    settings = NodeSettings("LUNGLENS", tuple(map(Peer.parse, receivers)), allowed=allowed)
    if said is None:
        settings.check()
        assert [str(peer) for peer in settings.receivers("X")] == ["A@h:1"]
    else:
        with pytest.raises(ConfigurationError, match=said):
            settings.check()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca, ours and theirs (signed by ca), and strange (signed by itself): NAME.pem, NAME.key."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*what: str) -> None:
        subprocess.run(["openssl", *what], check=True, capture_output=True, cwd=folder)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    for name in ("ca", "strange"):
        openssl(
            "req", "-x509", *new, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )
    for name in ("ours", "theirs"):
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", *signed, "-days", "2", "-out", f"{name}.pem")
    return folder


def tls(folder: Path, name: str, **settings: Any) -> Tls:
    return Tls(folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem", **settings)


@needs_openssl
@pytest.mark.skipif(shutil.which("storescu") is None, reason="needs dcmtk")
def test_dcmtk_sends_by_tls_and_without_a_certificate_of_the_authority_nothing_is_taken(
    film: pydicom.Dataset, analyzer: Analyzer, certificates: Path, tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encoded(film))

    def sent(port: int, *how: str) -> int:
        command = ["storescu", *how, "-aec", "LUNGLENS", "-to", "5", "127.0.0.1", str(port), str(path)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

    def shown(name: str) -> list[str]:
        key, certificate, authority = (str(certificates / file) for file in (f"{name}.key", f"{name}.pem", "ca.pem"))
        return ["+tls", key, certificate, "+cf", authority]

    with archive() as receiver, node(tmp_path / "spool", receiver.port, analyzer, tls=tls(certificates, "ours")) as it:
        assert sent(it.port) != 0  # not encrypted
        assert sent(it.port, *shown("strange")) != 0
        assert sent(it.port, *shown("theirs")) == 0
        wait_until(lambda: len(receiver.kept) == len(DICOM_FILES))
        silent = [socket.create_connection(("127.0.0.1", it.port)) for _ in range(3)]
        assert sent(it.port, *shown("theirs")) == 0  # who says nothing keeps nobody waiting
        for connection in silent:
            connection.close()
        assert it.is_ready


@needs_openssl
@pytest.mark.parametrize(("name", "taken"), [("theirs", True), ("strange", False)])
def test_results_go_by_tls_to_whom_the_authority_has_signed(
    name: str, taken: bool, results: dict[str, bytes], analyzer: Analyzer, certificates: Path, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    with archive(tls=tls(certificates, name).context(ssl.Purpose.CLIENT_AUTH)) as receiver:
        analysed(spool, results, [str(here(receiver.port))])
        with node(tmp_path, receiver.port, analyzer, tls=tls(certificates, "ours", sends=True)):
            if taken:
                wait_until(lambda: len(receiver.kept) == len(results))
            else:
                time.sleep(1)
                assert not receiver.kept
                assert spool.count_undelivered() == len(results)


@needs_openssl
def test_what_is_no_certificate_is_said_at_the_start(certificates: Path) -> None:
    for certificate, key in (("ours.pem", "theirs.key"), ("none.pem", "ours.key"), ("ours.key", "ours.key")):
        with pytest.raises(ConfigurationError, match="no certificate and key"):
            Tls(certificates / certificate, certificates / key).context(ssl.Purpose.CLIENT_AUTH)
