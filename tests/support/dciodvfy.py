"""dciodvfy (Debian: dicom3tools), which checks DICOM objects against the standard's modules."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")


def errors_of(content: bytes, folder: Path) -> list[str]:
    """The lines about errors that dciodvfy prints of one DICOM file."""
    path = folder / "checked.dcm"
    path.write_bytes(content)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    assert lines, "dciodvfy said nothing, not even which kind of object it is"
    return [line for line in lines if "Error" in line or "Abort" in line]
