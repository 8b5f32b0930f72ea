"""A data set published as a git repository: its newest state, without history, in steps that a kill does not undo.

A plain clone keeps nothing when it breaks off. Here the list of files comes first (a partial clone), then their
contents some files at a time; what has come is kept. Servers that know no partial clones send everything at once.
"""

import errno
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.sources.retry import InterruptedTransferError, Meter, Patience, persist

FILES_A_STEP = 25
# What git says when another attempt may help; anything else (no such repository, no right to read) stays as it is.
LINE_TROUBLE = re.compile(
    r"early EOF|RPC failed|unexpected disconnect|hung up|timed out|too slow|reset by peer|Could not resolve host|"
    r"Failed to connect|Connection refused|SSL|error: 5\d\d|error: 429",
    re.IGNORECASE,
)
PROGRESS = re.compile(r"(Receiving|Counting|Updating).*%.*")
# No questions, and no protocol but these; a published tree may place no links here and run nothing.
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_ALLOW_PROTOCOL": "http:https:file",
    "LC_ALL": "C",
}
SETTINGS = ("core.symlinks=false", "core.autocrlf=false", "core.hooksPath=/dev/null", "credential.helper=", "gc.auto=0")


def copy_repository(url: str, folder: Path, meter: Meter, patience: Patience) -> str:
    """Bring the newest state of the repository at `url` into `folder`, going on with what an earlier call left there.

    Returns:
        Hex name of the commit.

    Raises:
        DataError: git is missing or too old, the repository is not there, or the line stays bad.
        OSError: the disk is full.
    """
    if shutil.which("git") is None:
        raise DataError(
            "git is missing and this data set is published as a git repository; install git, then run again"
        )
    repository = _Repository(folder, meter, patience)
    meter.start(url)
    persist(lambda: repository.fetch(url), repository.count, patience, meter)
    persist(repository.fetch_missing, repository.count, patience, meter)
    return repository.check_out()


class _Repository:
    """A repository on disk that is being filled."""

    def __init__(self, folder: Path, meter: Meter, patience: Patience) -> None:
        self._folder, self._own, self._meter = folder.resolve(), folder.resolve() / ".git", meter
        place = {"GIT_DIR": str(self._own), "GIT_WORK_TREE": str(self._folder)}  # and in no folder above
        speed = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": str(max(1, round(patience.stall_s)))}
        self._environment = os.environ | ENVIRONMENT | place | speed
        self._commit = ""
        folder.mkdir(exist_ok=True)

    def fetch(self, url: str) -> None:
        """The newest commit and its list of files; all contents too where the server cannot leave them out."""
        self._git("init", "--quiet")
        for left in (*self._own.glob("*.lock"), *self._own.glob("objects/pack/tmp_*")):  # by a killed git
            left.unlink()
        self._git("config", "remote.origin.url", url)
        self._git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        self._git("fetch", "--progress", "--no-tags", "--depth=1", "--filter=blob:none", "origin", "HEAD")
        self._commit = self._git("rev-parse", "FETCH_HEAD").strip()

    def fetch_missing(self) -> None:
        """The contents that are not there yet."""
        missing = self._missing()
        self._meter.note(f"{len(missing)} files to fetch")
        self._meter.start("fetching", 0, len(missing))
        fetch = ("fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin", "origin")
        for start in range(0, len(missing), FILES_A_STEP):
            wanted = missing[start : start + FILES_A_STEP]
            self._git("-c", "fetch.negotiationAlgorithm=noop", *fetch, given="\n".join(wanted) + "\n")
            self._meter.advance(len(wanted))

    def check_out(self) -> str:
        """Write the files, over what a killed call may have cut short; which commit it is."""
        self._meter.start("writing the files")
        self._git("reset", "--quiet", "--hard", self._commit)
        return self._commit

    def count(self) -> int:
        """Bytes of content that are there."""
        return sum(pack.stat().st_size for pack in self._own.glob("objects/pack/*.pack"))

    def _missing(self) -> list[str]:
        listed = self._git("rev-list", "--objects", "--missing=print", self._commit)
        return [line[1:].split()[0] for line in listed.splitlines() if line.startswith("?")]

    def _git(self, *arguments: str, given: str = "") -> str:
        """What git writes; its progress is shown, and its complaints become an error."""
        command = ["git", *(part for setting in SETTINGS for part in ("-c", setting)), *arguments]
        words: deque[str] = deque(maxlen=4)
        with tempfile.TemporaryFile("w+", errors="replace") as asked, tempfile.TemporaryFile("w+") as told:
            told.write(given)
            told.seek(0)
            with subprocess.Popen(  # noqa: S603 - fixed commands; addresses are the sources' own constants
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=told,
                stdout=asked,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process:
                try:
                    for line in process.stderr or ():
                        self._show(line.strip(), words)
                except BaseException:
                    process.terminate()
                    raise
            if process.returncode:
                raise _error(" ".join(words), arguments)
            asked.seek(0)
            return asked.read()

    def _show(self, line: str, words: deque[str]) -> None:
        if progress := PROGRESS.match(line):
            self._meter.describe(progress[0])
        elif line:
            words.append(line)


def _error(words: str, arguments: tuple[str, ...]) -> Exception:
    if "No space left" in words:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if LINE_TROUBLE.search(words):
        return InterruptedTransferError(f"git: {words}")
    return DataError(f"git {' '.join(arguments)}: {words or 'failed'}")
