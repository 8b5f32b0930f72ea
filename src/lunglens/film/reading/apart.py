"""The decoding process, as its user sees it: whatever a file's bytes do to a decoder ends that process and no other.

One such process lives as long as the program and is used for one file after another; where it dies or hangs, the next
file gets a new one. It is given bytes and answers with bytes: nothing that it says is ever run.
"""

import atexit
import json
import logging
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from lunglens import errors
from lunglens.errors import DecoderDiedError, DecoderNotStartedError, DecodingTimeoutError, UnreadableImageError

SECONDS = 30  # a film takes one at most
_SLACK_S = 5  # the process ends itself after SECONDS; this one waits a little longer
_START_S = 60
_MOST_KILLS = 5  # of the process by others, with one film
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from lunglens.film.reading.decoding_process import main; main()"
_HEADER = struct.Struct("<LQ")

log = logging.getLogger("lunglens.film.reading")


def decode_apart(kind: str, data: bytes, how: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Decode in the decoding process.

    Args:
        kind: "picture" (see `raster.decode_picture`) or "codestream" (see `decoders.decode_codestream`).
        data: the bytes to decode.
        how: what the decoder is told, as JSON takes it.

    Returns:
        the values, (H, W) or (H, W, 3), and what else the decoder says.

    Raises:
        DecoderDiedError: the decoding process died of it, took more than SECONDS, or was killed again and again.
        DecoderNotStartedError: there is no decoding process.
        UnreadableImageError, NotAChestRadiographError: as the decoder says.
    """
    with _LOCK:
        for tries in range(1, _MOST_KILLS + 1):
            process = _the_process()
            try:
                return process.decode(kind, data, how)
            except DecodingTimeoutError:
                raise
            except (DecoderDiedError, DecoderNotStartedError):
                # Once more: it may have been the last file's doing. More often where somebody else has ended it.
                if tries >= (_MOST_KILLS if process.was_killed else 2):
                    raise
        raise AssertionError  # the last try has returned or raised


def prepare() -> None:
    """Start the decoding process while something else is done, such as loading models."""
    with _LOCK, suppress(DecoderNotStartedError):  # which the first film that needs it will say
        _the_process()


class _DecodingProcess:
    """A child that decodes; used by one thread at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        # Isolated (-I): neither the working folder nor the environment decides what the child imports. Where this
        # process found its modules the child finds them, but for the working folder itself.
        command = [sys.executable, "-I", "-c", _PROGRAM, *_folders_of_modules()]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self._child = subprocess.Popen(  # noqa: S603 - a constant program of this package
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,
            )
        except (OSError, TypeError, ValueError) as error:  # no such program, or no more processes or files
            raise _not_started(error) from error
        # Unbuffered pipes are raw streams, which say how much they have taken.
        self._questions, self._answers = cast(FileIO, self._child.stdin), cast(FileIO, self._child.stdout)
        os.set_blocking(self._questions.fileno(), False)  # what takes no question must not keep this program waiting
        self._is_ready = False
        self.was_killed = False  # by somebody else, such as a machine that is short of memory

    @property
    def is_alive(self) -> bool:
        """Whether it is this process's child, and has not ended."""
        return self.owner == os.getpid() and self._child.poll() is None

    def decode(self, kind: str, data: bytes, how: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
        """See `decode_apart`."""
        try:
            if not self._is_ready:
                self._receive(time.monotonic() + _START_S)
                self._is_ready = True
            deadline = time.monotonic() + SECONDS + _SLACK_S
            self._send(json.dumps({"kind": kind, "how": how}).encode(), data, deadline)
            answer, values = self._receive(deadline)
        except BaseException as error:
            self.end()  # also where a person has pressed Ctrl-C: the answer would come to the next question
            if isinstance(error, OSError | EOFError | ValueError):
                raise self._died(error) from error
            raise
        if "error" in answer:
            _raise_again(answer)
        return values, answer

    def end(self) -> None:
        """End the child at once."""
        self._child.kill()
        self._child.wait()
        self._questions.close()
        self._answers.close()

    def _died(self, error: Exception) -> UnreadableImageError:
        # By these signals no decoder ends itself. Where the answer was rubbish it was this program that has killed it.
        self.was_killed = self._child.returncode in _BY_OTHERS and isinstance(error, EOFError | BrokenPipeError)
        if not self._is_ready:
            return _not_started(error)
        log.info("the decoding process ended (%s, code %s)", type(error).__name__, self._child.returncode)
        if isinstance(error, TimeoutError) or self._child.returncode == -_ALARM:
            return DecodingTimeoutError(f"its decoding took more than {SECONDS} s. Copy or export it again.")
        if self.was_killed:
            return DecoderDiedError("the program that decodes it was ended by others (too little memory?). Try again.")
        return DecoderDiedError("it ended the program that decodes it: it is damaged. Copy or export it again.")

    def _send(self, question: bytes, data: bytes, deadline: float) -> None:
        for part in (_HEADER.pack(len(question), len(data)), question, data):
            view = memoryview(part)
            while view:
                _wait(self._questions, selectors.EVENT_WRITE, deadline)
                view = view[self._questions.write(view) or 0 :]

    def _receive(self, deadline: float) -> tuple[dict[str, Any], NDArray[Any]]:
        length, size = _HEADER.unpack(self._read(_HEADER.size, deadline))
        answer: dict[str, Any] = json.loads(self._read(length, deadline))
        values = self._read(size, deadline)
        if "dtype" not in answer:
            return answer, np.zeros(0)
        return answer, np.frombuffer(values, answer.pop("dtype")).reshape(answer.pop("shape"))

    def _read(self, size: int, deadline: float) -> bytearray:
        found = bytearray(size)
        view = memoryview(found)
        while view:
            _wait(self._answers, selectors.EVENT_READ, deadline)
            taken = self._answers.readinto(view)
            if not taken:
                raise EOFError
            view = view[taken:]
        return found


def _folders_of_modules() -> list[str]:
    """Where this process finds its modules, but for the working folder, which may be gone."""
    folders = [str(folder) for folder in sys.path if folder]
    try:
        return [str(Path(folder).absolute()) for folder in folders]
    except FileNotFoundError:  # a relative folder then leads nowhere
        return [folder for folder in folders if Path(folder).is_absolute()]


def _wait(pipe: FileIO, event: int, deadline: float) -> None:
    """Wait until the pipe is ready, whatever its number: `select` refuses those above 1023."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, event)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError


def _not_started(error: Exception) -> DecoderNotStartedError:
    log.info("the decoding process does not start (%s)", type(error).__name__)
    return DecoderNotStartedError("the program that decodes images does not start; this says nothing of the file.")


_ALARM = 14  # SIGALRM, by which the child ends itself
_BY_OTHERS = {-1, -9, -15}  # SIGHUP, SIGKILL, SIGTERM
_LOCK = threading.Lock()
_running: list[_DecodingProcess] = []


def _the_process() -> _DecodingProcess:
    """The one that runs, or a new one: where there is none, it has died, or is a parent's (after a fork)."""
    if not _running or not _running[0].is_alive:
        _running[:] = [_DecodingProcess()]
    return _running[0]


@atexit.register
def _end() -> None:
    for process in _running:
        if process.is_alive:
            process.end()


def _after_fork() -> None:
    """A child that a fork makes has a lock of its own: another thread may hold the parent's, and is not there."""
    global _LOCK  # noqa: PLW0603 - the parent's may be locked for ever
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _raise_again(answer: dict[str, Any]) -> NoReturn:
    kind = getattr(errors, answer.pop("error"), UnreadableImageError)
    raise kind(answer.pop("text"), **answer)
