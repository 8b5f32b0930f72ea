"""Nothing that lies in the folder where LungLens is started is run."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.waiting import free_port

PROGRAM = Path(sysconfig.get_path("scripts")) / "lunglens"
TRAPS = ["numpy", "lunglens", "json", "pydicom", "multiprocessing", "PIL", "site", "sitecustomize", "usercustomize"]
TRAPS += ["scipy", "typing", "pickle", "gdcm", "jpeg_ls", "_jpeg_ls", "onnxruntime", "pydantic", "highdicom", "struct"]
TRAPS += ["uvicorn", "fastapi", "pynetdicom", "socket", "encodings", "subprocess", "rich", "typer", "filelock"]


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder of modules that leave their names in `run.txt` when they are imported."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in TRAPS:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'run.txt')!r}, 'a').write('{name} ')\n")
    (folder / "package" / "numpy").mkdir(parents=True)
    return folder


def environment(**more: str) -> dict[str, str]:
    """Ours, without what a developer may have set to be safe from just this."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONSAFEPATH"} | more


def was_run(folder: Path) -> str:
    log = folder.parent / "run.txt"
    return log.read_text() if log.exists() else ""


def test_the_traps_work(trapped: Path) -> None:
    subprocess.run([sys.executable, "-c", "import numpy"], cwd=trapped, env=environment(), check=True)
    assert was_run(trapped) == "numpy "


@pytest.mark.parametrize("verb", ["analyze", "segment"])
@pytest.mark.parametrize("kind", ["UNCR", "J2KR"])
def test_analysing_runs_nothing_of_the_current_folder(verb: str, kind: str, trapped: Path, rg_folder: Path) -> None:
    film = rg_folder / f"RG1_{kind}.dcm"
    command = [PROGRAM, verb, film, "--out", "out"]
    done = subprocess.run(command, cwd=trapped, env=environment(), capture_output=True, text=True, check=False)
    assert was_run(trapped) == ""
    assert done.returncode == 0, done.stderr


def test_as_a_module_it_runs_no_library_of_the_current_folder(trapped: Path, rg_folder: Path) -> None:
    """Python itself looks for `lunglens`, and for what it needs to find it, in the current folder first."""
    for name in ("lunglens", "typing"):
        (trapped / f"{name}.py").unlink()
    command = [sys.executable, "-m", "lunglens", "segment", rg_folder / "RG1_J2KR.dcm", "--out", "out"]
    done = subprocess.run(command, cwd=trapped, env=environment(), capture_output=True, text=True, check=False)
    assert was_run(trapped) == ""
    assert done.returncode == 0, done.stderr


def test_processes_that_multiprocessing_starts_run_nothing_of_it(trapped: Path) -> None:
    pytest.importorskip("fastapi")
    port = free_port()
    server = subprocess.Popen(
        [PROGRAM, "serve", "--port", str(port)],
        cwd=trapped,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the server has not become ready")
        assert was_run(trapped) == ""
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
