"""Results of many kinds of films: without errors to dciodvfy, and read back from a real archive."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import dicom_results, read_source, refusal_results
from lunglens.film.radiograph import read_radiograph
from tests.support.dciodvfy import errors_of, needs_dciodvfy
from tests.support.result_films import FILMS, changed
from tests.support.waiting import free_port

Results = dict[str, dict[str, bytes]]


@pytest.fixture(scope="module")
def results(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Kind of film -> its file under "film", and the files of its results."""
    folder = tmp_path_factory.mktemp("films")
    found: Results = {}
    for kind, make in FILMS.items():
        path = folder / "film.dcm"
        path.write_bytes(make(folder))
        finding = analyzer.analyze(read_radiograph(path))
        assert finding.status == ("refused" if kind == "refused by the gate" else "analyzed"), (kind, finding.reason)
        found[kind] = {"film": path.read_bytes(), **dicom_results(read_source(path), finding).files()}
    path.write_bytes(changed(Modality="CT"))
    refused = refusal_results(read_source(path), "its header says modality CT", "modality").files()
    return {**found, "refused by its header": {"film": path.read_bytes(), **refused}}


def test_each_film_has_its_objects(results: Results) -> None:
    counts = {kind: len(files) - 1 for kind, files in results.items()}
    refused = {"refused by the gate": 2, "refused by its header": 1}
    without_gray = {"palette": len(DICOM_FILES) - 1}  # a colour film has no grayscale presentation state
    assert counts == dict.fromkeys(FILMS, len(DICOM_FILES)) | refused | without_gray


@needs_dciodvfy
@pytest.mark.parametrize("kind", [*FILMS, "refused by its header"])
def test_the_validator_finds_no_errors(kind: str, results: Results, tmp_path: Path) -> None:
    for name, content in results[kind].items():
        assert name == "film" or not errors_of(content, tmp_path), name


def test_results_join_the_study_by_a_valid_uid_alone(results: Results) -> None:
    for kind, files in results.items():
        film = pydicom.dcmread(BytesIO(files["film"]))
        studies = {str(pydicom.dcmread(BytesIO(files[name])).StudyInstanceUID) for name in files if name != "film"}
        assert len(studies) == 1
        assert (studies == {str(film.StudyInstanceUID)}) == (kind != "no study of ours"), kind


def test_names_are_the_same_in_any_character_set(results: Results) -> None:
    names = {
        "latin-1": "M\u00fcller^J\u00f6rg",
        "utf-8": "\u0418\u0432\u0430\u043d\u043e\u0432^\u0418\u0432\u0430\u043d",
    }
    names["japanese"] = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"
    for kind, name in names.items():
        for content in list(results[kind].values())[1:]:
            assert str(pydicom.dcmread(BytesIO(content)).PatientName) == name


def test_a_frame_of_reference_is_kept_and_no_place_in_it_made_up(results: Results) -> None:
    for kind in ("frame of reference", "frame of reference and place"):
        segmentation = pydicom.dcmread(BytesIO(results[kind]["lungs.seg.dcm"]))
        assert segmentation.FrameOfReferenceUID == "1.2.826.0.1.3680043.8.498.5"
        groups = [*segmentation.SharedFunctionalGroupsSequence, *segmentation.PerFrameFunctionalGroupsSequence]
        assert all("DerivationImageSequence" in group for group in groups[1:])
        assert not any("PlanePositionSequence" in group or "PlaneOrientationSequence" in group for group in groups)


def test_segmentations_are_read_whatever_the_film_s_spacing(results: Results) -> None:
    for kind in ("spacing", "spacing at the detector", "frame of reference and place"):
        segmentation = hd.seg.segread(BytesIO(results[kind]["lungs.seg.dcm"]))
        assert "PixelMeasuresSequence" not in segmentation.SharedFunctionalGroupsSequence[0]
        assert segmentation.segment_numbers == [1, 2]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Orthanc on the loopback; call with a path, and bytes to post."""
    if shutil.which("Orthanc") is None:
        pytest.skip("needs Orthanc")
    http, folder = free_port(), str(tmp_path / "archive")
    own = {"HttpPort": http, "DicomServerEnabled": False, "StorageDirectory": folder, "IndexDirectory": folder}
    (tmp_path / "orthanc.json").write_text(json.dumps(own | {"AuthenticationEnabled": False, "Plugins": []}))

    def ask(path: str, content: bytes | None = None, method: str | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{http}{path}", content, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own archive
            said = answer.read()
        return said if path.endswith("/file") else json.loads(said)

    command = ["Orthanc", str(tmp_path / "orthanc.json")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask("/system")
                break
            except OSError:
                assert time.monotonic() < deadline, "Orthanc did not start"
                time.sleep(0.1)
        yield ask
    finally:
        server.kill()
        server.wait()


def test_an_archive_keeps_them_and_leads_from_the_report_to_the_mask(
    archive: Callable[..., Any], results: Results
) -> None:
    for kind, files in results.items():
        stored = {name: archive("/instances", content) for name, content in files.items()}
        assert {answer["Status"] for answer in stored.values()} == {"Success"}, kind
        for name, content in files.items():
            assert archive(f"/instances/{stored[name]['ID']}/file") == content, (kind, name)
            assert archive("/instances", content)["Status"] == "AlreadyStored"
        studies = {answer["ParentStudy"] for answer in stored.values()}
        # Orthanc's studies go by patient too: one whose PatientID is not valid is not the same to it.
        assert len(studies) == (2 if kind in ("overlong", "no study of ours") else 1), kind
        if "lungs.seg.dcm" in files:
            follow(archive, files)
        for study in studies:  # the films are all one film's, under the same UIDs
            archive(f"/studies/{study}", method="DELETE")


def follow(archive: Callable[..., Any], files: dict[str, bytes]) -> None:
    """From the report's "left lung" to the pixels of its mask, as a display goes: by what the archive gives out."""
    known = {}
    for name in archive("/instances"):
        content = archive(f"/instances/{name}/file")
        known[str(pydicom.dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID)] = content
    document = hd.sr.srread(BytesIO(files["report.sr.dcm"]))
    assert {str(instance) for _, _, instance, _ in document.get_evidence()} | {document.SOPInstanceUID} == set(known)
    groups = document.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["left lung", "right lung"]
    for group in groups:
        (reference,) = group[0].ContentSequence.find(pydicom.sr.codedict.codes.DCM.ReferencedSegmentationFrame)
        target = reference.ReferencedSOPSequence[0]
        segmentation = hd.seg.segread(BytesIO(known[target.ReferencedSOPInstanceUID]))
        number = int(target.ReferencedSegmentNumber)
        segment = segmentation.get_segment_description(number)
        assert (segment.tracking_id, segment.tracking_uid) == (group.tracking_identifier, group.tracking_uid)
        film = segmentation.get_source_image_uids()[0][2]
        (mask,) = segmentation.get_pixels_by_source_instance([film], segment_numbers=[number])
        area = group.get_measurements(pydicom.sr.codedict.codes.SCT.Area)[0]
        assert mask.sum() == pytest.approx(area.value, rel=0.02)
