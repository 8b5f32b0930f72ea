"""Fixtures of several tests of the server; each file starts its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.serving import Running


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=90) as found:
        yield found


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> bytes:
    return (rg_folder / "RG1_UNCR.dcm").read_bytes()
