"""The web API on a real server: the same answers as `lunglens.analyze`, archives, DICOMweb, exports, metrics."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import httpx2 as httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset

import lunglens
from lunglens.film.dicom import DICOM_FILES
from tests.serve.test_webhook import KEY, SECRET, verified
from tests.support.node_parts import small_film
from tests.support.phantom import chest, save_png
from tests.support.receiver import Receiver, receiver
from tests.support.serving import Running, analysed, server
from tests.support.waiting import wait_until

OBJECTS = len(DICOM_FILES) + 2  # of one film that was analysed, and one that was refused
MINE = {"lunglens-list": "mine-0123456789"}
CLASSES = {"SEG": pydicom.uid.SegmentationStorage, "OT": pydicom.uid.SecondaryCaptureImageStorage}
CLASSES |= {"SR": pydicom.uid.ComprehensiveSRStorage, "PR": pydicom.uid.GrayscaleSoftcopyPresentationStateStorage}


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, hook: Receiver) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("serve"), webhook=[hook.url, SECRET]) as found:
        yield found


def test_the_answer_is_that_of_the_library(client: httpx.Client, rg_folder: Path, film: bytes) -> None:
    answer = analysed(client, ("RG1_UNCR.dcm", film))
    assert answer.status_code == 200
    found = answer.json()["analyses"][0]
    expected = lunglens.analyze(rg_folder / "RG1_UNCR.dcm").to_dict()
    for name in ("covid_probability", "threshold", "decision", "lungs", "gate", "warnings", "film", "models"):
        assert found["result"][name] == expected[name], name
    assert found["sha256"] == expected["film"]["sha256"]
    assert found["pictures"] == ["thumb", "film", "lungs", "heat", "grades", "seen", "panel"]
    for name in found["pictures"]:
        picture = client.get(f"/api/analyses/{found['id']}/pictures/{name}")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")


def test_a_leg_is_refused_and_rubbish_is_named(client: httpx.Client, rg_folder: Path, film: bytes) -> None:
    leg = (rg_folder / "RG3_UNCR.dcm").read_bytes()
    answer = analysed(client, ("leg.dcm", leg), ("broken.dcm", film[:200_000]), ("notes.txt", b"hello"), ("zero", b""))
    assert answer.status_code == 200
    states = {found["label"]: (found["state"], found["reason"]) for found in answer.json()["analyses"]}
    assert states["leg.dcm"][0] == "refused"
    assert "EXTREMITY" in states["leg.dcm"][1]
    assert states["broken.dcm"][0] == "failed"
    assert {problem["label"] for problem in answer.json()["problems"]} == {"notes.txt", "zero"}
    assert analysed(client, ("notes.txt", b"hello")).status_code == 422
    only_broken = analysed(client, ("broken.dcm", film[:200_000]))
    assert only_broken.status_code == 422
    assert only_broken.json()["problems"][0]["label"] == "broken.dcm"


def test_an_archive_is_unpacked(client: httpx.Client, film: bytes, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/film.dcm", film)
        archive.writestr("../../etc/chest.png", save_png(chest(3)[0], tmp_path / "c.png").read_bytes())
        archive.writestr("__MACOSX/a/._film.dcm", b"x")
        archive.writestr("read me.txt", b"x")
    answer = analysed(client, ("films.zip", stream.getvalue())).json()
    assert [found["label"] for found in answer["analyses"]] == ["film.dcm", "chest.png"]
    assert [problem["label"] for problem in answer["problems"]] == ["read me.txt"]


def test_the_webhook_is_told_of_every_answer_and_nothing_of_the_patient(
    client: httpx.Client, hook: Receiver, film: bytes
) -> None:
    files = (("files", ("Doe^Jane.dcm", film)), ("files", ("Doe^Jane.png", film[:200_000])))
    found = client.post("/api/analyses?wait=60", files=files, headers=MINE).json()["analyses"]
    client.delete("/api/analyses", headers=MINE)
    wait_until(lambda: {one["id"] for one in found} <= {headers["webhook-id"] for headers, _ in hook.got})
    told = {headers["webhook-id"]: (headers, body) for headers, body in hook.got}
    for one in found:
        headers, body = told[one["id"]]
        data = json.loads(body)["data"]
        assert verified(headers, body, KEY)
        assert (data["id"], data["state"]) == (one["id"], one["state"])
        assert data["links"]["analysis"] == f"/api/analyses/{one['id']}"
        for secret in (b"Doe", b"CompressedSamples", b"9RG1", MINE["lunglens-list"].encode(), one["sha256"].encode()):
            assert secret not in body
    data = json.loads(told[found[0]["id"]][1])["data"]
    assert data["decision"] == found[0]["result"]["decision"]
    assert data["probabilities"] == found[0]["result"]["probabilities"]
    assert 'lunglens_notifications_total{outcome="delivered"}' in client.get("/metrics").text


def test_state_comes_without_waiting_too_and_an_analysis_can_be_deleted(client: httpx.Client, film: bytes) -> None:
    answer = client.post("/api/analyses", files={"files": ("film.dcm", film)})
    assert answer.status_code == 202
    id_ = answer.json()["analyses"][0]["id"]
    assert client.get(f"/api/analyses/{id_}").json()["state"] in ("queued", "running", "analyzed")
    assert client.get(f"/api/analyses/{id_}?wait=60").json()["state"] == "analyzed"
    assert client.delete(f"/api/analyses/{id_}").status_code == 204
    assert client.get(f"/api/analyses/{id_}").status_code == 404
    assert client.get("/api/analyses/unknown").json()["detail"].startswith("no such analysis")


def test_reports_say_the_probability_and_reckon_with_the_prevalence(client: httpx.Client, film: bytes) -> None:
    found = analysed(client, ("film.dcm", film)).json()["analyses"][0]
    said = f"{100 * found['result']['covid_probability']:.1f} %"
    page = client.get(f"/api/analyses/{found['id']}/report.html?prevalence=0.2")
    assert said in page.text
    assert "where 20 % of the patients" in page.text
    assert "script" not in page.text
    assert client.get(f"/api/analyses/{found['id']}/fhir").json()["resourceType"] == "Bundle"
    pdf = client.get(f"/api/analyses/{found['id']}/report.pdf?paper=letter")
    assert pdf.content.startswith(b"%PDF-")
    assert client.get(f"/api/analyses/{found['id']}/report.html?prevalence=0").status_code == 422
    assert client.get("/api/about").json()["languages"] == {"en": "English", "de": "Deutsch", "es": "Español"}
    page = client.get(f"/api/analyses/{found['id']}/report.html?prevalence=0.2&language=de")
    assert '<html lang="de">' in page.text and "wo 20 % der Patienten" in page.text
    assert said.replace(".", ",") in page.text and said not in page.text
    assert b"/Lang(es)" in client.get(f"/api/analyses/{found['id']}/report.pdf?language=es").content
    for unknown in ("fr", "de-DE", "", "en\n"):
        answer = client.get(f"/api/analyses/{found['id']}/report.html", params={"language": unknown})
        assert answer.status_code == 422


def test_dicom_results_of_a_dicom_film_and_of_no_other(client: httpx.Client, film: bytes, tmp_path: Path) -> None:
    png = save_png(chest(4)[0], tmp_path / "chest.png").read_bytes()
    first, second = analysed(client, ("film.dcm", film), ("chest.png", png)).json()["analyses"]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/analyses/{first['id']}/dicom.zip").content))
    study = pydicom.dcmread(io.BytesIO(film)).StudyInstanceUID
    found = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert sorted(archive.namelist()) == sorted(DICOM_FILES)
    assert {dataset.StudyInstanceUID for dataset in found} == {study}
    refused = client.get(f"/api/analyses/{second['id']}/dicom.zip")
    assert refused.status_code == 409
    assert "no DICOM" in refused.json()["detail"]


def stow_body(*parts: bytes) -> tuple[bytes, dict[str, str]]:
    head = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + part + b"\r\n" for part in parts) + b"--frontier--\r\n"
    return body, {"content-type": 'multipart/related; type="application/dicom"; boundary=frontier'}


def test_stow_rs_takes_instances_and_names_those_it_does_not(client: httpx.Client, film: bytes) -> None:
    body, headers = stow_body(film, b"not DICOM")
    answer = client.post("/studies", content=body, headers=headers)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/dicom+json"
    reference = answer.json()["00081199"]["Value"][0]
    assert reference["00081155"]["Value"] == [str(pydicom.dcmread(io.BytesIO(film)).SOPInstanceUID)]
    assert len(answer.json()["00081198"]["Value"]) == 1
    assert client.get(f"{reference['00081190']['Value'][0]}?wait=60").json()["state"] == "analyzed"
    study = str(pydicom.dcmread(io.BytesIO(film)).StudyInstanceUID)
    body, headers = stow_body(film)
    assert client.post(f"/studies/{study}", content=body, headers=headers).status_code == 200
    assert client.post("/studies/1.2.3", content=body, headers=headers).status_code == 409
    assert client.post("/studies", content=b"x", headers=headers).status_code == 400
    assert client.post("/studies", content=b"x", headers={"content-type": "image/png"}).status_code == 415


def test_health_metrics_and_the_openapi_document(client: httpx.Client) -> None:
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    metrics = client.get("/metrics").text
    assert 'lunglens_analyses_total{status="analyzed"}' in metrics
    assert "lunglens_analysis_seconds_bucket" in metrics
    document = client.get("/api/openapi.json").json()
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    page = client.get("/api/docs").text
    assert all(f" {path}</code>" in page for path in document["paths"])
    assert "<script" not in page
    assert {"/api/analyses", "/api/analyses/{id_}", "/studies"} <= set(document["paths"])
    assert document["components"]["schemas"]["AnalysisModel"]["example"]
    for path, methods in document["paths"].items():  # a path's parts are parameters of it, and of no other
        named = {one["name"] for one in next(iter(methods.values())).get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        queries = {one["name"] for method in methods.values() for one in method.get("parameters", [])} - named
        assert not queries & {"study", "series", "instance", "id_"}
    about = client.get("/api/about").json()
    assert "Not a medical device" in about["notice"]
    assert about["cards"]["classifier"].startswith("# covid-")


def test_nothing_of_the_patient_or_the_file_is_in_the_log(client: httpx.Client, running: Running, film: bytes) -> None:
    analysed(client, ("Doe^Jane 1940.dcm", film))
    assert "/api/analyses" in running.log
    for secret in ("Doe", "Jane", "CompressedSamples", "9RG1", "1.3.6.1.4.1.5962"):
        assert secret not in running.log


def test_every_answer_is_json_that_names_the_error(client: httpx.Client) -> None:
    for answer in (client.post("/api/analyses"), client.get("/nowhere"), client.get("/api/analyses/x?wait=1000")):
        assert answer.status_code in (404, 422)
        assert json.loads(answer.text)["detail"]


@pytest.fixture(scope="module")
def films(rg_folder: Path) -> list[Dataset]:
    """A chest and a leg, which the gate refuses, of one study."""
    chest, leg = (small_film(rg_folder / name) for name in ("RG1_UNCR.dcm", "RG3_UNCR.dcm"))
    chest.StudyInstanceUID = leg.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.77"
    chest.PatientName = leg.PatientName = "Röntgen^Wilhelm"
    chest.SpecificCharacterSet = leg.SpecificCharacterSet = "ISO_IR 192"
    return [chest, leg]


@pytest.fixture(scope="module")
def sent(running: Running, films: list[Dataset]) -> DICOMwebClient:
    """A client whose films are answered."""
    client = DICOMwebClient(running.url, headers=MINE)
    stored = client.store_instances(films)
    for item in stored.ReferencedSOPSequence:
        assert httpx.get(f"{item.RetrieveURL}?wait=60", timeout=90).json()["state"] in ("analyzed", "refused")
    return client


def test_the_reference_client_finds_and_retrieves_all_results(sent: DICOMwebClient, films: list[Dataset]) -> None:
    [found] = sent.search_for_studies(search_filters={"PatientName": "röntgen*", "ModalitiesInStudy": "SEG"})
    study = Dataset.from_json(found)
    assert (study.StudyInstanceUID, study.PatientName) == (films[0].StudyInstanceUID, "Röntgen^Wilhelm")
    assert study.NumberOfStudyRelatedInstances == study.NumberOfStudyRelatedSeries == OBJECTS
    uid = study.StudyInstanceUID
    instances = [Dataset.from_json(one) for one in sent.search_for_instances(uid)]
    assert sorted(one.Modality for one in instances) == ["OT", "OT", "OT", "PR", "SEG", "SEG", "SR", "SR"]
    assert sorted({one.Modality for one in instances}) == list(study.ModalitiesInStudy)
    assert len(sent.search_for_series(uid)) == len({one.SeriesInstanceUID for one in instances}) == OBJECTS
    assert len(sent.search_for_series(uid, search_filters={"Modality": "SEG"})) == 2
    retrieved = {dataset.SOPInstanceUID: dataset for dataset in sent.retrieve_study(uid)}
    assert retrieved.keys() == {one.SOPInstanceUID for one in instances}
    for one in instances:
        assert one.SOPClassUID == CLASSES[one.Modality]
        where = (uid, one.SeriesInstanceUID, one.SOPInstanceUID)
        asked = {"SOPInstanceUID": one.SOPInstanceUID, "SOPClassUID": one.SOPClassUID}
        assert len(sent.search_for_instances(*where[:2], search_filters=asked)) == 1
        dataset = retrieved[one.SOPInstanceUID]
        described = sent.retrieve_instance_metadata(*where)
        assert "7FE00010" not in described
        syntax = described.pop("00083002")["Value"]
        assert syntax == [dataset.file_meta.TransferSyntaxUID]
        without = Dataset({tag: element for tag, element in dataset.items() if element.tag != 0x7FE00010})
        assert json.dumps(without.to_json_dict(), sort_keys=True) == json.dumps(described, sort_keys=True)
    one = next(one for one in instances if one.Modality == "SEG")
    [alone] = sent.retrieve_series(uid, one.SeriesInstanceUID)
    assert alone.PixelData == retrieved[one.SOPInstanceUID].PixelData
    assert alone == sent.retrieve_instance(uid, one.SeriesInstanceUID, one.SOPInstanceUID)
    assert len(sent.retrieve_study_metadata(uid)) == OBJECTS
    assert len(sent.retrieve_series_metadata(uid, one.SeriesInstanceUID)) == 1


def test_the_panel_can_be_had_as_a_picture_and_a_file_alone(
    running: Running, sent: DICOMwebClient, films: list[Dataset]
) -> None:
    uid = films[0].StudyInstanceUID
    with httpx.Client(base_url=running.url, headers=MINE) as client:  # the reference client leaves the port out of Host
        panel, report = (
            Dataset.from_json(client.get(f"/studies/{uid}/instances?Modality={modality}").json()[0])
            for modality in ("OT", "SR")
        )
    for kind, format_ in (("image/jpeg", "JPEG"), ("image/png", "PNG"), ("*/*", "JPEG")):
        answer = httpx.get(f"{panel.RetrieveURL}/rendered", headers=MINE | {"accept": kind})
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, picture.size) == (format_, (panel.Columns, panel.Rows))
    assert httpx.get(f"{report.RetrieveURL}/rendered", headers=MINE).status_code == 406
    alone = httpx.get(report.RetrieveURL, headers=MINE | {"accept": "application/dicom"})
    assert alone.headers["content-type"] == "application/dicom"
    many = httpx.get(report.RetrieveURL, headers=MINE)
    head = f"content-type: {many.headers['content-type']}\r\n\r\n".encode()
    [part] = BytesParser().parsebytes(head + many.content).get_payload()  # type: ignore[misc]
    assert part.get_content_type() == "application/dicom"  # type: ignore[union-attr]
    assert alone.content in many.content
    assert pydicom.dcmread(io.BytesIO(alone.content)).SOPInstanceUID == report.SOPInstanceUID


def test_who_does_not_know_the_list_finds_nothing_and_what_is_deleted_is_gone(
    running: Running, sent: DICOMwebClient, films: list[Dataset]
) -> None:
    uid = films[0].StudyInstanceUID
    one = Dataset.from_json(sent.search_for_instances(uid)[0])
    path = f"/studies/{uid}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"
    with httpx.Client(base_url=running.url, timeout=90) as client:
        for other in ({}, {"lunglens-list": "theirs-0123456789"}):
            assert client.get(f"/studies?StudyInstanceUID={uid}", headers=other).status_code == 204
            assert client.get(f"/studies/{uid}/series", headers=other).status_code == 204
            for resource in (path, f"{path}/metadata", f"{path}/rendered", f"/studies/{uid}"):
                assert client.get(resource, headers=other).status_code == 404
        for resource, code in (
            (f"/studies/{uid}/series/1.2.3", 404),
            ("/studies/1.2.3/metadata", 404),
            ("/studies?PatientComments=x", 400),
            ("/studies?Modality=SEG", 400),
            ("/studies?limit=0", 422),
            ("/studies?StudyDate=18951108", 204),
            ("/studies?offset=1", 204),
            (f"/studies?StudyInstanceUID=1.2.3,{uid}&includefield=all&00100010=*", 200),
        ):
            assert client.get(resource, headers=MINE).status_code == code, resource
        assert "fuzzymatching" in client.get("/studies?fuzzymatching=true", headers=MINE).headers["warning"]
        for resource, accept in (("/studies", "text/html"), (f"/studies/{uid}/metadata", "application/dicom+xml")):
            answer = client.get(resource, headers=MINE | {"accept": accept})
            assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
        pages = [client.get(f"/studies/{uid}/instances?limit=4&offset={at}", headers=MINE).json() for at in (0, 4)]
        assert [len(page) for page in pages] == [4, OBJECTS - 4]
        assert uid not in running.log
        assert client.delete("/api/analyses", headers=MINE).status_code == 204
        assert client.get("/studies", headers=MINE).status_code == 204
        assert client.get(path, headers=MINE).status_code == 404
