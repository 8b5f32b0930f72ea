"""What the tests of figures draw."""

from collections.abc import Iterator

import matplotlib as mpl
import pandas as pd
import pytest

from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.figures.style import STYLE
from lunglens.evaluate.run_record import ClassifierMetrics
from tests.support.predictions import TWO, predictions


@pytest.fixture
def all_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as everywhere but in tests: an interval is held against something."""
    monkeypatch.setattr("lunglens.evaluate.intervals.REPEATS", 1000)


@pytest.fixture(scope="module")
def house_style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return predictions(200, TWO, folds=4, external=80)


@pytest.fixture(scope="module")
def metrics(table: pd.DataFrame) -> ClassifierMetrics:
    return metrics_of(table, TWO)
