"""Long work in pieces: every job has a folder, a process, a log and a status, and can be killed and run again.

This package imports no torch; what a job runs may.
"""

from lunglens.jobs.attempt import Outcome
from lunglens.jobs.job import Job, Status, is_finished, read_result, read_status
from lunglens.jobs.local import run_jobs
from lunglens.jobs.on_ray import run_jobs_on_ray

__all__ = ["Job", "Outcome", "Status", "is_finished", "read_result", "read_status", "run_jobs", "run_jobs_on_ray"]
