"""`lunglens doctor`."""

import json
import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lunglens.cli import doctor
from lunglens.cli.main import app
from lunglens.errors import DecoderDiedError


def test_all_is_there_and_said_as_json_too() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert all(check["good"] for check in found.values())
    assert {"numpy", "JPEG-LS by pyjpegls", "current folder"} <= set(found)
    assert sum(name.startswith("model ") for name in found) == 5


def test_onnxruntime_for_gpus_is_no_fault_and_no_onnxruntime_is(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"onnxruntime-gpu": "1.31.1"}

    def version(name: str) -> str:
        if name not in there:
            raise PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(doctor, "version", version)
    assert doctor._version("onnxruntime") == doctor.Check("onnxruntime-gpu", True, "1.31.1")
    there.clear()
    assert not doctor._version("onnxruntime").good


def test_a_folder_that_is_not_there_is_a_fault_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("FAULT"))
    assert "temporary folder" in line
    assert "TMPDIR" in done.stdout.splitlines()[-1]


def test_decoders_that_die_or_err_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(_: str, __: bytes, how: dict[str, str]) -> tuple[object, dict[str, str]]:
        if how["decoder"] == "gdcm":
            raise DecoderDiedError("it died")
        return np.zeros((64, 48), np.uint8), {}

    monkeypatch.setattr("lunglens.film.reading.apart.decode_apart", decode)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert found["JPEG 2000 by gdcm"]["found"] == "DecoderDiedError: it died"
    assert not found["JPEG 2000 by pillow"]["good"]
    assert all(check["good"] for name, check in found.items() if name.startswith("model "))
