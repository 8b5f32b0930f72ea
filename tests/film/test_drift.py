"""Drift: silent on films like the reference, however many; loud on others; and told where films are answered."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import DataError
from lunglens.film.drift import Drift, read_numbers
from lunglens.film.model_package.record import Reference
from tests.support.command import run_cli
from tests.support.packages import classifier_package

TENTHS = [tenth / 10 for tenth in range(1, 10)]
UNIFORM = {"p_covid": Reference(n=1000, deciles=TENTHS)}


def drifted(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Drift:
    drift = Drift(UNIFORM)
    for value in values:
        drift.add({"p_covid": float(value), "p_other": 0.5})
    return drift


def test_without_drift_the_bet_hardly_ever_wins() -> None:
    generator = np.random.default_rng(0)
    found = [drifted(generator.random(400)).state()["p_covid"] for _ in range(200)]
    assert sum(one.log10_gain >= 2 for one in found) <= 5  # of 200, one in a hundred at most by its promise
    assert not any(one.is_there for one in found)
    assert np.mean([one.index for one in found]) < 0.02


@pytest.mark.parametrize("power", [0.3, 3.0])
def test_films_that_are_answered_otherwise_are_told_within_a_hundred(power: float) -> None:
    found = drifted(np.random.default_rng(0).random(100) ** power).state()["p_covid"]
    assert found.is_there
    assert found.n == 100


def test_a_small_change_in_many_films_is_sure_and_no_drift() -> None:
    found = drifted(np.random.default_rng(0).random(20_000) ** 1.15).state()["p_covid"]
    assert found.log10_gain > 2
    assert not found.is_there


@given(st.lists(st.floats(-10, 10), max_size=40))
def test_any_numbers_count(values: list[float]) -> None:
    found = drifted(np.array(values)).state()["p_covid"]
    assert found.n == len(values)
    assert found.index >= 0
    assert np.isfinite(found.log10_gain)


def test_tables_of_films_are_watched(tmp_path: Path) -> None:
    reference = {"reference": {"p_covid": {"n": 500, "deciles": TENTHS}, "distance": {"n": 500, "deciles": TENTHS}}}
    package = classifier_package(tmp_path / "p", ["covid", "not covid"], [0.1], **reference)
    head = '"path","status","covid_probability","decision","withheld","reason","seconds","result"\n'
    rows = "".join(
        f'"{index}.png","analyzed",{0.999 if index % 2 else 0.9},"covid","","",1,""\n' for index in range(60)
    )
    table = tmp_path / "summary.csv"
    table.write_text(head + rows + '"x.png","refused",,,,"no lungs",1,""\n')
    done = run_cli("watch", table, "--classifier", package, "--out", tmp_path / "watch.json")
    assert done.returncode == 1, done.stderr
    assert "p_covid: drifted; 60 films" in done.stdout
    assert "distance: no films; 0 films" in done.stdout
    written = json.loads((tmp_path / "watch.json").read_text())
    assert (written["p_covid"]["drifted"], written["p_covid"]["n"], written["distance"]["n"]) == (True, 60, 0)
    said = CliRunner().invoke(app, ["watch", str(table), "--classifier", str(package), "--json"])
    assert (said.exit_code, json.loads(said.stdout)) == (1, written)


def test_a_table_of_something_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no columns path and status"):
        list(read_numbers(tmp_path / "other.csv"))
    (tmp_path / "bad.csv").write_text("path,status,p_x\nf.png,analyzed,many\n")
    with pytest.raises(DataError, match="cannot be read as a table of films"):
        list(read_numbers(tmp_path / "bad.csv"))


def test_a_package_without_a_reference_cannot_be_watched(tmp_path: Path) -> None:
    package = classifier_package(tmp_path / "p", ["covid", "not covid"], [0.1])
    (tmp_path / "t.csv").write_text("path,status\n")
    done = run_cli("watch", tmp_path / "t.csv", "--classifier", package)
    assert done.returncode == 2
    assert "has no reference to watch by" in done.stderr
