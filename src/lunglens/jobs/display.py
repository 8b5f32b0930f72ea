"""How far jobs are: a live table on a terminal, a line a change elsewhere.

All is read from the jobs' files, the newest table of lightning's CSVLogger among them, so that it does not matter which
machine they run on.
"""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lunglens.jobs.job import Job, Status, read_status
from lunglens.text import readable

REFRESH_S = 1.0
_MOST_ROWS = 24  # of a usual terminal
_COLOURS = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red"}


@dataclass(frozen=True)
class Progress:
    """A job at one moment. epochs: how many are over. numbers: the latest. seconds_left: where known."""

    job: Job
    status: Status
    epochs: int = 0
    numbers: dict[str, str] = field(default_factory=dict)
    seconds_left: float | None = None

    @property
    def state(self) -> str:
        """In words."""
        again = self.status.attempt > 1 and self.status.state != "done"
        return f"{self.status.state}, attempt {self.status.attempt}" if again else self.status.state

    @property
    def latest(self) -> str:
        """Such as "epoch 3/24  train_loss 0.5123  validation_loss 0.61"; empty before the first epoch is over."""
        if not self.epochs:
            return ""
        of = f"/{self.job.epochs}" if self.job.epochs else ""
        return "  ".join([f"epoch {self.epochs}{of}", *(f"{name} {text}" for name, text in self.numbers.items())])


class Display:
    """Shows jobs while they run."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._jobs, self._console = jobs, console
        self._live = Live(console=console, auto_refresh=False) if console.is_interactive else None
        self._shown: dict[str, str] = {}
        self._done: dict[Path, Progress] = {}
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
        found = [self._look_at(job) for job in self._jobs]
        if self._live is not None:
            self._live.update(draw(found), refresh=True)
            return
        for one in found:
            line = "  ".join(word for word in (one.state, one.latest, readable(one.status.error or "")) if word)
            if self._shown.get(one.job.name, "waiting") != line:
                self._shown[one.job.name] = line
                left = f"  {_time(one.seconds_left)} left" if one.seconds_left else ""
                self._console.print(f"{one.job.name}: {line}{left}", soft_wrap=True, markup=False, highlight=False)

    def _look_at(self, job: Job) -> Progress:
        """What is done is read once: of many jobs, most change no more."""
        if job.folder not in self._done:
            found = look_at(job)
            if found.status.state != "done":
                return found
            self._done[job.folder] = found
        return self._done[job.folder]


def look_at(job: Job) -> Progress:
    """Read how far a job is."""
    status = read_status(job.folder)
    starts = (job.folder / "log").glob("start-*/metrics.csv")
    table = max(starts, key=lambda path: int(path.parent.name.removeprefix("start-")), default=None)
    rows = _rows(table) if table else []
    epochs = {int(row["epoch"]) for row in rows if row.get("epoch")}
    latest = {name: text for row in rows for name, text in row.items() if text}
    numbers = {name: _short(latest[name]) for name in (rows or [{}])[0] if name in latest.keys() - {"epoch", "step"}}
    done, left = max(epochs) + 1 if epochs else 0, None
    if table and epochs and job.epochs and status.state == "running" and _is_of_attempt(table, status):
        left = (job.epochs - done) * (status.seconds() or 0.0) / len(epochs)
    return Progress(job, status, done, numbers, left)


def draw(found: Sequence[Progress]) -> Table:
    """The table of jobs, with the number done below; of many, only those that run or have failed."""
    done, failed = (sum(one.status.state == state for one in found) for state in ("done", "failed"))
    caption = f"{done} of {len(found)} done" + (f", {failed} failed" if failed else "")
    if len(found) > _MOST_ROWS:
        found = [one for one in found if one.status.state in {"running", "failed"}]
    table = Table("job", "state", "latest", "elapsed", "left", caption=caption, expand=True)
    for one in found:
        words = readable(one.status.error or "") if one.status.state == "failed" else one.latest
        elapsed = "" if one.status.state == "waiting" else _time(one.status.seconds())
        state = Text(one.state, style=_COLOURS[one.status.state])
        table.add_row(Text(one.job.name), state, Text(words, overflow="fold"), elapsed, _time(one.seconds_left))
    return table


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            lines = stream.readlines()
    except OSError:  # being replaced: lightning rewrites the table when a column joins
        return []
    header, *rows = [*csv.reader(line for line in lines if line.endswith("\n"))] or [[]]  # the last may be half written
    return [dict(zip(header, row, strict=False)) for row in rows]


def _is_of_attempt(table: Path, status: Status) -> bool:
    return status.started is not None and table.stat().st_mtime >= datetime.fromisoformat(status.started).timestamp()


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _time(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))
