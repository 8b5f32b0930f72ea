"""Nothing is sent anywhere: no socket to another machine is opened, and nothing that would report is switched on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from lunglens.film.model_package.session import devices
from tests.support.serving import server

strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
ELSEWHERE = re.compile(r"sa_family=AF_INET6?.*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?!127\.|::1\")")
TRACE = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"]


def connections(trace: Path) -> list[str]:
    return [line for line in trace.read_text().splitlines() if ELSEWHERE.search(line)]


def test_the_pattern_knows_a_foreign_address_from_our_own(tmp_path: Path) -> None:
    lines = [
        'connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("13.89.179.8")}, 16) = 0',
        'connect(3, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2603::1", &sin6_addr)}, 28) = 0',
        'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        'connect(3, {sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0',
        'connect(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = -1',
    ]
    (tmp_path / "trace").write_text("\n".join(lines))
    assert connections(tmp_path / "trace") == lines[:2]


@strace
@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_an_analysis_opens_no_connection(device: str, rg_folder: Path, tmp_path: Path) -> None:
    if device not in devices():
        pytest.skip(f"{device} is not installed")
    film, out = rg_folder / "RG1_UNCR.dcm", tmp_path / "o"
    command = [sys.executable, "-m", "lunglens", "analyze", str(film), "--out", str(out), "--device", device]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    environment |= {"TMPDIR": str(scratch), "HOME": str(scratch)}
    traced = [*TRACE, str(tmp_path / "trace"), *command]
    done = subprocess.run(traced, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not connections(tmp_path / "trace")
    assert not list(scratch.iterdir())  # the session file of a reporter


@strace
def test_the_server_opens_no_connection(rg_folder: Path, tmp_path: Path) -> None:
    with server(tmp_path) as running:
        attach = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(tmp_path / "trace"), "-p"]
        tracer = subprocess.Popen([*attach, str(running.process.pid)], stderr=subprocess.PIPE)
        film = (rg_folder / "RG1_UNCR.dcm").read_bytes()
        with httpx.Client(base_url=running.url, timeout=90) as client:
            answer = client.post("/api/analyses?wait=60", files={"files": ("film.dcm", film)})
            assert answer.status_code == 200
            id_ = answer.json()["analyses"][0]["id"]
            for name in ("report.html", "report.pdf", "dicom.zip"):
                assert client.get(f"/api/analyses/{id_}/{name}").status_code == 200
        running.stop()
        tracer.wait(30)
    assert not connections(tmp_path / "trace")


def test_the_reporter_in_onnxruntime_is_off() -> None:
    program = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from lunglens.film.model_package.package import load_package, shipped_models, golden_input\n"
        "package = load_package(shipped_models() / 'lungs'); package.run(golden_input(package.input_size))\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
