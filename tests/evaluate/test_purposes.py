"""Thresholds for a purpose: what they promise on the films they were chosen on, each source weighing the same."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunglens.evaluate.purposes import purpose_rows, threshold_of_sensitivity, threshold_of_specificity

CLASSES = ("covid", "other")


def films(n: int, seed: int, fold: str = "0", source: str = "here", shift: float = 0.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    positive = np.arange(n) % 2 == 0
    said = 1 / (1 + np.exp(-(np.where(positive, 1.0, -1.0) + shift + generator.normal(0, 1, n))))
    names = [f"{source}-{index}" for index in range(n)]
    found = pd.DataFrame({"image_id": names, "group_id": names, "source": source, "fold": fold})
    return found.assign(**{"class": np.where(positive, *CLASSES), "p_covid": said, "p_other": 1 - said})


@given(st.integers(4, 80), st.integers(0, 100), st.floats(0.5, 0.99))
def test_each_keeps_its_share_and_no_more_than_it_must(n: int, seed: int, share: float) -> None:
    table = films(n, seed)
    positive, score = (table["class"] == "covid").to_numpy(), table["p_covid"].to_numpy()
    out, within = threshold_of_sensitivity(table, CLASSES, share), threshold_of_specificity(table, CLASSES, share)
    assert (score[positive] >= out).mean() >= share - 1e-9
    assert (score[positive] > out).mean() < share
    assert (score[~positive] < within).mean() >= share - 1e-9
    assert (score[~positive] < np.nextafter(within, 0)).mean() < share


def test_a_small_source_weighs_as_much_as_a_large_one() -> None:
    large = films(400, 0)
    small = films(20, 1, source="small", shift=-3.0)
    alone, both = (threshold_of_sensitivity(table, CLASSES) for table in (large, pd.concat([large, small])))
    assert both < alone


def test_what_they_cost_elsewhere() -> None:
    far = films(200, 2, "external", "far", shift=-2.0)
    rows = {one["purpose"]: one for one in purpose_rows(pd.concat([films(400, 0), far]), CLASSES, 0)}
    thresholds = [rows[purpose]["threshold"] for purpose in ("rule out", "balanced", "rule in")]
    assert thresholds == sorted(thresholds)
    at_home, elsewhere = rows["rule out"]["rows"][:2]
    assert at_home["films"] == "out of fold"
    assert at_home["sensitivity"] == pytest.approx(0.95, abs=0.01)
    assert elsewhere["sensitivity"] < 0.7
    assert purpose_rows(films(40, 0).assign(**{"class": "covid"}), CLASSES, 0) == []
