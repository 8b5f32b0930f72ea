"""Memory and connections under three attacks, of source trees side by side.

    python benchmarks/attacks.py --out results/attacks.json SRC [SRC ...]

Each SRC is a folder that holds `lunglens/`. The node is sent 296 MB of a film whose C-STORE never ends; the server six
DICOMweb bodies of 126 MiB that never end, then requests for a large picture by 30 clients that read nothing. Resident
memory of the main process, before and after; connections still held after 40 s.
"""

import argparse
import io
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom import AE

CR = "1.2.840.10008.5.1.4.1.1.1"
MIB = 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    found: dict[str, object] = {"command": "python benchmarks/attacks.py", "date": datetime.now(UTC).date().isoformat()}
    for number, tree in enumerate(settings.trees):
        found[f"tree {number}"] = {
            "unfinished C-STORE of 296 MB, node, MB": unfinished_store(tree.resolve()),
            "six unfinished bodies of 126 MiB, server, MB": unfinished_bodies(tree.resolve()),
            "clients that read nothing, held after 40 s": slow_readers(tree.resolve()),
        }
    settings.out.write_text(json.dumps(found, indent=2) + "\n")
    print(settings.out.read_text())


def unfinished_store(tree: Path) -> list[int]:
    with (
        tempfile.TemporaryDirectory() as spool,
        _running(tree, ["node", "--send-to", "A@127.0.0.1:9", "--spool", spool]) as (
            process,
            port,
        ),
    ):
        before = _resident_mb(process)
        entity = AE()
        entity.add_requested_context(CR)
        association = entity.associate("127.0.0.1", port, ae_title="LUNGLENS")
        line = association.dul.socket.socket
        line.sendall(_fragment(3, _command()))
        for _ in range(296_000_000 // 16_000):
            line.sendall(_fragment(0, bytes(16_000)))
        time.sleep(2)
        return [before, _resident_mb(process)]


def _command() -> bytes:
    """A C-STORE request's command set (PS3.7 9.3.1)."""
    command = pydicom.Dataset()
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = CR, "1.2.3"
    command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 1, 1, 0, 1
    stream = DicomBytesIO()
    stream.is_little_endian = stream.is_implicit_VR = True
    write_dataset(stream, command)
    return stream.getvalue()


def _fragment(control: int, data: bytes) -> bytes:
    """A P-DATA-TF PDU of one presentation data value (PS3.8 9.3.5)."""
    return struct.pack(">BBLLBB", 4, 0, len(data) + 6, len(data) + 2, 1, control) + data


def unfinished_bodies(tree: Path) -> list[int]:
    head = (
        "POST /studies HTTP/1.1\r\nHost: localhost\r\n"
        'Content-Type: multipart/related; type="application/dicom"; boundary=x\r\n'
        f"Content-Length: {126 * MIB + 1000}\r\n\r\n--x\r\nContent-Type: application/dicom\r\n\r\n"
    ).encode()
    with _running(tree, ["serve"]) as (process, port):
        before, held = _resident_mb(process), []
        for _ in range(6):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(head)
            for _ in range(126):
                held[-1].sendall(bytes(MIB))
        time.sleep(3)
        return [before, _resident_mb(process)]


def slow_readers(tree: Path) -> int:
    noise, film = np.random.default_rng(1).integers(0, 255, (2048, 2048), dtype=np.uint8), io.BytesIO()
    Image.fromarray(noise).save(film, "PNG")
    disposition = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body, kind = disposition + film.getvalue() + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
    with _running(tree, ["serve"]) as (_, port):
        address = f"http://127.0.0.1:{port}/api/analyses"
        request = urllib.request.Request(f"{address}?wait=60", body, kind)  # noqa: S310 - this machine
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            id_ = json.load(answer)["analyses"][0]["id"]
        ask = f"GET /api/analyses/{id_}/pictures/film HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 4
        held = []
        for _ in range(30):
            held.append(socket.socket())
            held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            held[-1].connect(("127.0.0.1", port))
            held[-1].sendall(ask)
        time.sleep(40)
        lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)  # 01: established


@contextmanager
def _running(tree: Path, verb: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lunglens", *verb, "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.2)
        time.sleep(8)  # the models are loaded
        yield process, port
    finally:
        process.kill()
        process.wait()


def _resident_mb(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024)


if __name__ == "__main__":
    main()
