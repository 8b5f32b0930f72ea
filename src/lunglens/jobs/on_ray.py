"""Jobs on a Ray cluster whose machines share a file system."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from lunglens.errors import ConfigurationError, DataError
from lunglens.jobs.attempt import GRACE_S, POLL_S, Attempt, Outcome, outcome, stop
from lunglens.jobs.display import Display
from lunglens.jobs.job import JOB, Job, change_status, now
from lunglens.jobs.local import claimed

MOST_ATTEMPTS = 3  # of one job in one call, when machines die under it


def run_jobs_on_ray(
    jobs: Sequence[Job], address: str | None, gpus_per_job: float, console: Console, cpus_per_job: float = 1
) -> list[Outcome]:
    """Run every job that has no result yet on a Ray cluster, as many at once as it has room for.

    The job folders, the data they name and this installation must be found under the same paths on every machine. A job
    whose machine dies is run again on another and goes on from its checkpoints; one that fails by itself is not.

    Args:
        jobs: each with a folder of its own.
        address: "HOST:6379" or "auto" for a cluster that runs; None for RAY_ADDRESS, or this machine alone.
        gpus_per_job: GPUs that a job is given; 0.25 lets four share one (memory is not divided: make sure they fit).
        console: for the live table, or a line a change where it is no terminal.
        cpus_per_job: cores that a job is given, and its OMP_NUM_THREADS unless the cluster was started with another.

    Returns:
        An outcome a job, in the same order.

    Raises:
        ConfigurationError: Ray is not installed, or no cluster answers at `address`.
        OutputError: as `run_jobs`.
    """
    with _connected(address) as ray, claimed(jobs) as waiting, Display(jobs, console) as display:
        _say_if_too_big(ray, gpus_per_job, cpus_per_job, console)
        # Ray's own retries are off: it would not count those after a lack of memory.
        remote = ray.remote(num_cpus=cpus_per_job, num_gpus=gpus_per_job, max_retries=0)(_work)
        outcomes: dict[Path, Outcome] = {}
        pending: dict[Any, tuple[Job, int]] = {}
        try:
            pending.update((remote.remote(job.name, str(job.folder.resolve())), (job, 1)) for job in waiting)
            while pending:
                for ref in ray.wait(list(pending), timeout=POLL_S)[0]:
                    job, attempt = pending.pop(ref)
                    found = _fetch(ray, ref, job)
                    if isinstance(found, Outcome):
                        outcomes[job.folder] = found
                    elif attempt < MOST_ATTEMPTS:
                        console.print(f"{job.name}: {found}; run again", markup=False, highlight=False)
                        change_status(job.folder, state="waiting", ended=now())
                        pending[remote.remote(job.name, str(job.folder.resolve()))] = (job, attempt + 1)
                    else:
                        outcomes[job.folder] = _fail(job, f"{found}, {attempt} times")
                display.update()
        finally:
            _cancel(ray, list(pending))
    return [outcomes.get(job.folder) or outcome(job.name, job.folder) for job in jobs]


def _work(name: str, folder_name: str) -> Outcome:
    """On a machine of the cluster: start the job's process and see it through."""
    folder = Path(folder_name)
    if not (folder / JOB).exists():
        raise DataError(f"{folder}: not on {socket.gethostname()}; the cluster's machines must share a file system")
    attempt = Attempt(name, folder, os.environ)
    try:
        while (found := attempt.poll()) is None:
            time.sleep(POLL_S)
        return found
    except BaseException:
        stop([attempt])
        raise


def _fetch(ray: Any, ref: Any, job: Job) -> Outcome | str:
    """What became of the job, or why the cluster has lost it."""
    try:
        found: Outcome = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return _fail(job, str(error.cause))
    except ray.exceptions.RayError as error:
        return type(error).__name__.removesuffix("Error")
    return found


def _fail(job: Job, error: str | None) -> Outcome:
    change_status(job.folder, state="failed", ended=now(), error=error)
    return outcome(job.name, job.folder)


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers unless told not to
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError("Ray is not installed; install it with: pip install 'lunglens[cluster]'") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        if address and ":" in address:  # Ray itself would wait for minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise ConfigurationError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _say_if_too_big(ray: Any, gpus: float, cpus: float, console: Console) -> None:
    for node in ray.nodes():
        room = node["Resources"]
        if node["Alive"] and room.get("GPU", 0) >= gpus and room.get("CPU", 0) >= cpus:
            return
    console.print(f"no machine of the cluster has {cpus:g} cores and {gpus:g} GPUs: the jobs wait until one joins")


def _cancel(ray: Any, refs: list[Any]) -> None:
    """End what still runs: ask, so that the jobs' status is written, then force."""
    for force in (False, True):
        for ref in refs:
            ray.cancel(ref, force=force)
        if refs:
            _, refs = ray.wait(refs, num_returns=len(refs), timeout=GRACE_S + 5)
