"""What the tests of figures draw."""

from collections.abc import Iterator

import matplotlib as mpl
import pandas as pd
import pytest

from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.figures import scores
from lunglens.evaluate.figures.style import STYLE
from lunglens.evaluate.run_record import ClassifierMetrics
from tests.support.predictions import TWO, predictions


@pytest.fixture(scope="module")
def few_draws_in_the_house_style() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mpl.rc_context(STYLE):
        patch.setattr(scores, "REPEATS", 60)
        yield


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return predictions(200, TWO, folds=4, external=80)


@pytest.fixture(scope="module")
def metrics(table: pd.DataFrame) -> ClassifierMetrics:
    return metrics_of(table, TWO)
