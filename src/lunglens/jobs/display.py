"""The jobs while they run: a live table on a terminal, a line a change elsewhere."""

import time
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lunglens.files import readable
from lunglens.jobs.job import Job
from lunglens.jobs.progress import Progress, look_at, seconds_left

REFRESH_S = 1.0
COLOURS = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red"}


class Display:
    """Shows jobs from their files, so that it does not matter which machine they run on.

    Args:
        jobs: whose folders to look into.
        console: where to show them.
    """

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.jobs = jobs
        self.console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_interactive else None
        self._shown: dict[str, str] = {}
        self._next = 0.0

    def __enter__(self) -> "Display":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._next = 0.0
        self.update()
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        """Look and show, at most once a second."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_S
        jobs = [look_at(job) for job in self.jobs]
        if self._live is not None:
            self._live.update(draw(jobs), refresh=True)
        else:
            self._print_changes(jobs)

    def _print_changes(self, jobs: Sequence[Progress]) -> None:
        for job in jobs:
            line = "  ".join(word for word in (_state(job), job.in_words(), readable(job.status.error or "")) if word)
            if self._shown.get(job.name, "waiting") != line:
                self._shown[job.name] = line
                left = f"  {_time(job.seconds_left)} left" if job.seconds_left else ""
                self.console.print(f"{job.name}: {line}{left}", soft_wrap=True, markup=False, highlight=False)


def draw(jobs: Sequence[Progress]) -> Table:
    """The table of jobs, with the number done and the time left for all below."""
    done = sum(job.status.state == "done" for job in jobs)
    left = seconds_left(jobs)
    caption = f"{done} of {len(jobs)} done" + (f", about {_time(left)} left" if left else "")
    table = Table("job", "state", "latest", "elapsed", "left", caption=caption, expand=True)
    for job in jobs:
        words = readable(job.status.error or "") if job.status.state == "failed" else job.in_words()
        table.add_row(
            Text(job.name),
            Text(_state(job), style=COLOURS[job.status.state]),
            Text(words or "", overflow="fold"),
            _time(job.status.seconds()) if job.status.state != "waiting" else "",
            _time(job.seconds_left),
        )
    return table


def _state(job: Progress) -> str:
    again = job.status.attempt > 1 and job.status.state != "done"
    return f"{job.status.state}, attempt {job.status.attempt}" if again else job.status.state


def _time(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))
