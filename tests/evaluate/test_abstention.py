"""Conformal sets: the same as those of another library, the promise kept where it holds, and what refusing buys."""

import numpy as np
import pandas as pd
import pytest
from crepes import ConformalClassifier
from hypothesis import given
from hypothesis import strategies as st

from lunglens.evaluate.abstention import (
    abstention_of_run,
    coverage_rows,
    limit_of,
    possible_from,
    risk_coverage,
    sets_of,
)

CLASSES = ("covid", "other")


def films(n: int, seed: int, shift: float = 0.0, source: str = "here", fold: str | None = None) -> pd.DataFrame:
    """n films a class, whose logits overlap; shift: of all logits."""
    generator = np.random.default_rng(seed)
    positive = np.arange(2 * n) < n
    said = 1 / (1 + np.exp(-(np.where(positive, 1.0, -1.0) + shift + generator.normal(0, 1.2, 2 * n))))
    names = [f"{source}-{seed}-{index}" for index in range(2 * n)]
    found = pd.DataFrame({"image_id": names, "group_id": names, "source": source})
    found["fold"] = fold or [str(index % 4) for index in range(2 * n)]
    return found.assign(**{"class": np.where(positive, *CLASSES), "p_covid": said, "p_other": 1 - said})


@given(st.integers(20, 120), st.integers(0, 1000), st.sampled_from([0.503, 0.813, 0.907, 0.951]))
def test_sets_are_those_of_crepes(n: int, seed: int, promised: float) -> None:
    # At shares that no rank of so few films meets exactly: there crepes keeps a class, whose definition does not.
    table, others = films(n, seed), films(30, seed + 1)
    least = possible_from(table, CLASSES, promised)
    assert least is not None
    for name, limit in zip(CLASSES, least, strict=True):
        judge = ConformalClassifier().fit(1 - table.loc[table["class"] == name, f"p_{name}"].to_numpy())
        scores = others[f"p_{name}"].to_numpy().round(6)  # as limits are
        theirs = judge.predict_set((1 - scores)[:, None], confidence=promised, smoothing=False)[:, 0] == 1
        apart = np.abs(scores - limit) > 2e-6
        assert list(sets_of(scores[:, None], [limit])[apart, 0]) == list(theirs[apart])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.05, 0.99))
def test_a_limit_is_a_films_own_or_none(own: list[float], promised: float) -> None:
    limit = limit_of(np.array(own), promised)
    assert limit == 0.0 or limit in own
    assert np.mean(np.array(own) >= limit) >= promised - 1 / (len(own) + 1)


def test_the_promise_holds_on_films_like_these_and_not_elsewhere() -> None:
    least = possible_from(films(2000, 0), CLASSES)
    assert least is not None
    tables = {"like": films(2000, 1), "elsewhere": films(2000, 2, shift=-2.0)}
    like, elsewhere = coverage_rows(tables, CLASSES, least)
    assert like["covered"] == pytest.approx(0.9, abs=0.015)
    assert like["covered_95_ci"][0] < 0.9 < like["covered_95_ci"][1]
    assert elsewhere["covered"] < 0.8


def test_the_source_that_needs_the_lowest_limit_sets_it() -> None:
    easy, hard = films(200, 0), films(200, 1, shift=-1.0, source="hard")
    both, alone = possible_from(pd.concat([easy, hard]), CLASSES), possible_from(hard, CLASSES)
    assert both is not None
    assert alone is not None
    assert both[0] == alone[0]


def test_too_few_films_promise_nothing() -> None:
    assert possible_from(films(19, 0), CLASSES) is None
    assert abstention_of_run(films(19, 0), CLASSES, 0) == {}


def test_refusing_the_unsure_leaves_the_right_ones() -> None:
    rows = risk_coverage(films(500, 0), CLASSES)
    values = [row["balanced_accuracy"] for row in rows]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1
    assert [row["n"] for row in rows] == [1000, 900, 800, 700, 500]


def test_a_run_is_held_against_sources_that_it_never_saw() -> None:
    far = films(100, 5, shift=-2.0, source="far", fold="external")
    found = abstention_of_run(pd.concat([films(200, 0), far]), CLASSES, 0)
    rows = {row["films"]: row for row in found["coverage"]}
    assert set(rows) == {"cross-validated", "never trained on", "covid of far", "other of far"}
    assert rows["cross-validated"]["covered"] == pytest.approx(0.9, abs=0.04)
    assert rows["covid of far"]["covered"] < 0.6 < rows["other of far"]["covered"]
    assert set(found["risk"]) == {"cross-validated", "never trained on"}
