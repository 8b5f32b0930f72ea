"""Runs of earlier releases stay readable: those in `results/` are files of their time."""

from pathlib import Path

import pytest

from lunglens.evaluate.run_record import METRICS, RUN, read_classifier_metrics, read_lung_metrics, read_run
from lunglens.files import read_json

RESULTS = Path(__file__).parents[2] / "results"
RUNS = [
    path.parent
    for path in sorted(RESULTS.rglob(RUN))
    if (path.parent / METRICS).exists() and read_json(path, "")["kind"] in {"classifier", "lungs"}
]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run.relative_to(RESULTS)))
def test_a_published_run_is_still_read(run: Path) -> None:
    about = read_run(run)
    metrics = read_classifier_metrics(run) if about.kind == "classifier" else read_lung_metrics(run)
    assert list(metrics.folds) == about.folds
    assert metrics.to_json() == read_json(run / METRICS, "")


def test_published_runs_of_both_kinds_are_there() -> None:
    assert {read_run(run).kind for run in RUNS} == {"classifier", "lungs"}
