"""Jobs on a Ray cluster whose machines share a file system."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.console import Console

from lunglens.errors import ConfigurationError, DataError
from lunglens.jobs.display import Display
from lunglens.jobs.job import Job, JobResult, change_status, now, result_of
from lunglens.jobs.local import GRACE_S, POLL_S, Attempt, claimed, give_up, is_ready, stop

_MOST_ATTEMPTS = 3  # of one job in one call, when machines die under it


def run_jobs_on_ray(
    jobs: Sequence[Job], address: str | None, gpus_per_job: float, console: Console, cpus_per_job: float = 1
) -> list[JobResult]:
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
        What became of each, in the same order.

    Raises:
        ConfigurationError: Ray is not installed, or no cluster answers at `address`.
        OutputError: as `run_jobs`.
    """
    with _connected(address) as ray, claimed(jobs) as waiting, Display(jobs, console) as display:
        _say_if_too_big(ray, gpus_per_job, cpus_per_job, console)
        # Ray's own retries are off: it would not count those after a lack of memory.
        remote = ray.remote(num_cpus=cpus_per_job, num_gpus=gpus_per_job, max_retries=0)(_work)
        pending: dict[Any, tuple[Job, int]] = {}
        try:
            while pending or any(map(is_ready, waiting)):
                for job in list(filter(is_ready, waiting)):
                    waiting.remove(job)
                    pending[remote.remote(_resolved(job))] = (job, 1)
                for ref in ray.wait(list(pending), timeout=POLL_S)[0]:
                    job, attempt = pending.pop(ref)
                    lost = _lost(ray, ref, job)
                    if lost is not None and attempt < _MOST_ATTEMPTS:
                        console.print(f"{job.name}: {lost}; run again", markup=False, highlight=False)
                        change_status(job.folder, state="waiting", ended=now())
                        pending[remote.remote(_resolved(job))] = (job, attempt + 1)
                    elif lost is not None:
                        change_status(job.folder, state="failed", ended=now(), error=f"{lost}, {attempt} times")
                display.update()
            give_up(waiting)
        finally:
            _cancel(ray, list(pending))
    return [result_of(job) for job in jobs]


def _resolved(job: Job) -> Job:
    return replace(job, folder=job.folder.resolve())


def _work(job: Job) -> None:
    """On a machine of the cluster: start the job's process and see it through."""
    if not job.folder.exists():
        raise DataError(f"{job.folder}: not on {socket.gethostname()}; the cluster's machines must share a file system")
    attempt = Attempt(job, os.environ)
    try:
        while not attempt.has_ended():
            time.sleep(POLL_S)
    except BaseException:
        stop([attempt])
        raise


def _lost(ray: Any, ref: Any, job: Job) -> str | None:
    """Why the cluster has lost the job; None where its status says what became of it."""
    try:
        ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        change_status(job.folder, state="failed", ended=now(), error=str(error.cause))
    except ray.exceptions.RayError as error:
        return type(error).__name__.removesuffix("Error")
    return None


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
