"""Long work in pieces: every job has a folder, a process, a log and a status, and can be killed and run again."""

from lunglens.jobs.job import Job, JobResult, is_finished
from lunglens.jobs.local import run_jobs
from lunglens.jobs.on_ray import run_jobs_on_ray

__all__ = ["Job", "JobResult", "is_finished", "run_jobs", "run_jobs_on_ray"]
