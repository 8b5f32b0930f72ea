"""A real server in a process of its own, for tests and nothing else."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.support.waiting import free_port

PROGRAM = """
import json, pathlib, sys
from lunglens.serve.logs import only_our_log
from lunglens.serve.run import run
from lunglens.serve.settings import ServeSettings
from lunglens.serve.webhook import Webhook
if __name__ == "__main__":
    only_our_log()
    settings = json.loads(sys.argv[1])
    keep = settings.pop("keep", None)
    webhook = settings.pop("webhook", None)
    run(ServeSettings(keep=keep and pathlib.Path(keep), webhook=webhook and Webhook.parse(*webhook), **settings))
"""


@dataclass(frozen=True)
class Running:
    """url: of the server. log: what it has written so far. scratch: its folder for temporary files."""

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    log_file: Path
    scratch: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def kept(self) -> list[Path]:
        """What uploads have left on disk."""
        return [path for folder in self.scratch.iterdir() for path in folder.iterdir() if path.name != ".lock"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def server(folder: Path, environment: dict[str, str] | None = None, **settings: Any) -> Iterator[Running]:
    """Serve with these settings until the block ends; ready when it begins."""
    import json

    port = free_port()
    scratch = folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    program = folder / "serve_for_tests.py"
    program.write_text(PROGRAM)
    log_file = folder / f"log-{port}.txt"
    env = {**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1", **(environment or {})}
    command = [sys.executable, str(program), json.dumps({"port": port, **settings})]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
    found = Running(f"http://127.0.0.1:{port}", port, process, log_file, scratch)
    try:
        _wait_until_ready(found)
        yield found
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def analysed(client: httpx.Client, *files: tuple[str, bytes]) -> httpx.Response:
    """Send films, and wait for the answers."""
    return client.post("/api/analyses?wait=60", files=[("files", file) for file in files])


def _wait_until_ready(running: Running) -> None:
    deadline = time.monotonic() + 90
    while True:
        assert running.process.poll() is None, running.log
        assert time.monotonic() < deadline, running.log
        try:
            with urllib.request.urlopen(f"{running.url}/readyz", timeout=5) as answer:  # noqa: S310 - loopback
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
