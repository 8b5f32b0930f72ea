"""How long the server, its processes and what it holds live: kills, stops, deletions, a full queue."""

import io
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
from PIL import Image

from tests.support.serving import Running, analysed, server


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
        with ThreadPoolExecutor(8) as senders:  # at once: one after the other, films may be answered meanwhile
            answers = list(senders.map(lambda _: client.post("/api/analyses", files=two), range(8)))
        turned_away = [answer for answer in answers if answer.status_code == 503]
        assert turned_away
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in turned_away)
        assert len(running.kept()) == 2 * (len(answers) - len(turned_away))  # those that were turned away are not kept
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


def test_pictures_that_many_ask_for_at_once_are_all_there(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, workers=2) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        for number in range(3):
            found = analysed(client, ("film.dcm", film + bytes(number))).json()["analyses"][0]
            paths = [f"/api/analyses/{found['id']}/pictures/{name}" for name in found["pictures"]] * 2
            with ThreadPoolExecutor(len(paths)) as pool:
                answers = list(pool.map(lambda path: httpx.get(running.url + path, timeout=90), paths))
            assert {answer.status_code for answer in answers} == {200}
            for answer in answers:
                Image.open(io.BytesIO(answer.content)).load()
