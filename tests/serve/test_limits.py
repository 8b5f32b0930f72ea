"""What the server may cost: bytes in flight, slow readers, a process's memory."""

import contextlib
import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from lunglens.serve.settings import MIB
from tests.serve.test_hostile import memory_mb
from tests.support.dicom_files import dataset_of, encoded
from tests.support.node_parts import small_film
from tests.support.serving import Running, server
from tests.support.waiting import wait_until

STOW = b'POST /studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/related; type="application/dicom"; '
STOW += b"boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n9999999\r\n--x\r\nContent-Type: application/dicom\r\n\r\n"
FORM = b"POST /api/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
FORM += b"Transfer-Encoding: chunked\r\n\r\n9999999\r\n--x\r\n"
FORM += b'Content-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n'
CAP = 100 * MIB


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"most_bytes_in_flight": CAP, "upload_s": 30, "answer_s": 2, "worker_memory_bytes": 512 * MIB}
    with server(tmp_path_factory.mktemp("limits"), **limits) as found:
        yield found


def unfinished(running: Running, head: bytes, size: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    connection.sendall(head + bytes(size))
    return connection


@pytest.mark.parametrize("head", [STOW, FORM], ids=["DICOMweb", "form"])
def test_unfinished_uploads_are_held_on_disk_and_all_together_are_capped(running: Running, head: bytes) -> None:
    before = memory_mb(running)
    held = [unfinished(running, head, 30 * MIB) for _ in range(3)]
    try:
        last = unfinished(running, head, 0)
        with contextlib.suppress(OSError):  # it is answered while it is sent
            last.sendall(bytes(30 * MIB))
        answer = last.recv(65536)
        last.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 10" in answer.lower()
        assert memory_mb(running) < before + 40
        # Refused by what it says of itself, before any of it has come.
        declared = head.split(b"Transfer")[0] + b"Content-Length: %d\r\n\r\n" % (50 * MIB)
        with unfinished(running, declared, 0) as connection:
            assert b"too much is being sent at a time" in b"".join(iter(lambda: connection.recv(65536), b""))
    finally:
        for connection in held:
            connection.close()
    # What has gone is counted no more.
    wait_until(lambda: _is_taken(running, head, 60 * MIB), 20)


def _is_taken(running: Running, head: bytes, size: int) -> bool:
    with unfinished(running, head, 0) as connection:
        try:
            connection.sendall(bytes(size))
            connection.settimeout(1)
            return not connection.recv(1000)
        except TimeoutError:
            return True  # it waits for the rest
        except OSError:
            return False


def test_fields_that_are_no_files_are_few_and_short(running: Running) -> None:
    with httpx.Client(base_url=running.url) as client:
        for fields in ({"a": "x" * 100_000}, {str(number): "x" for number in range(50)}):
            assert client.post("/api/analyses", data=fields, files={"files": ("a", b"x")}).status_code == 400


@pytest.fixture(scope="module")
def picture(running: Running) -> tuple[str, int]:
    """A picture larger than what a connection's buffers hold, and its size."""
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (1800, 1800), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    with httpx.Client(base_url=running.url, timeout=60) as client:
        answer = client.post("/api/analyses?wait=60", files={"files": ("film.png", stream.getvalue())}).json()
        path = f"/api/analyses/{answer['analyses'][0]['id']}/pictures/film"
        return path, len(client.get(path).content)


def ask(running: Running, path: str, times: int, buffer: int = 4096) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect(("127.0.0.1", running.port))
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode() * times)
    return connection


def test_who_does_not_read_the_answer_is_left(running: Running, picture: tuple[str, int]) -> None:
    """Nothing of a large answer, or of many small ones; a reader that is slow but steady gets all of it."""
    path, size = picture
    slow = [ask(running, path, 3) for _ in range(10)] + [ask(running, "/api/openapi.json", 500) for _ in range(3)]
    with ask(running, path, 1, 1_000_000) as steady:
        got, started = 0, time.monotonic()
        while got < size:
            part = steady.recv(100_000)
            assert part
            got += len(part)
            if time.monotonic() - started < 4:
                time.sleep(0.1)
    wait_until(lambda: connections(running) == 0, 20)
    for connection in slow:
        connection.close()


def connections(running: Running) -> int:
    """Established ones, as the server sees them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{running.port:04X}") and line[3] == "01" for line in lines)


def test_a_film_that_needs_too_much_memory_fails_alone(running: Running, rg_folder: Path) -> None:
    large = encoded(dataset_of(np.random.default_rng(1).integers(0, 4095, (5000, 5000), dtype=np.uint16)))
    with httpx.Client(base_url=running.url, timeout=90) as client:
        answer = client.post("/api/analyses?wait=60", files={"files": ("large.dcm", large)})
        assert (answer.status_code, answer.json()["detail"]) == (422, "none of the films could be read")
        film = encoded(small_film(rg_folder / "RG1_UNCR.dcm"))
        answer = client.post("/api/analyses?wait=60", files={"files": ("film.dcm", film)})
        assert answer.status_code == 200, answer.text
        assert answer.json()["analyses"][0]["state"] == "analyzed"
