"""Fixtures: the real data where there is one, the RG films, and a phantom data root."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from lunglens.film.analyzer import Analyzer
from tests.support.phantom import data_root, save_png
from tests.support.stub import StubAnalyzer

# How long an example takes tells of what else the machine does.
settings.register_profile("lunglens", deadline=None)
settings.load_profile("lunglens")

# A shell starts background jobs with Ctrl-C ignored; processes that the tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Files that are marked "slow"; what else is slow is marked where it stands.
SLOW = (
    "test_tutorial.py",
    "train/test_crossval.py",
    "jobs/test_ray.py",
    "train/test_fit_and_export.py",
    "study/test_results.py",
    "serve/test_page.py",
    "serve/test_node.py",
    "study/test_leave_out_known.py",
    "film/test_current_folder.py",
    "serve/test_kills.py",
    "film/test_batch_kills.py",
    "test_no_network.py",
    "train/test_audit.py",
)
# All that take longest begin first, so that none is left at the end when all others are done.
FIRST = (
    *SLOW,
    "train/test_lungs_and_gate.py",
    "train/test_weights.py",
    "serve/test_node_faults.py",
    "serve/test_app.py",
    "film/test_dicom_valid.py",
    "film/test_predict.py",
    "film/test_analyzer.py",
    "evaluate/test_audit.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for a process that they have started or killed."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow files, and put the longest first."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(FIRST)}
    for item in items:
        if place.get(item.path, len(SLOW)) < len(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: place.get(item.path, len(FIRST)))


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """A tenth of the bootstrap: the intervals get rougher, the tests faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lunglens.evaluate.intervals.REPEATS", 100)
        patch.setattr("lunglens.evaluate.guess.REPEATS", 50)
        patch.setattr("lunglens.evaluate.figures.scores.REPEATS", 60)
        yield


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


@pytest.fixture(scope="session")
def chest_png(rg_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RG1 film as a small 8-bit PNG."""
    from lunglens.film.preprocess import resize
    from lunglens.film.radiograph import read_radiograph

    pixels = read_radiograph(rg_folder / "RG1_UNCR.dcm").pixels
    return save_png(resize(pixels, 488, 460), tmp_path_factory.mktemp("films") / "chest.png")


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    """The models that ship, loaded once."""
    return Analyzer.load()


@pytest.fixture(scope="session")
def stub(analyzer: Analyzer) -> Analyzer:
    """Stands for the models where only what is done with their answers matters: a hundred times faster."""
    return StubAnalyzer(analyzer.lungs, analyzer.classifier, analyzer.orientation)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless chromium; tests that need one are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()
