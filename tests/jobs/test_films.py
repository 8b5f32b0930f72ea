"""Films that jobs answer: the table of one process, one row a film, whatever fails on the way."""

from collections.abc import Sequence
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lunglens.film.batch.models import Models
from lunglens.film.batch.predict import predict
from lunglens.film.batch.summary import SummaryRow
from lunglens.jobs import Job, JobResult, films, run_jobs
from lunglens.jobs.films import FilmsFailedError, answer_by_jobs
from tests.film.test_batch_kills import many
from tests.support.packages import TUBERCULOSIS, classifier_package

CONSOLE = Console(file=StringIO())
Outcomes = list[JobResult]


def test_jobs_answer_as_one_process_does_and_only_what_failed_is_done_again(
    chest_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "PER_JOB", 2)
    folder = many(chest_png, tmp_path / "films", 2)
    (folder / "f01b.png").write_bytes(chest_png.read_bytes()[:5000])
    there = sorted(folder.iterdir())
    models = Models(None, classifier_package(tmp_path / "package", TUBERCULOSIS, [0.3]))
    runs: list[int] = []

    def first_alone(jobs: Sequence[Job]) -> Outcomes:
        runs.append(len(jobs))
        done = run_jobs(jobs[:1], 2, CONSOLE)
        return [*done, *(JobResult(job, "failed", 1, error="the machine is gone") for job in jobs[1:])]

    def all_of_them(jobs: Sequence[Job]) -> Outcomes:
        runs.append(len(jobs))
        return run_jobs(jobs, 2, CONSOLE)

    rows: list[SummaryRow] = []
    elsewhere = partial(answer_by_jobs, folder=tmp_path / "jobs", models=models)
    with pytest.raises(FilmsFailedError, match="1 of 2 jobs failed, such as films 3 to 3: the machine is gone"):
        predict(there, tmp_path / "p.csv", models.load(), 1, rows.append, partial(elsewhere, run=first_alone))
    assert len(rows) == 2
    assert not (tmp_path / "p.csv").exists()
    table = predict(there, tmp_path / "p.csv", models.load(), 1, rows.append, partial(elsewhere, run=all_of_them))
    assert runs == [2, 1]
    assert [row.status for row in table] == ["analyzed", "analyzed", "failed"]
    predict(there, tmp_path / "alone.csv", models.load(), 1, lambda _: None)
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
