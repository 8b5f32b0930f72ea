"""The table of jobs says how far each is, and how long it will take."""

import io
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from lunglens.jobs import Job
from lunglens.jobs.display import Display, draw, look_at
from lunglens.jobs.job import change_status, write_job

TABLE = "epoch,step,train_loss,validation_loss\n0,62,,0.61\n0,62,0.7,\n1,125,,0.512345\n1,125,0.53,\n"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job("fold 0", tmp_path / "0", "a:b", {}, epochs=8)
    write_job(job)
    return job


def began(job: Job, seconds_ago: float, attempt: int = 1) -> None:
    started = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    change_status(job.folder, state="running", attempt=attempt, started=started.isoformat())


def write_table(job: Job, start: int, text: str) -> Path:
    path = job.folder / "log" / f"start-{start}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def as_text(table: object) -> str:
    console = Console(file=io.StringIO(), width=150)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_before_the_first_epoch_nothing_is_estimated(job: Job) -> None:
    began(job, 30)
    progress = look_at(job)
    assert (progress.epochs, progress.latest, progress.seconds_left) == (0, "", None)


def test_the_latest_number_of_each_kind_is_shown(job: Job) -> None:
    began(job, 30)
    write_table(job, 0, TABLE)
    assert look_at(job).latest == "epoch 2/8  train_loss 0.53  validation_loss 0.5123"


def test_the_newest_start_counts_and_ten_comes_after_nine(job: Job) -> None:
    began(job, 30)
    write_table(job, 9, TABLE)
    write_table(job, 10, "epoch,step,train_loss\n6,400,0.25\n")
    assert look_at(job).latest == "epoch 7/8  train_loss 0.25"


@pytest.mark.parametrize("torn", ["", "epoch,st", "epoch,step,train_loss\n", "epoch,step,train_loss\n0,6"])
def test_a_table_that_is_being_written_is_read_up_to_its_last_whole_line(job: Job, torn: str) -> None:
    began(job, 30)
    write_table(job, 0, torn)
    assert look_at(job).epochs == 0


def test_the_time_left_follows_from_the_epochs_of_this_attempt(job: Job) -> None:
    began(job, 60, attempt=2)
    write_table(job, 0, TABLE)
    write_table(job, 1, "epoch,step,train_loss\n2,187,0.4\n3,250,0.3\n")  # 30 s each; four of eight to go
    assert look_at(job).seconds_left == pytest.approx(120, abs=2)


def test_numbers_of_an_earlier_attempt_are_shown_but_say_nothing_of_the_time(job: Job) -> None:
    os.utime(write_table(job, 0, TABLE), (time.time() - 3600,) * 2)
    began(job, 60, attempt=2)
    assert look_at(job).epochs == 2
    assert look_at(job).seconds_left is None


def test_the_table_has_a_row_a_job_and_the_sum_below(job: Job, tmp_path: Path) -> None:
    failed = Job("fold 1", tmp_path / "1", "a:b", {})
    write_job(failed)
    began(job, 60, attempt=2)
    write_table(job, 0, TABLE)
    change_status(failed.folder, state="failed", attempt=1, error="killed [SIGKILL]")
    text = as_text(draw([look_at(job), look_at(failed)]))
    assert "running, attempt 2" in text
    assert "epoch 2/8" in text
    assert "0:01:00" in text
    assert "0:03:00" in text
    assert "killed [SIGKILL]" in text  # no markup
    assert "0 of 2 done" in text


def test_a_terminal_gets_a_live_table(job: Job) -> None:
    console = Console(file=io.StringIO(), width=150, force_terminal=True, force_interactive=True)
    with Display([job], console):
        began(job, 1)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "fold 0" in text
    assert "running" in text


def test_elsewhere_a_line_is_written_when_something_changes(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lunglens.jobs.display.REFRESH_S", 0)
    console = Console(file=io.StringIO(), width=30)
    with Display([job], console) as display:
        display.update()
        began(job, 60)
        for _ in range(3):
            display.update()
        write_table(job, 0, TABLE)
        display.update()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "fold 0: running",
        "fold 0: running  epoch 2/8  train_loss 0.53  validation_loss 0.5123  0:03:00 left",
    ]


def test_of_many_jobs_only_those_at_work_and_the_failed_are_shown(tmp_path: Path) -> None:
    jobs = [Job(f"job {n}", tmp_path / str(n), "a:b", {}) for n in range(40)]
    for one in jobs:
        write_job(one)
    began(jobs[7], 3)
    change_status(jobs[9].folder, state="failed", attempt=1, error="no room")
    text = as_text(draw([look_at(one) for one in jobs]))
    assert [f"job {n} " in text for n in range(40)] == [n in {7, 9} for n in range(40)]
    assert "0 of 40 done, 1 failed" in text
