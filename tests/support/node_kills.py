"""A node that is killed at random moments while it receives, analyses and sends, until all results have arrived."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pydicom

from tests.support.node_parts import archive, associate
from tests.support.waiting import free_port, wait_until


class Outcome(NamedTuple):
    """results: of each film, how many different ones have come. repeated: instances that came more than once.

    orphans: processes of killed nodes that still lived some seconds later. quarantined: things put aside.
    """

    results: Counter[str]
    repeated: list[str]
    orphans: int
    quarantined: int


def processes_of(mark: str) -> list[int]:
    """Processes that have inherited this from the node's environment, dead ones aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = mark.encode() in (folder / "environ").read_bytes()
            if is_ours and " Z " not in (folder / "stat").read_text().rpartition(")")[2][:4]:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def killed_node(spool: Path, films: list[pydicom.Dataset], kills: int, seed: int) -> Outcome:
    """Send the films to a node that is killed so often; then leave it alone until nothing waits any more."""
    generator, port, mark, orphans = random.Random(seed), free_port(), f"NODE_{uuid.uuid4().hex}", 0  # noqa: S311
    with archive() as receiver, _sending(port, films) as sending:
        command = [sys.executable, "-m", "lunglens", "node", "--send-to", f"ARCHIVE@127.0.0.1:{receiver.port}"]
        command += ["--spool", str(spool), "--port", str(port)]
        for number in range(kills + 1):
            log_file = spool.parent / f"log{number}.txt"
            with log_file.open("wb") as log:
                process = subprocess.Popen(command, stderr=log, env=os.environ | {mark: "1", "OMP_NUM_THREADS": "1"})
            if number < kills:
                time.sleep(generator.uniform(2, 7))
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                orphans += _left(mark)
        wait_until(lambda: "listens on" in log_file.read_text())
        wait_until(lambda: not sending.is_alive(), 120)
        places = (spool / "incoming", spool / "outgoing")
        wait_until(lambda: not any(any(place.iterdir()) for place in places), 180)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        orphans += _left(mark)
        names = {uid: str(dataset.PatientID) for uid, dataset in zip(receiver.uids(), receiver.kept, strict=True)}
        repeated = [uid for uid, count in Counter(receiver.uids()).items() if count > 1]
    aside = sum(path.is_dir() for path in (spool / "quarantine").iterdir())
    return Outcome(Counter(names.values()), repeated, orphans, aside)


def _left(mark: str) -> int:
    try:
        wait_until(lambda: not processes_of(mark), 5)
    except AssertionError:
        return len(processes_of(mark))
    return 0


@contextmanager
def _sending(port: int, films: list[pydicom.Dataset]) -> Iterator[threading.Thread]:
    """Send each film until it is taken, as a modality does."""
    stopped = threading.Event()

    def send() -> None:
        for film in films:
            while not stopped.is_set():
                association = associate(port, film.SOPClassUID)
                if not association.is_established:
                    stopped.wait(0.2)
                    continue
                status = association.send_c_store(film).get("Status")
                association.release() if association.is_established else association.abort()
                if status == 0:
                    break

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stopped.set()
        thread.join(60)


def main() -> None:
    """`python -m tests.support.node_kills KILLS FILMS SEED`: what has become of the films."""
    import tempfile

    from tests.support.dicom_files import rg1
    from tests.support.node_parts import small_film

    kills, count, seed = map(int, sys.argv[1:])
    films = [small_film(rg1("UNCR"), number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        found = killed_node(Path(folder) / "spool", films, kills, seed)
    said = f"{sum(found.results.values())} results of {len(found.results)} films, {len(found.repeated)} sent again, "
    sys.stdout.write(f"{said}{found.quarantined} put aside, {found.orphans} processes left\n")


if __name__ == "__main__":
    main()
