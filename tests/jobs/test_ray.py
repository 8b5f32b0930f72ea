"""Jobs on a cluster of several machines, all of them here: one dies, and its job is done elsewhere."""

import csv
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError, DataError
from lunglens.jobs import films, run_jobs, run_jobs_on_ray
from lunglens.jobs.display import Display
from lunglens.jobs.job import read_status
from lunglens.jobs.on_ray import _say_if_too_big, _work
from tests.film.test_batch_kills import many
from tests.support.job_targets import job, orbits, said, steps_of
from tests.support.packages import TUBERCULOSIS, classifier_package
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
WORKER = {"object_store_memory": 80 * 2**20, "include_log_monitor": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work itself."""
    pytest.importorskip("ray", reason="Ray is not installed (lunglens[cluster])")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
        patch.delenv("OMP_NUM_THREADS", raising=False)
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **WORKER})
        yield found
        found.shutdown()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture(scope="module")
def node(cluster: Any) -> Any:
    """A machine with two cores and one GPU."""
    return cluster.add_node(num_cpus=2, num_gpus=1, **WORKER)


@pytest.fixture
def nodes(cluster: Any, node: Any) -> list[Any]:
    """That machine and one more; one of the two may be killed, so this is for the last test that needs machines."""
    return [node, cluster.add_node(num_cpus=2, **WORKER)]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_small_jobs_share_a_gpu(tmp_path: Path, cluster: Any, node: Any, console: Console) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    jobs = [job(here, "meet", others=[str(there)]), job(there, "meet", others=[str(here)])]
    assert [outcome.state for outcome in run_jobs_on_ray(jobs, cluster.address, 0.5, console)] == ["done", "done"]


def test_films_are_answered_on_the_cluster(
    tmp_path: Path, cluster: Any, node: Any, chest_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "PER_JOB", 2)
    many(chest_png, tmp_path / "films", 3)
    package = classifier_package(tmp_path / "package", TUBERCULOSIS, [0.3])
    command = ["predict", str(package), str(tmp_path / "films"), "--out", str(tmp_path / "p.csv")]
    done = CliRunner().invoke(app, [*command, "--ray", cluster.address])
    assert (done.exit_code, done.stdout) == (0, f"3 analyzed, 0 refused, 0 failed; see {tmp_path / 'p.csv'}\n")
    names = [Path(row["path"]).name for row in csv.DictReader((tmp_path / "p.csv").open())]
    assert names == ["f00.png", "f01.png", "f02.png"]


def test_a_whole_gpu_is_for_one_job_at_a_time(tmp_path: Path, cluster: Any, node: Any, console: Console) -> None:
    jobs = [job(tmp_path / str(n), "span", seconds=0.3) for n in range(2)]
    spans = sorted(outcome.result for outcome in run_jobs_on_ray(jobs, cluster.address, 1, console))
    assert spans[0][1] <= spans[1][0]


def test_a_job_sees_the_gpu_and_the_cores_that_it_is_given(
    tmp_path: Path, cluster: Any, node: Any, console: Console
) -> None:
    names = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]
    jobs = [job(tmp_path / name, "variable", name=name) for name in names]
    assert [outcome.result for outcome in run_jobs_on_ray(jobs, cluster.address, 0.5, console, 2)] == ["0", "2"]


def test_a_job_that_fails_by_itself_is_not_tried_again(
    tmp_path: Path, cluster: Any, node: Any, console: Console
) -> None:
    jobs = [job(tmp_path / "bad", "divide", by=0), job(tmp_path / "good", "divide", by=2)]
    bad, good = run_jobs_on_ray(jobs, cluster.address, 0, console)
    assert (bad.state, bad.attempt, bad.error) == ("failed", 1, "ZeroDivisionError: division by zero")
    assert (good.state, good.result) == ("done", 0.5)
    assert "Traceback" in bad.job.log.read_text()


def test_a_job_under_which_machines_die_again_and_again_fails(
    tmp_path: Path, cluster: Any, node: Any, console: Console
) -> None:
    (outcome,) = run_jobs_on_ray([job(tmp_path, "kill_parent")], cluster.address, 0, console)
    assert (outcome.state, outcome.attempt, outcome.error) == ("failed", 3, "WorkerCrashed, 3 times")
    assert read_status(tmp_path).error == outcome.error


def test_ctrl_c_stops_the_jobs_on_the_cluster(
    tmp_path: Path, cluster: Any, node: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(display: Display) -> None:
        if steps_of(tmp_path / "0"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Display, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_jobs_on_ray(orbits(tmp_path, 30), cluster.address, 0, console)
    assert [read_status(tmp_path / str(n)).state for n in range(4)] == ["waiting"] * 4
    assert not Path(f"/proc/{steps_of(tmp_path / '0')[0][0]}").exists()


def test_jobs_too_big_for_the_cluster_are_said_to_wait(cluster: Any, node: Any, console: Console) -> None:
    import ray

    ray.init(cluster.address)
    _say_if_too_big(ray, 0.5, 2, console)
    assert said(console) == ""
    _say_if_too_big(ray, 2, 1, console)
    assert "no machine of the cluster has 1 cores and 2 GPUs" in said(console)
    ray.shutdown()


def test_a_folder_that_the_machine_does_not_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must share a file system"):
        _work(job(tmp_path / "elsewhere", "divide", by=1))


def test_a_cluster_that_does_not_answer_is_said(tmp_path: Path, cluster: Any, console: Console) -> None:
    with pytest.raises(ConfigurationError, match=r"no Ray cluster answers at 127\.0\.0\.1:9: .*refused"):
        run_jobs_on_ray([job(tmp_path, "divide", by=1)], "127.0.0.1:9", 0, console)


def test_without_ray_the_user_is_told_what_to_install(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'lunglens\[cluster\]'"):
        run_jobs_on_ray([job(tmp_path, "divide", by=1)], None, 0, console)


def test_a_job_whose_machine_dies_is_done_on_another_with_the_same_result(
    tmp_path: Path, cluster: Any, nodes: list[Any], console: Console
) -> None:
    undisturbed = run_jobs(orbits(tmp_path / "undisturbed", 0)[:2], 2, console)
    machines = {node.all_processes["raylet"][0].process.pid: node for node in nodes}

    def kill_the_machine_of_fold_0() -> None:
        wait_until(lambda: len(steps_of(tmp_path / "0")) >= 5)
        machine = parent(parent(int(steps_of(tmp_path / "0")[0][0])))  # job <- Ray's worker <- the machine
        cluster.remove_node(machines[machine], allow_graceful=False)

    killer = threading.Thread(target=kill_the_machine_of_fold_0)
    killer.start()
    # Slow enough that a busy machine kills it in the middle.
    outcomes = run_jobs_on_ray(orbits(tmp_path, 0.3)[:2], cluster.address, 0, console)
    killer.join()
    assert [outcome.result for outcome in outcomes] == [outcome.result for outcome in undisturbed]
    assert outcomes[0].attempt == 2
    assert "fold 0: NodeDied; run again" in said(console)
    steps = steps_of(tmp_path / "0")
    assert len({pid for pid, _ in steps}) == 2
    assert [int(step) for _, step in steps] == sorted({int(step) for _, step in steps})
