"""The web API on a real server: the same answers as `lunglens.analyze`, archives, DICOMweb, exports, metrics."""

import io
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pydicom
import pytest

import lunglens
from lunglens.film.dicom import DICOM_FILES
from tests.support.phantom import chest, save_png
from tests.support.serving import Running, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("serve")) as found:
        yield found


def analysed(client: httpx.Client, *files: tuple[str, bytes]) -> httpx.Response:
    return client.post("/api/analyses?wait=60", files=[("files", file) for file in files])


def test_the_answer_is_that_of_the_library(client: httpx.Client, rg_folder: Path, film: bytes) -> None:
    answer = analysed(client, ("RG1_UNCR.dcm", film))
    assert answer.status_code == 200
    found = answer.json()["analyses"][0]
    expected = lunglens.analyze(rg_folder / "RG1_UNCR.dcm").to_dict()
    for name in ("covid_probability", "threshold", "decision", "lungs", "gate", "warnings", "film", "models"):
        assert found["result"][name] == expected[name], name
    assert found["sha256"] == expected["film"]["sha256"]
    assert found["pictures"] == ["film", "lungs", "heat", "grades", "seen", "panel"]
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
    about = client.get("/api/about").json()
    assert "Not a medical device" in about["notice"]
    assert about["cards"]["classifier"].startswith("# covid-")


def test_nothing_of_the_patient_or_the_file_is_in_the_log(client: httpx.Client, running: Running, film: bytes) -> None:
    analysed(client, ("Doe^Jane 1940.dcm", film))
    assert "/api/analyses" in running.log
    for secret in ("Doe", "Jane", "CompressedSamples", "9RG1", "1.3.6.1.4.1.5962"):
        assert secret not in running.log


def test_a_dead_worker_is_replaced_and_the_next_film_is_answered(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        tasks = Path(f"/proc/{running.process.pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        workers = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(workers[0], signal.SIGKILL)
        first = client.post("/api/analyses", files={"files": ("film.dcm", film)}).json()["analyses"][0]
        answer = client.get(f"/api/analyses/{first['id']}?wait=60").json()
        assert (answer["state"], "ended the process" in answer["reason"]) == ("failed", True)
        assert analysed(client, ("film.dcm", film)).json()["analyses"][0]["state"] == "analyzed"
        assert "lunglens_worker_restarts 1.0" in client.get("/metrics").text


def test_a_film_that_takes_too_long_is_given_up(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, film_s=0.001) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        answer = analysed(client, ("film.dcm", film))
        assert answer.status_code == 422
        assert "took more than" in answer.json()["problems"][0]["reason"]


def test_results_are_forgotten_and_nothing_stays_on_disk(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, keep_s=1) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        folder = next(running.scratch.iterdir())
        assert folder.stat().st_mode & 0o777 == 0o700
        found = analysed(client, ("film.dcm", film)).json()["analyses"][0]
        deadline = time.monotonic() + 30
        while client.get(f"/api/analyses/{found['id']}").status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not running.kept()
        running.stop()
        assert not list(running.scratch.iterdir())


def test_a_stop_answers_those_who_wait_and_a_kill_leaves_nothing_after_the_next_start(
    tmp_path: Path, film: bytes
) -> None:
    with server(tmp_path) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: answers.append(post(running, film))) for _ in range(5)]
        for thread in threads:
            thread.start()
        while kept(client) < 5:
            time.sleep(0.02)
        assert running.stop() == 0
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 5
        assert not list(running.scratch.iterdir())
    with server(tmp_path) as running:
        running.stop(signal.SIGKILL)
        left = list(running.scratch.iterdir())
        assert left
    with server(tmp_path) as running:
        assert left[0] not in list(running.scratch.iterdir())


def post(running: Running, film: bytes) -> httpx.Response:
    with httpx.Client(base_url=running.url, timeout=90) as client:
        return analysed(client, ("film.dcm", film))


def kept(client: httpx.Client) -> float:
    line = next(line for line in client.get("/metrics").text.splitlines() if line.startswith("lunglens_kept "))
    return float(line.split()[1])


def test_a_full_queue_says_when_to_come_back(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, most_queued=2) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        two = [("files", (f"{number}.dcm", film)) for number in range(2)]
        taken = sum(client.post("/api/analyses", files=two).status_code == 202 for _ in range(2))
        answer = client.post("/api/analyses", files=two)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert len(running.kept()) == 2 * taken  # those that were turned away are not kept
        assert client.post("/api/analyses", files=[("files", ("a.dcm", film))] * 3).status_code == 413  # never fits
        deadline = time.monotonic() + 60
        while analysed(client, ("film.dcm", film)).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_what_is_deleted_stays_deleted_whatever_is_at_work_on_it(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        found = analysed(client, ("film.dcm", film)).json()["analyses"][0]
        exports = threading.Thread(target=lambda: httpx.get(f"{running.url}/api/analyses/{found['id']}/dicom.zip"))
        exports.start()
        time.sleep(0.3)
        assert client.delete(f"/api/analyses/{found['id']}").status_code == 204
        exports.join()
        queued = client.post("/api/analyses", files=[("files", ("film.dcm", film))] * 4).json()["analyses"]
        assert client.delete(f"/api/analyses/{queued[-1]['id']}").status_code == 204
        assert len(running.kept()) == 3  # the upload itself has gone at once
        for analysis in queued[:-1]:
            client.get(f"/api/analyses/{analysis['id']}?wait=60")
            client.delete(f"/api/analyses/{analysis['id']}")
        assert running.kept() == []


def test_a_stop_that_cannot_wait_leaves_nothing_either(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, stop_s=0) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        client.post("/api/analyses", files=[("files", ("film.dcm", film))] * 40)
        running.stop()
        assert not list(running.scratch.iterdir())


def test_every_answer_is_json_that_names_the_error(client: httpx.Client) -> None:
    for answer in (client.post("/api/analyses"), client.get("/nowhere"), client.get("/api/analyses/x?wait=1000")):
        assert answer.status_code in (404, 422)
        assert json.loads(answer.text)["detail"]
