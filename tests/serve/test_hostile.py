"""The server among the unfriendly: who may ask, what may be sent, how slowly, and that it stands afterwards."""

import contextlib
import io
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pydicom
import pytest

from lunglens.errors import ConfigurationError
from lunglens.serve.middleware import _loggable
from lunglens.serve.settings import ServeSettings, read_token
from lunglens.serve.uploads import label_of
from tests.support.hostile import hostile
from tests.support.serving import Running, server

TOKEN = "a token of more than sixteen letters".replace(" ", "-")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"most_request_bytes": 20_000_000, "upload_s": 2, "header_s": 1, "most_films": 50}
    with server(tmp_path_factory.mktemp("hostile"), **limits) as found:
        yield found


def memory_mb(running: Running) -> float:
    """Resident memory of the server and its workers."""
    total, waiting = 0.0, [running.process.pid]
    while waiting:
        pid = waiting.pop()
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.split("VmRSS:")[1].split()[0]) / 1024
        waiting += [int(c) for task in Path(f"/proc/{pid}/task").glob("*/children") for c in task.read_text().split()]
    return total


def test_hostile_uploads_are_answered_with_4xx_and_the_next_film_with_200(
    client: httpx.Client, running: Running, film: bytes
) -> None:
    for number in range(120):
        files = [("files", (name, content)) for name, content in hostile(number, film)]
        answer = client.post("/api/analyses?wait=60", files=files)
        assert 400 <= answer.status_code < 500, (number, answer.status_code, answer.text)
        assert answer.json()["detail"]
    assert client.post("/api/analyses?wait=60", files={"files": ("film.dcm", film)}).status_code == 200
    assert len(running.kept()) <= 120  # what was no film is not kept
    assert "Traceback" not in running.log


