"""Jobs in the tests: run here instead of in a process each, which would import torch anew every time."""

from collections.abc import Sequence

import torch
from rich.console import Console

from lunglens.jobs import Job, JobResult, is_finished
from lunglens.jobs.__main__ import _do
from lunglens.jobs.job import result_of, write_job


def run_here(jobs: Sequence[Job], console: Console) -> list[JobResult]:
    """As `run_jobs` does, one after the other in this process, with one thread."""
    torch.set_num_threads(1)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        write_job(job)
        if not is_finished(job.folder):
            _do(job.folder)
    return [result_of(job) for job in jobs]
