"""How far a job is, from its status and the newest table that lightning's CSVLogger has written in its folder."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lunglens.jobs.job import Job, Status, read_status


@dataclass(frozen=True)
class Progress:
    """A job at one moment; `epochs` counts those that are over, `numbers` are the latest, as they were written."""

    name: str
    status: Status
    epochs: int = 0
    of_epochs: int | None = None
    numbers: dict[str, str] = field(default_factory=dict)
    seconds_left: float | None = None

    def in_words(self) -> str:
        """Such as "epoch 3/24  train_loss 0.5123  validation_loss 0.61"; empty before the first epoch is over."""
        if not self.epochs:
            return ""
        of = f"/{self.of_epochs}" if self.of_epochs else ""
        numbers = (f"{name} {_short(text)}" for name, text in self.numbers.items())
        return "  ".join([f"epoch {self.epochs}{of}", *numbers])


def look_at(job: Job) -> Progress:
    """Read how far a job is."""
    status = read_status(job.folder)
    table = _newest_table(job.folder)
    rows = _rows(table) if table else []
    epochs = {int(row["epoch"]) for row in rows if row.get("epoch")}
    done = max(epochs) + 1 if epochs else 0
    latest = {name: text for row in rows for name, text in row.items() if text}
    numbers = {name: latest[name] for name in (rows or [{}])[0] if name in latest and name not in ("epoch", "step")}
    left = None
    if table and status.state == "running" and _is_of_attempt(table, status) and job.epochs and epochs:
        left = (job.epochs - done) * (status.seconds() or 0.0) / len(epochs)
    return Progress(job.name, status, done, job.epochs, numbers, left)


def seconds_left(jobs: Sequence[Progress]) -> float | None:
    """Estimate for all jobs together, if as many as now go on running at once; None while nothing is known."""
    left = [job.seconds_left for job in jobs if job.status.state == "running" and job.seconds_left is not None]
    whole = [job.status.seconds() or 0.0 for job in jobs if job.status.state == "done" and job.status.attempt == 1]
    whole += [
        job.seconds_left / (1 - job.epochs / job.of_epochs)
        for job in jobs
        if job.seconds_left and job.of_epochs and job.status.state == "running"
    ]
    if not whole:
        return None
    running = sum(job.status.state == "running" for job in jobs)
    waiting = sum(job.status.state == "waiting" for job in jobs)
    unknown = running - len(left) + waiting
    return (sum(left) + unknown * statistics.mean(whole)) / max(1, running)


def _newest_table(folder: Path) -> Path | None:
    tables = (folder / "log").glob("start-*/metrics.csv")
    return max(tables, key=lambda path: int(path.parent.name.removeprefix("start-")), default=None)


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
