"""What fetching and unpacking share: patience with a bad line, a progress bar, room on the disk, damage."""

import itertools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from lunglens.errors import DataError, OutputError
from lunglens.text import readable

SPARE_BYTES = 200_000_000  # a disk filled to the last byte breaks other programs


class DamagedError(DataError):
    """What arrived is not what the publisher has; fetching it anew may help."""


class InterruptedTransferError(Exception):
    """The transfer broke off in a way that another attempt may get over."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s  # as the server asks


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad line: attempts, waits that double, a stalled line."""

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0
    stall_s: float = 60.0

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        return min(self.first_wait_s * 2.0 ** (failures - 1), self.longest_wait_s)


class Meter:
    """One line of progress on a console, and notes above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def start(self, title: str, total: int | None = None) -> None:
        """Show `title` with nothing of `total` (None: unknown) done; the speed is measured from here."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(title, total=total)

    def advance(self, count: int) -> None:
        """So many more."""
        if self._task is not None:
            self._progress.advance(self._task, count)

    def describe(self, words: str) -> None:
        """Change the words only."""
        if self._task is not None:
            self._progress.update(self._task, description=words)

    def note(self, text: str) -> None:
        """A line that stays."""
        self._progress.console.print(readable(text), markup=False, highlight=False, soft_wrap=True)


def progress_on(console: Console) -> Progress:
    """A progress display with bytes, speed and time left."""
    words = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(words, *columns, console=console)


def persist(attempt: Callable[[], None], patience: Patience, meter: Meter) -> None:
    """Call `attempt` until it ends without `InterruptedTransferError`; `meter` is told of every failure.

    Raises:
        DataError: too many attempts failed, or the server asks for too long a wait.
    """
    for failures in itertools.count(1):
        try:
            return attempt()
        except InterruptedTransferError as error:
            wait_s = patience.wait_s(failures) if error.wait_s is None else error.wait_s
            if failures >= patience.attempts:
                raise DataError(f"{error}; {failures} attempts failed; run the same command later to go on") from error
            if wait_s > patience.longest_wait_s:
                raise DataError(
                    f"{error}; the server asks to wait {wait_s:.0f} s; run the same command then"
                ) from error
            meter.note(f"{error}; again in {wait_s:.0f} s")
            time.sleep(wait_s)
    raise AssertionError("never reached")


def need_room(folder: Path, count: int, purpose: str) -> None:
    """Refuse to start what would fill the disk.

    Raises:
        OutputError: fewer than `count` bytes, and some to spare, are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if free < count + SPARE_BYTES:
        raise OutputError(
            f"{folder}: {purpose} needs {decimal(count + SPARE_BYTES)} of free disk space, {decimal(free)} are free; "
            "free some or choose another folder, then run the same command to go on"
        )
