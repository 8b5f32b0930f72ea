"""Jobs run side by side, fail alone, are killed and go on, and leave nobody behind."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from lunglens.errors import OutputError
from lunglens.jobs import Job, is_finished, run_jobs
from lunglens.jobs import __main__ as process_module
from lunglens.jobs import local as local_module
from lunglens.jobs.__main__ import main
from lunglens.jobs.job import change_status, read_status, result_of, write_job
from lunglens.jobs.local import Attempt, stop
from tests.support.job_targets import STEPS, job, orbits, said, steps_of
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of jobs find this folder, and LungLens where it is run from its source."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


# Running


def test_a_job_leaves_its_call_its_status_its_log_and_its_result(tmp_path: Path, console: Console) -> None:
    folder = tmp_path / "fold 0"
    (outcome,) = run_jobs([job(folder, "divide", by=4)], 1, console)
    assert (outcome.state, outcome.result, outcome.error, outcome.attempt) == ("done", 0.25, None, 1)
    assert json.loads((folder / "job.json").read_text()) == {
        "format": 1,
        "name": "fold 0",
        "target": "tests.support.job_targets:divide",
        "arguments": {"by": 4},
    }
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["attempt"], status["error"]) == ("done", 1, None)
    assert status["pid"] != os.getpid()
    assert status["started"] < status["ended"]
    header, line = outcome.job.log.read_text().splitlines()
    assert header.startswith("--- attempt 1, ")
    assert f"process {status['pid']}" in header
    assert line == "about to divide"


def test_two_workers_work_at_the_same_time(tmp_path: Path, console: Console) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    jobs = [job(here, "meet", others=[str(there)]), job(there, "meet", others=[str(here)])]
    assert [outcome.state for outcome in run_jobs(jobs, 2, console)] == ["done", "done"]


def test_never_more_than_the_workers_work_at_the_same_time(tmp_path: Path, console: Console) -> None:
    outcomes = run_jobs([job(tmp_path / str(n), "span", seconds=0.2) for n in range(5)], 2, console)
    spans = [outcome.result for outcome in outcomes]
    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) <= 2


def test_results_come_in_the_order_of_the_jobs(tmp_path: Path, console: Console) -> None:
    jobs = [job(tmp_path / str(n), "divide", by=n) for n in (4, 2, 1)]
    assert [outcome.result for outcome in run_jobs(jobs, 3, console)] == [0.25, 0.5, 1.0]


def test_the_cores_are_shared_out_unless_the_user_says_otherwise(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads(folder: str, workers: int) -> str:
        (outcome,) = run_jobs([job(tmp_path / folder, "variable", name="OMP_NUM_THREADS")], workers, console)
        return str(outcome.result)

    monkeypatch.setattr("lunglens.jobs.local._cores", lambda: 6)
    assert threads("two", 2) == "3"
    assert threads("ten", 10) == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads("set", 2) == "5"


def test_a_job_begins_after_those_that_it_needs_and_others_go_before_it(tmp_path: Path, console: Console) -> None:
    slow = job(tmp_path / "slow", "span", seconds=0.3)
    needy = replace(job(tmp_path / "needy", "span", seconds=0), after=(slow.folder,))
    other = job(tmp_path / "other", "span", seconds=0)
    (_, ended), (begun, _), (meanwhile, _) = (one.result for one in run_jobs([slow, needy, other], 2, console))
    assert begun >= ended > meanwhile


def test_a_job_that_needs_a_failed_one_waits_for_the_next_run(tmp_path: Path, console: Console) -> None:
    bad, good = job(tmp_path / "bad", "divide", by=0), job(tmp_path / "good", "divide", by=1)
    outcomes = run_jobs([bad, replace(job(tmp_path / "needy", "divide", by=2), after=(bad.folder,)), good], 1, console)
    assert [one.state for one in outcomes] == ["failed", "failed", "done"]
    assert str(outcomes[1].error).endswith("bad has no result")
    assert outcomes[1].attempt == 0


def test_a_job_begun_under_one_name_may_be_finished_under_another(tmp_path: Path, console: Console) -> None:
    run_jobs([job(tmp_path, "divide", by=0)], 1, console)
    (outcome,) = run_jobs([replace(job(tmp_path, "divide", by=0), name="other", epochs=3)], 1, console)
    assert outcome.attempt == 2


def test_two_jobs_in_one_folder_are_a_mistake(tmp_path: Path, console: Console) -> None:
    with pytest.raises(ValueError, match="same folder"):
        run_jobs([job(tmp_path, "divide", by=1), job(tmp_path, "divide", by=2)], 1, console)


# Failing


def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path, console: Console) -> None:
    jobs = [job(tmp_path / "bad", "divide", by=0), job(tmp_path / "good", "divide", by=2)]
    bad, good = run_jobs(jobs, 1, console)
    assert (bad.state, bad.result, bad.error) == ("failed", None, "ZeroDivisionError: division by zero")
    assert good.result == 0.5
    assert bad.job.log == tmp_path / "bad" / "log.txt"
    assert "Traceback" in bad.job.log.read_text()
    assert read_status(tmp_path / "bad").state == "failed"


@pytest.mark.parametrize(
    ("function", "arguments", "error"),
    [
        ("refuse", {}, "film.png: is no film; remove it"),
        ("send", {"number": signal.SIGKILL}, "killed (SIGKILL), most likely because memory ran out"),
        ("send", {"number": signal.SIGSEGV}, "ended by SIGSEGV"),
        ("leave", {"code": 3}, "exit status 3 and left no result"),
        ("leave", {"code": 0}, "exit status 0 and left no result"),
        ("nothing_to_say", {}, "ValueError: Out of range float values are not JSON compliant"),
        ("missing", {}, "AttributeError: module 'tests.support.job_targets' has no attribute 'missing'"),
    ],
)
def test_the_outcome_says_why_a_job_failed(
    tmp_path: Path, console: Console, function: str, arguments: dict[str, Any], error: str
) -> None:
    (outcome,) = run_jobs([job(tmp_path, function, **arguments)], 1, console)
    assert outcome.state == "failed"
    assert error in str(outcome.error)
    assert read_status(tmp_path).error == outcome.error
    assert str(outcome.error) in said(console)
    assert not is_finished(tmp_path)


def test_a_job_that_crashes_after_its_result_is_done(tmp_path: Path, console: Console) -> None:
    (outcome,) = run_jobs([job(tmp_path, "crash_late")], 1, console)
    assert (outcome.state, outcome.result, read_status(tmp_path).state) == ("done", 1, "done")


def test_a_failed_job_is_tried_again_by_the_next_run_and_its_log_goes_on(tmp_path: Path, console: Console) -> None:
    for expected in (1, 2):
        (outcome,) = run_jobs([job(tmp_path, "divide", by=0)], 1, console)
        assert outcome.attempt == expected
    text = outcome.job.log.read_text()
    assert text.index("--- attempt 1, ") < text.index("--- attempt 2, ")
    assert text.count("ZeroDivisionError") == 2
    assert "failed, attempt 2" in said(console)


# Finished and changed jobs


def test_a_finished_job_is_never_run_again(tmp_path: Path, console: Console) -> None:
    first = run_jobs(orbits(tmp_path, 0.0), 4, console)
    steps = [(tmp_path / str(n) / "steps.txt").read_text() for n in range(4)]
    assert run_jobs(orbits(tmp_path, 0.0), 4, console) == first
    assert [(tmp_path / str(n) / "steps.txt").read_text() for n in range(4)] == steps


def test_a_finished_job_with_other_settings_is_refused_with_the_difference(tmp_path: Path, console: Console) -> None:
    def train(epochs: int, target: str = "a:b") -> Job:
        config = {"optimization": {"epochs": epochs, "seed": 0}}
        return Job("fold 0", tmp_path / "0", target, {"config": config})

    write_job(train(24))
    (tmp_path / "0" / "result.json").write_text("1")
    with pytest.raises(
        OutputError, match=r"0: finished with .* \(arguments.config.optimization.epochs: 24 there, 30 now"
    ):
        run_jobs([train(30)], 1, console)
    with pytest.raises(OutputError, match=r"\(target: \"a:b\" there, \"a:c\" now\)"):
        run_jobs([train(24, "a:c")], 1, console)


def test_a_begun_job_does_not_go_on_from_the_checkpoints_of_other_settings(tmp_path: Path, console: Console) -> None:
    run_jobs([job(tmp_path, "divide", by=0)], 1, console)
    with pytest.raises(OutputError, match=r"begun with other settings \(arguments.by: 0 there, 1 now\)"):
        run_jobs([job(tmp_path, "divide", by=1)], 1, console)


def test_a_job_that_has_not_begun_can_be_changed(tmp_path: Path, console: Console) -> None:
    write_job(job(tmp_path, "divide", by=0))
    (outcome,) = run_jobs([job(tmp_path, "divide", by=1)], 1, console)
    assert outcome.result == 1


def test_tuples_are_the_lists_that_they_become(tmp_path: Path, console: Console) -> None:
    jobs = [job(tmp_path, "meet", others=())]
    assert run_jobs(jobs, 1, console) == run_jobs(jobs, 1, console)


def test_a_result_whose_status_was_not_written_any_more_is_done(tmp_path: Path, console: Console) -> None:
    run_jobs([job(tmp_path, "divide", by=1)], 1, console)
    change_status(tmp_path, state="running", ended=None)
    run_jobs([job(tmp_path, "divide", by=1)], 1, console)
    assert read_status(tmp_path).state == "done"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, console: Console) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run_jobs([job(tmp_path / "file" / "0", "divide", by=1)], 1, console)


# Killed and stopped


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Callable[[float], subprocess.Popen[bytes]]]:
    """Starts a process that runs four slow jobs in `tmp_path`, one after the other."""
    started: list[subprocess.Popen[bytes]] = []

    def start(seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.job_targets", str(tmp_path), str(seconds)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_run_killed_in_the_third_job_goes_on_to_the_same_results(
    tmp_path: Path, runner: Callable[[float], subprocess.Popen[bytes]], console: Console
) -> None:
    undisturbed = run_jobs(orbits(tmp_path / "undisturbed", 0), 4, console)
    killed = runner(0.01)
    wait_until(lambda: len(steps_of(tmp_path / "2")) >= 5)
    killed.kill()
    killed.wait()
    outcomes = run_jobs(orbits(tmp_path, 0.01), 1, console)
    assert [outcome.result for outcome in outcomes] == [outcome.result for outcome in undisturbed]
    assert [outcome.attempt for outcome in outcomes] == [1, 1, 2, 1]
    # Every step once or, where the kill fell between two files, not traced: none by the killed and the new process.
    steps = steps_of(tmp_path / "2")
    assert len({pid for pid, _ in steps}) == 2
    assert [int(step) for _, step in steps] == sorted({int(step) for _, step in steps})
    assert int(steps[-1][1]) == STEPS


def test_a_killed_runner_leaves_no_orphans(tmp_path: Path, runner: Callable[[float], subprocess.Popen[bytes]]) -> None:
    killed = runner(30)
    wait_until(lambda: len(steps_of(tmp_path / "0")) == 1)
    pid = int(steps_of(tmp_path / "0")[0][0])
    assert is_alive(pid)
    killed.kill()
    killed.wait()
    wait_until(lambda: not is_alive(pid), 2)


def test_ctrl_c_stops_the_jobs_which_then_wait(
    tmp_path: Path, runner: Callable[[float], subprocess.Popen[bytes]]
) -> None:
    stopped = runner(30)
    wait_until(lambda: len(steps_of(tmp_path / "0")) == 1)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(10) != 0
    assert [read_status(tmp_path / str(n)).state for n in range(4)] == ["waiting"] * 4
    assert read_status(tmp_path / "0").attempt == 1
    assert not is_alive(int(steps_of(tmp_path / "0")[0][0]))


def test_a_second_runner_is_refused_and_the_first_goes_on(
    tmp_path: Path, runner: Callable[[float], subprocess.Popen[bytes]], console: Console
) -> None:
    first = runner(0.02)
    wait_until(lambda: len(steps_of(tmp_path / "0")) >= 1)
    with pytest.raises(OutputError, match="another run is at work here"):
        run_jobs(orbits(tmp_path, 0.02), 1, console)
    assert first.wait(20) == 0
    assert all(is_finished(tmp_path / str(n)) for n in range(4))


def test_a_process_that_will_not_end_is_killed_with_those_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "GRACE_S", 0.3)
    write_job(job(tmp_path, "with_worker"))
    attempt = Attempt(job(tmp_path, "with_worker"), os.environ)
    wait_until((tmp_path / "pids.json").exists)
    assert not attempt.has_ended()
    pids = json.loads((tmp_path / "pids.json").read_text())
    assert all(map(is_alive, pids))
    stop([attempt])
    wait_until(lambda: not any(map(is_alive, pids)), 2)
    assert read_status(tmp_path).state == "waiting"


# The process of a job


def run_here(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["lunglens.jobs", str(folder), *arguments])
    return main()


def test_one_job_can_be_done_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_job(job(tmp_path, "divide", by=2))
    assert run_here(tmp_path, monkeypatch) == 0
    assert result_of(job(tmp_path, "divide", by=2)).result == 0.5
    assert read_status(tmp_path).pid == os.getpid()


def test_a_job_that_fails_by_hand_says_so_with_its_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(job(tmp_path, "divide", by=0))
    assert run_here(tmp_path, monkeypatch) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert read_status(tmp_path).error == "ZeroDivisionError: division by zero"


def test_a_process_waits_for_one_that_is_still_ending(tmp_path: Path, console: Console) -> None:
    folder = tmp_path / "0"
    write_job(job(folder, "divide", by=1))
    orphan = FileLock(folder / ".process.lock")
    orphan.acquire()
    attempt = Attempt(job(folder, "divide", by=1), os.environ)
    wait_until(lambda: "--- attempt 1" in (folder / "log.txt").read_text())
    time.sleep(0.3)
    assert read_status(folder).state == "waiting"
    orphan.release()
    wait_until(attempt.has_ended)
    assert result_of(job(folder, "divide", by=1)).result == 1


def test_a_process_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "LOCK_WAIT_S", 0.1)
    write_job(job(tmp_path, "divide", by=1))
    change_status(tmp_path, state="running", attempt=1, host="node-7", pid=4711)
    with FileLock(tmp_path / ".process.lock"):
        assert run_here(tmp_path, monkeypatch) == 1
    assert "process 4711 on node-7 is still at this job" in str(read_status(tmp_path).error)


def test_further_processes_of_one_training_only_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_job(job(tmp_path, "orbit", start=0.3, steps=1, seconds=0))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run_here(tmp_path, monkeypatch) == 0
    assert (tmp_path / "saved.txt").exists()
    assert not is_finished(tmp_path)
    assert read_status(tmp_path).attempt == 0


def test_watching_the_parent_is_refused_where_it_would_kill_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpgrp", lambda: 1)
    with pytest.raises(SystemExit, match="leads its own group"):
        run_here(tmp_path, monkeypatch, "--watched")
