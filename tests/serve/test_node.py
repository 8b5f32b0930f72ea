"""The DICOM node over real associations: what it takes, what it refuses, what it sends on, and what a kill leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    StorageCommitmentPushModel,
)

from lunglens.errors import ConfigurationError
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.radiograph import read_radiograph
from lunglens.serve.settings import Peer
from lunglens.serve.spool import Spool
from lunglens.serve.task import Answer
from tests.support.dicom_files import encoded
from tests.support.node_parts import Inside, archive, associate, dataset_of, node, put, put_results, small_film, store
from tests.support.waiting import free_port, wait_until


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def results(film: Path, analyzer: Analyzer) -> dict[str, bytes]:
    return dicom_results(read_source(film), analyzer.analyze(read_radiograph(film))).files()


def test_a_film_is_taken_analysed_and_its_results_sent_on(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    source = pydicom.dcmread(film)
    with archive() as receiver, node(tmp_path, receiver.port, analyzer) as running:
        association = associate(running.port, ComputedRadiographyImageStorage)
        assert association.send_c_echo().Status == 0
        association.release()
        assert store(running.port, source) == 0
        source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        assert store(running.port, source) == 0
        wait_until(lambda: len(receiver.kept) == 2 * len(DICOM_FILES))
        wait_until(lambda: not any((tmp_path / "outgoing").iterdir()))
    assert sorted({str(dataset.Modality) for dataset in receiver.kept}) == ["OT", "PR", "SEG", "SR"]
    assert {str(dataset.StudyInstanceUID) for dataset in receiver.kept} == {str(source.StudyInstanceUID)}
    assert not any(path.is_file() and path.suffix == ".dcm" for path in tmp_path.rglob("*"))
    assert (tmp_path.stat().st_mode & 0o777) == 0o700


def test_other_kinds_and_unknown_titles_are_refused(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    with node(tmp_path, free_port(), analyzer, allowed=("MODALITY",)) as running:
        entity = AE(ae_title="MODALITY")
        entity.add_requested_context(CTImageStorage)
        entity.add_requested_context(StorageCommitmentPushModel)  # the node keeps no film, and promises none
        association = entity.associate("127.0.0.1", running.port, ae_title="LUNGLENS")
        assert not association.is_established  # no context is left
        assert associate(running.port, ComputedRadiographyImageStorage, calling="STRANGER").is_rejected
        assert associate(running.port, ComputedRadiographyImageStorage, called="ANOTHER").is_rejected
        assert associate(running.port, ComputedRadiographyImageStorage).is_established
        assert not list((tmp_path / "incoming").iterdir())


def test_films_that_come_thick_and_fast_are_all_analysed(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    counted = Inside(analyzer, lambda _: Answer("failed", "only counted"))
    small = small_film(film)
    small.Rows = small.Columns = 64
    small.PixelData = bytes(2 * 64 * 64)
    with node(tmp_path, free_port(), counted) as running:
        association = associate(running.port, small.SOPClassUID)
        for _ in range(60):
            assert association.send_c_store(small).Status == 0
        association.release()
        wait_until(lambda: len({task.folder.name for task in counted.tasks}) == 60)
        wait_until(lambda: not list((tmp_path / "incoming").iterdir()))


def test_a_full_spool_turns_films_away(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    with node(tmp_path, free_port(), analyzer, most_waiting=0) as running:
        assert store(running.port, pydicom.dcmread(film)) == 0xA700


def test_results_wait_for_a_receiver_that_has_no_room_and_one_that_is_refused_blocks_none(
    results: dict[str, bytes], analyzer: Analyzer, tmp_path: Path
) -> None:
    spool = Spool(tmp_path)
    put_results(spool, results)
    with archive(answers=(0xA700, 0x0110, 0xC000, 0xB000, 0x0111)) as receiver, node(tmp_path, receiver.port, analyzer):
        wait_until(lambda: not any(spool.outgoing.iterdir()))
        # One was put aside, one taken with a warning, one was there already.
        assert len(receiver.kept) == len(results) - 3
    assert len(list(spool.quarantine.rglob("*.dcm"))) == 1


def test_fifty_results_survive_kill_9_and_a_dead_receiver(results: dict[str, bytes], tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    report = dataset_of(results["report.sr.dcm"])
    wanted = set()
    for number in range(50):
        report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
        wanted.add(str(report.SOPInstanceUID))
        put_results(spool, {"report.sr.dcm": encoded(report)})
    port = free_port()
    command = [sys.executable, "-m", "lunglens", "node", "--send-to", f"ARCHIVE@127.0.0.1:{port}"]
    command += ["--spool", str(tmp_path), "--port", "0"]
    log = (tmp_path / "log.txt").open("wb")
    first = subprocess.Popen(command, stderr=log)
    wait_until(lambda: (tmp_path / "log.txt").read_text().count("next try in") >= 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert len(spool.undelivered()) == 50
    with archive(port) as receiver:
        second = subprocess.Popen(command, stderr=log)
        wait_until(lambda: not spool.undelivered())
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    # Exactly once each: none was lost, none was sent twice.
    assert sorted(str(dataset.SOPInstanceUID) for dataset in receiver.kept) == sorted(wanted)


def test_counting_what_is_to_be_sent_minds_nobody_who_sends_it(results: dict[str, bytes], tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for _ in range(60):
        put_results(spool, {"report.sr.dcm": results["report.sr.dcm"]})
    assert spool.count_undelivered() == len(spool.undelivered()) == 60
    sender = threading.Thread(target=lambda: [spool.delivered(file) for file in spool.undelivered()])
    sender.start()
    counts = [60]
    while counts[-1]:
        counts.append(spool.count_undelivered())
        assert len(spool.undelivered()) <= counts[-1]
    sender.join()
    assert counts == sorted(counts, reverse=True)


def test_killed_with_a_film_at_hand_it_goes_on(film: Path, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    name = put(spool, film.read_bytes())
    (spool.incoming / name / "report.sr.dcm").write_bytes(b"half a rep")  # as if killed now
    with archive() as receiver:
        command = [sys.executable, "-m", "lunglens", "node", "--send-to", f"ARCHIVE@127.0.0.1:{receiver.port}"]
        with (tmp_path / "log.txt").open("wb") as log:
            process = subprocess.Popen([*command, "--spool", str(tmp_path), "--port", "0"], stderr=log)
        wait_until(lambda: len(receiver.kept) == len(DICOM_FILES))
        second = subprocess.run(
            [*command, "--spool", str(tmp_path), "--port", "0"], capture_output=True, text=True, check=False
        )
        assert (second.returncode, "another node is at work here" in second.stderr) == (1, True)
        process.terminate()
        assert process.wait(30) == 0
    said = (tmp_path / "log.txt").read_text()
    assert "analyzed" in said
    # Neither the patient's name and number nor the study's; libraries would log them.
    assert not [secret for secret in ("CompressedSamples", "9RG1", "1.3.6.1.4.1.5962") if secret in said]


@pytest.mark.parametrize("text", ["ARCHIVE", "A@h", "A@h:0", "A@h:99999", "@h:104", "ATITLEOFSEVENTEEN@h:104"])
def test_a_receiver_is_named_in_one_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match="AE@HOST:PORT"):
        Peer.parse(text)


@pytest.mark.skipif(shutil.which("storescu") is None, reason="needs dcmtk")
def test_dcmtk_sends_to_the_node_and_takes_its_results(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    (tmp_path / "received").mkdir()
    port = free_port()
    command = ["storescp", "--aetitle", "ARCHIVE", "--output-directory", str(tmp_path / "received"), str(port)]
    receiver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with node(tmp_path / "spool", port, analyzer) as running:
            to_us = ["-aec", "LUNGLENS", "127.0.0.1", str(running.port)]
            assert subprocess.run(["echoscu", *to_us], check=False).returncode == 0
            assert subprocess.run(["storescu", *to_us, str(film)], check=False).returncode == 0
            wait_until(lambda: len(list((tmp_path / "received").iterdir())) == len(DICOM_FILES))
            wait_until(lambda: not any((tmp_path / "spool" / "outgoing").iterdir()))
        for path in (tmp_path / "received").iterdir():
            assert subprocess.run(["dcmdump", str(path)], capture_output=True, check=False).returncode == 0
    finally:
        receiver.kill()
        receiver.wait()


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="needs Orthanc")
def test_orthanc_keeps_the_results_in_the_film_s_study(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    dicom, http = free_port(), free_port()
    settings = {"DicomAet": "ARCHIVE", "DicomPort": dicom, "HttpPort": http, "StorageDirectory": str(tmp_path / "o")}
    settings |= {"IndexDirectory": str(tmp_path / "o"), "AuthenticationEnabled": False, "RemoteAccessAllowed": False}
    (tmp_path / "orthanc.json").write_text(json.dumps(settings | {"Plugins": []}))

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=10) as answer:
            return answer.read()

    def up() -> bool:
        try:
            return bool(ask("/system"))
        except OSError:
            return False

    server = subprocess.Popen(
        ["Orthanc", str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(up)
        association = associate(dicom, ComputedRadiographyImageStorage, called="ARCHIVE")
        assert association.send_c_store(pydicom.dcmread(film)).Status == 0
        association.release()
        with node(tmp_path / "spool", dicom, analyzer) as running:
            assert store(running.port, pydicom.dcmread(film)) == 0
            wait_until(lambda: len(json.loads(ask("/instances"))) == 1 + len(DICOM_FILES))
        assert len(json.loads(ask("/studies"))) == len(json.loads(ask("/patients"))) == 1
        assert len(json.loads(ask("/series"))) == 1 + len(DICOM_FILES)
        kinds = {}
        for name in json.loads(ask("/instances")):
            (tmp_path / "read.dcm").write_bytes(ask(f"/instances/{name}/file"))
            dataset = pydicom.dcmread(tmp_path / "read.dcm")
            kinds.setdefault(str(dataset.Modality), []).append(dataset)
        assert {kind: len(found) for kind, found in kinds.items()} == {"CR": 1, "SEG": 2, "PR": 1, "SR": 1, "OT": 2}
        expected = dicom_results(read_source(film), analyzer.analyze(read_radiograph(film))).objects
        lungs = next(found for found in kinds["SEG"] if found.SegmentationType == "BINARY")
        assert lungs.PixelData == expected["lungs.seg"].PixelData
    finally:
        server.kill()
        server.wait()
