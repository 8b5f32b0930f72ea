"""Fixtures: the real data where there is one, the RG films, and a phantom data root."""

import os
from pathlib import Path

import pytest

from tests.phantom import data_root


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets, from LUNGLENS_DATA; the test is skipped where it is not set."""
    folder = os.environ.get("LUNGLENS_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LUNGLENS_DATA is not set to the folder of the data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def rg_folder() -> Path:
    """Folder of pydicom-data's films: RG1 (a chest), RG3 (a leg)."""
    import data_store

    return Path(data_store.__file__).parent / "data"


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up data sets in their published layouts."""
    return data_root(tmp_path_factory.mktemp("phantom"))
