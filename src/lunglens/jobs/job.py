"""A job and the files in its folder: what to do, how far it is, what came out."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lunglens.errors import OutputError
from lunglens.files import Record, write_json

RESULT = "result.json"
PROCESS_LOCK = ".process.lock"
_FORMAT = 1
_JOB, _STATUS = "job.json", "status.json"


@dataclass(frozen=True)
class Job:
    """A function call that has a folder.

    Args:
        name: what people read, such as "fold 3".
        folder: holds the job's files, and whatever the function writes; no other job's.
        target: "package.module:function", called as `function(folder, **arguments)` in a process of its own. Called
            again after an interruption, it goes on from what it has left in the folder. What it returns must be JSON.
        arguments: JSON values. They decide what the result is: name everything in them that does, the data's
            fingerprint and the seed too.
        epochs: how many epochs the function trains, for the estimate of the time left.
        after: folders of jobs that must have their results before this one begins.

    Name, epochs and order are not part of what the job is: begun in one queue, it may be gone on with in another.
    """

    name: str
    folder: Path
    target: str
    arguments: dict[str, Any]
    epochs: int | None = None
    after: tuple[Path, ...] = ()

    @property
    def log(self) -> Path:
        """Output of all attempts of the job's process."""
        return self.folder / "log.txt"


@dataclass(frozen=True)
class JobResult:
    """What became of a job; `result` is None and `error` says why where it failed."""

    job: Job
    state: Literal["done", "failed"]
    attempt: int
    result: Any = None
    error: str | None = None


class Status(Record):
    """`status.json`: the last attempt, and what it has come to.

    Times are UTC in ISO 8601. A job whose runner was killed says "running" until the runner is started again.
    """

    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    attempt: int = 0
    host: str | None = None
    pid: int | None = None
    started: str | None = None
    ended: str | None = None
    error: str | None = None

    def seconds(self) -> float | None:
        """How long the last attempt took, or has taken so far; None before the first."""
        if self.started is None:
            return None
        end = datetime.now(UTC) if self.ended is None else datetime.fromisoformat(self.ended)
        return (end - datetime.fromisoformat(self.started)).total_seconds()


def now() -> str:
    """The time as `status.json` has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def is_finished(folder: Path) -> bool:
    """Whether the job has its result; it is then never run again."""
    return (folder / RESULT).exists()


def result_of(job: Job) -> JobResult:
    """What became of a job that is not running, from its files."""
    status = read_status(job.folder)
    if is_finished(job.folder):
        result = json.loads((job.folder / RESULT).read_text(encoding="utf-8"))
        return JobResult(job, "done", status.attempt, result=result)
    return JobResult(job, "failed", status.attempt, error=status.error)


def read_status(folder: Path) -> Status:
    """How far the job in `folder` is; "waiting" where nothing has been written."""
    try:
        return Status.model_validate_json((folder / _STATUS).read_bytes())
    except FileNotFoundError:
        return Status()


def change_status(folder: Path, **changes: Any) -> None:
    """Write `status.json` with some fields changed."""
    write_json(folder / _STATUS, read_status(folder).model_copy(update=changes).model_dump())


def read_call(folder: Path) -> tuple[str, dict[str, Any]]:
    """Target and arguments from `job.json`."""
    content = _described(folder)
    return content["target"], content["arguments"]


def write_job(job: Job) -> None:
    """Write `job.json`, and the status of a job that was interrupted or not begun as "waiting".

    Raises:
        OutputError: another job has begun or finished in the folder. Going on from its checkpoints, or taking its
            result, would pass one configuration's work off as another's.
        TypeError, ValueError: the arguments are not JSON.
    """
    content = {"format": _FORMAT, "name": job.name, "target": job.target, "arguments": job.arguments}
    new = json.loads(json.dumps(content, allow_nan=False))  # as it will be read back: tuples become lists
    done = is_finished(job.folder)
    if done or read_status(job.folder).attempt:
        old = _described(job.folder) | {"name": job.name}
        if old != new:
            raise OutputError(
                f"{job.folder}: {'finished' if done else 'begun'} with other settings ({_difference(old, new)}); "
                "go on with those, choose another --out, or remove the folder to start over"
            )
    else:
        write_json(job.folder / _JOB, new)
    if not done:
        change_status(job.folder, state="waiting", ended=None, error=None)
    elif read_status(job.folder).state != "done":  # killed between the two files
        change_status(job.folder, state="done", ended=now(), error=None)


def _described(folder: Path) -> Any:
    path = folder / _JOB
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _difference(old: Any, new: Any, where: str = "") -> str:
    """The first place where two JSON values differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in sorted({*old, *new}) if old.get(key, ...) != new.get(key, ...))
        return _difference(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    return f"{where}: {json.dumps(old)} there, {json.dumps(new)} now"