def raw(running: Running, request: bytes, wait: float = 10) -> bytes:
    """What comes back for these bytes, until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=wait) as connection:
        found = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                found += chunk
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        return found


POST = b"POST /api/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"


def test_lengths_that_lie_or_are_too_large(running: Running) -> None:
    assert b" 413 " in raw(running, POST + b"Content-Length: 99999999999\r\n\r\n")
    assert b" 4" in raw(running, POST + b"Content-Length: -5\r\n\r\n").split(b"\r\n")[0]
    assert b" 4" in raw(running, POST + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nabcde").split(b"\r\n")[0]
    # Longer than what comes: given up after the time for a body.
    started = time.monotonic()
    assert b" 408 " in raw(running, POST + b"Content-Length: 1000\r\n\r\n--x\r\n")
    assert time.monotonic() - started < 8
    # Chunks without end: stopped at the limit.
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    chunks = b"%x\r\n%s\r\n" % (len(head), head) + (b"100000\r\n" + bytes(0x100000) + b"\r\n") * 24
    before = running.log.count("POST /api/analyses 413")
    raw(running, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)  # the answer may be lost in what is still sent
    assert running.log.count("POST /api/analyses 413") == before + 1


def test_slow_and_huge_headers_are_not_waited_for(running: Running) -> None:
    started = time.monotonic()
    assert raw(running, b"GET / HTTP/1.1\r\nHost: local") == b""
    assert raw(running, b"") == b""
    assert time.monotonic() - started < 8
    assert b" 4" in raw(running, b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n").split(b"\r\n")[0]
    assert raw(running, b"\x16\x03\x01 not HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_slow_second_request_is_not_waited_for_either(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += connection.recv(65536)
        connection.sendall(b"GET /healthz HT")
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(65536) == b""
        assert time.monotonic() - started < 8


def test_stow_bodies_that_are_none(client: httpx.Client) -> None:
    kind = {"content-type": 'multipart/related; type="application/dicom"; boundary=x'}
    bodies = (b"", b"--x", b"--x--", b"--x\r\n\r\n", b"--x\r\nA" + b"a" * 70_000, b"--y\r\n\r\nz\r\n--y--", bytes(1000))
    for body in bodies:
        assert client.post("/studies", content=body, headers=kind).status_code in (400, 409)
    for wrong in ("multipart/related", "multipart/related; boundary=", "multipart/related; boundary=x; type=text/xml"):
        assert client.post("/studies", content=b"--x--", headers={"content-type": wrong}).status_code == 400
    parts = b"".join(b"--x\r\n\r\nz\r\n" for _ in range(2000)) + b"--x--\r\n"
    assert client.post("/studies", content=parts, headers=kind).status_code == 400


def test_a_stow_body_without_its_end_or_with_a_boundary_without_end_is_refused(
    client: httpx.Client, film: bytes
) -> None:
    part = b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n" + film
    kind = 'multipart/related; type="application/dicom"; boundary='
    for body, boundary in (
        (part, "x"),
        (part + part + b"\r\n--", "x"),
        (part + part + b"\r\n--x\r\n", "x"),
        (b"", "x" * 300),
    ):
        answer = client.post("/studies", content=body, headers={"content-type": kind + boundary})
        assert (answer.status_code, bool(answer.json()["detail"])) == (400, True)
    assert client.post("/studies", content=part + b"\r\n--x--", headers={"content-type": kind + "x"}).status_code == 200


def test_a_deflated_part_is_not_inflated_in_the_server(client: httpx.Client, running: Running, film: bytes) -> None:
    dataset = pydicom.dcmread(io.BytesIO(film))
    dataset.PixelData = bytes(2 * 50_000_000)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset)
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + stream.getvalue() + b"\r\n--x--\r\n"
    before = memory_mb(running)
    kind = {"content-type": 'multipart/related; type="application/dicom"; boundary=x'}
    assert client.post("/studies", content=body, headers=kind).status_code == 409
    assert memory_mb(running) < before + 50


def test_archives_whose_list_is_too_long_are_not_read(client: httpx.Client) -> None:
    def with_end(entries: int, length: int) -> bytes:
        return (
            b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, entries, entries, length, 0, 0)
        )

    for content in (with_end(60_000, 3_000_000), with_end(5, 5_000_000), with_end(0xFFFF, 0xFFFFFFFF), b"PK\x03\x04"):
        answer = client.post("/api/analyses", files={"files": ("films.zip", content)})
        assert answer.status_code == 422
        assert len(answer.json()["problems"]) == 1


def test_other_hosts_names_and_other_sites_pages_are_turned_away(client: httpx.Client) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1].evil"):
        assert client.get("/api/about", headers={"host": host}).status_code in (400, 403), host
    for host in ("localhost", "127.0.0.1:8000", "[::1]", "[::1]:8000"):
        assert client.get("/api/about", headers={"host": host}).status_code == 200, host
    assert client.get("/api/about", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/about", headers={"origin": str(client.base_url).rstrip("/")}).status_code == 200
    answer = client.options("/api/analyses", headers={"access-control-request-method": "POST"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_has_the_headers_that_fence_it_in(client: httpx.Client) -> None:
    for path in ("/", "/static/app.js", "/api/about", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_static_files_are_those_and_no_others(client: httpx.Client) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/page.html"):
        assert client.get(path).status_code in (404, 405)
    page = client.get("/").text
    assert "http://" not in page
    assert "https://" not in page


def test_with_a_token_nobody_else_is_answered(tmp_path: Path, film: bytes) -> None:
    with server(tmp_path, token=TOKEN) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        for path in ("/api/about", "/metrics", "/api/openapi.json", "/api/analyses/x"):
            assert client.get(path).status_code == 401
        assert client.post("/api/analyses", files={"files": ("film.dcm", film)}).status_code == 401
        assert client.get("/api/about", headers={"authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
        assert client.get("/api/about", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/").status_code == client.get("/healthz").status_code == 200
        assert TOKEN not in running.log


def test_it_does_not_stand_open_to_others() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):  # noqa: S104 - that is what is refused
        with pytest.raises(ConfigurationError, match="--token-file"):
            ServeSettings(host=host).check()
        ServeSettings(host=host, token=TOKEN).check()
    for host in ("127.0.0.1", "::1", "localhost"):
        ServeSettings(host=host).check()
    command = [sys.executable, "-m", "lunglens", "serve", "--host", "0.0.0.0"]  # noqa: S104
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "--token-file" in done.stderr) == (2, True)


def test_the_token_s_file_is_private_and_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    path.write_text("short")
    with pytest.raises(ConfigurationError, match="16"):
        read_token(path)
    with pytest.raises(ConfigurationError, match="no readable token"):
        read_token(tmp_path / "absent")


def test_labels_are_the_last_part_of_a_name_and_log_paths_hold_no_numbers_of_studies() -> None:
    assert label_of("../../etc/passwd") == "passwd"
    assert label_of("C:\\films\\a.dcm") == "a.dcm"
    assert label_of("a\r\nb") == "a??b"
    assert label_of("///") == "film"
    assert len(label_of("x" * 5000)) == 80
    assert _loggable("/studies/1.2.3") == "/studies/(...)"
    assert (
        _loggable("/api/analyses/mGqQJ1kz0yVbO8sT2nE4xw/report.pdf")
        == "/api/analyses/mGqQJ1kz0yVbO8sT2nE4xw/report.pdf"
    )
    assert _loggable("/api/analyses/Doe^Jane") == "/api/analyses/(...)"


def test_the_api_keeps_to_its_document(running: Running, tmp_path: Path) -> None:
    """Schemathesis sends what the OpenAPI document allows and what it does not: no answer may be a 5xx."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/api/openapi.json"]
    command += ["--checks", "not_a_server_error", "--max-examples", "15", "--seed", "1", "--no-color"]
    # It cannot write multipart/related bodies; those of DICOMweb are tested beside.
    command += ["--request-timeout", "20", "--exclude-name-regex", "^POST /studies"]
    environment = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert json.loads(httpx.get(f"{running.url}/api/about").text)
