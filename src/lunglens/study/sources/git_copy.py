"""A data set published as a git repository: its newest state, without history."""

import errno
import os
import re
import shutil
import subprocess
from collections import deque
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.sources.retry import InterruptedTransferError, Meter, Patience, persist

# What git says when another attempt may help; anything else (no such repository, no right to read) stays as it is.
_LINE_TROUBLE = re.compile(
    r"early EOF|RPC failed|unexpected disconnect|hung up|timed out|too slow|reset by peer|Could not resolve host|"
    r"Failed to connect|Connection refused|SSL|error: 5\d\d|error: 429",
    re.IGNORECASE,
)
_PROGRESS = re.compile(r"(Receiving|Counting|Updating).*%.*")
# No questions, and no protocol but these; a published tree may place no links here and run nothing.
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_ALLOW_PROTOCOL": "http:https:file",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
    "LC_ALL": "C",
}
_SETTINGS = ("core.symlinks=false", "core.autocrlf=false", "core.hooksPath=/dev/null", "credential.helper=")


def copy_repository(url: str, folder: Path, meter: Meter, patience: Patience) -> str:
    """Bring the newest state of the repository at `url` into `folder`, over what an earlier call left there.

    Returns:
        Hex name of the commit.

    Raises:
        DataError: git is missing, the repository is not there, or the line stays bad.
        OSError: the disk is full.
    """
    if shutil.which("git") is None:
        raise DataError(
            "git is missing and this data set is published as a git repository; install git, then run again"
        )
    meter.start(url)
    persist(lambda: _clone(url, folder, meter, patience), patience, meter)
    return _git(["-C", str(folder), "rev-parse", "HEAD"], meter, patience).strip()


def _clone(url: str, folder: Path, meter: Meter, patience: Patience) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _git(["clone", "--progress", "--depth=1", "--no-tags", "--", url, str(folder)], meter, patience)


def _git(arguments: list[str], meter: Meter, patience: Patience) -> str:
    """What git writes; its progress is shown, and its complaints become an error."""
    command = ["git", *(part for setting in _SETTINGS for part in ("-c", setting)), *arguments]
    words: deque[str] = deque(maxlen=4)
    with subprocess.Popen(  # noqa: S603 - fixed commands; addresses are the sources' own constants
        command,
        env=os.environ | _ENVIRONMENT | {"GIT_HTTP_LOW_SPEED_TIME": str(max(1, round(patience.stall_s)))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in map(str.strip, process.stderr or ()):
                if progress := _PROGRESS.match(line):
                    meter.describe(progress[0])
                elif line:
                    words.append(line)
            answer = process.stdout.read() if process.stdout else ""
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise _error(" ".join(words), arguments[0])
    return answer


def _error(words: str, verb: str) -> Exception:
    if "No space left" in words:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if _LINE_TROUBLE.search(words):
        return InterruptedTransferError(f"git: {words}")
    return DataError(f"git {verb}: {words or 'failed'}")
