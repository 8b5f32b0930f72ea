"""What a kill leaves: of the server no process, of the node no process and all of its work."""

import os
import signal
from pathlib import Path

import httpx2 as httpx
import pytest

from lunglens.film.dicom import DICOM_FILES
from lunglens.serve.settings import MIB, WorkerSettings
from lunglens.serve.task import Task
from lunglens.serve.worker_handle import AnalysingProcess
from tests.support.node_kills import killed_node, processes_of
from tests.support.node_parts import small_film
from tests.support.serving import server
from tests.support.waiting import wait_until


def test_a_process_that_is_replaced_leaves_none_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what it has started itself: here in place of a decoder, a program that would sleep."""
    monkeypatch.setenv("SERVER_MARK_A", "1")
    (tmp_path / "sitecustomize.py").write_text(
        "import subprocess, sys, time\n"
        "import lunglens.serve.worker as worker\n"
        "def slow(*_):\n"
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "    time.sleep(600)\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv): worker.answered = slow\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    process = AnalysingProcess(WorkerSettings(film_s=3, worker_memory_bytes=1024 * MIB))
    assert process.begin()
    usual = len(processes_of("SERVER_MARK_A"))
    answer = process.do(Task("analyse", tmp_path))
    assert (answer.status, answer.ended) == ("failed", "time")
    assert process.restarts == 1
    wait_until(lambda: len(processes_of("SERVER_MARK_A")) == usual, 5)
    process.end()
    wait_until(lambda: len(processes_of("SERVER_MARK_A")) <= 1, 5)  # multiprocessing's own, which counts resources


def test_a_killed_server_leaves_no_process(tmp_path: Path, rg_folder: Path) -> None:
    film = (rg_folder / "RG1_UNCR.dcm").read_bytes()
    with server(tmp_path, {"SERVER_MARK_B": "1"}, workers=2) as running:
        assert len(processes_of("SERVER_MARK_B")) >= 3
        with httpx.Client(base_url=running.url, timeout=60) as client:
            files = [("files", (f"{number}.dcm", film)) for number in range(4)]
            assert client.post("/api/analyses", files=files).status_code == 202
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        wait_until(lambda: not processes_of("SERVER_MARK_B"), 5)


def test_a_node_that_is_killed_loses_nothing(tmp_path: Path, rg_folder: Path) -> None:
    films = [small_film(rg_folder / "RG1_UNCR.dcm", number) for number in range(6)]
    outcome = killed_node(tmp_path / "spool", films, kills=2, seed=1)
    assert outcome.results == {f"FILM{number}": len(DICOM_FILES) for number in range(6)}
    assert len(outcome.repeated) <= 2  # at most the one that was on its way, at each kill; it is the same instance
    assert (outcome.orphans, outcome.quarantined) == (0, 0)
