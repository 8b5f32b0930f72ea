"""The process that reads the inputs, one after another, and says of each what came of it."""

import os
import re
import resource
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from lunglens import errors
from lunglens.film.analyzer import Analyzer
from lunglens.film.radiograph import Radiograph, read_radiograph

MEMORY_BYTES = 8 * 1024**3  # the worker's own: an input that wants more must not take the machine down
MESSAGE_CHARACTERS = 600
_DIED = getattr(errors, "DecoderDiedError", ())
_NAME = "Never"  # of the patient "Never^Read" in the seeds' headers
# What an exception's own text, an address, a path of the program or a Python value looks like in a message.
_LEAK = re.compile(
    r"\w(Error|Exception|Warning)\b|Traceback|0x[0-9a-f]{5,}|site-packages|\.py\b|/tmp/|<class|<_io|\bb'|\[Errno|NoneType"
    r"|unpack requires|buffer size|index out of range|not enough values|invalid literal|codec can't|object has no"
)


@dataclass(frozen=True)
class Outcome:
    """result: analyzed, read, refused, failed, died or unforeseen. faults: what must not be. said: the error's text."""

    result: str
    faults: list[str] = field(default_factory=list)
    said: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def work(connection: Connection, noise: Path, analyze: bool) -> None:
    """Read (and analyse) the paths that come over the pipe, until it closes."""
    os.setsid()  # so that whatever the readers have started can be ended with this process
    _into(noise)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    analyzer = Analyzer.load() if analyze else None
    while True:
        try:
            path = Path(connection.recv())
        except EOFError:
            return
        connection.send(_read(path, noise, analyzer))


def _read(path: Path, noise: Path, analyzer: Analyzer | None = None) -> Outcome:
    before, children = noise.stat().st_size, _children_peak_kb()
    _forget_peak()
    started = time.perf_counter()
    result, said, faults = _judged(path, analyzer)
    seconds = time.perf_counter() - started
    if noise.stat().st_size > before:
        faults.append("printed")
    after = _children_peak_kb()
    peak_kb = max(_peak_kb(), after if after > children else 0)
    return Outcome(result, faults, said, round(seconds, 3), round(peak_kb / 1024, 1))


def _judged(path: Path, analyzer: Analyzer | None) -> tuple[str, str, list[str]]:
    """The result, the error's text, and what is wrong with them."""
    try:
        film = read_radiograph(path)
        result = "read" if analyzer is None else analyzer.analyze(film).status
    except errors.NotAChestRadiographError as error:
        return "refused", str(error), _of_text(error, path)
    except errors.UnreadableImageError as error:
        died = isinstance(error, _DIED)
        return "died" if died else "failed", str(error), _of_text(error, path)
    except BaseException as error:  # whatever it is, it is a finding
        return "unforeseen", repr(error)[:MESSAGE_CHARACTERS], ["unforeseen"]
    return result, "", _of_film(film)


def _of_text(error: Exception, path: Path) -> list[str]:
    text = str(error)
    cause = str(error.__cause__ or "")
    leaked = _LEAK.search(text.replace(path.name, "")) or (len(cause) > 14 and cause[:40] in text)
    if isinstance(error.__cause__, errors.LungLensError):  # its words are ours
        leaked = _LEAK.search(text.replace(path.name, ""))
    found = ["leaked"] if leaked or str(path.parent) in text else []
    found += ["patient"] if _NAME in text else []
    if not text.isprintable() or len(text) > MESSAGE_CHARACTERS:
        found.append("unprintable" if not text.isprintable() else "long")
    return found


def _of_film(film: Radiograph) -> list[str]:
    pixels = film.pixels
    good = pixels.dtype == np.float32 and pixels.ndim == 2 and bool(np.isfinite(pixels).all())
    good = good and float(pixels.min()) >= 0 and float(pixels.max()) <= 1
    texts = " ".join((*film.notes, *getattr(film, "warnings", ())))
    found = [] if good else ["bad pixels"]
    found += [] if texts.isprintable() else ["unprintable"]
    return found + (["leaked"] if _LEAK.search(texts) else [])


def _into(noise: Path) -> None:
    """What anything here prints, from C too, goes into a file."""
    handle = os.open(noise, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _family() -> list[int]:
    """This process and all below it."""
    found, waiting = [], [os.getpid()]
    while waiting:
        found.append(waiting.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                waiting += [int(number) for number in task.read_text().split()]
            except OSError:
                continue
    return found


def _forget_peak() -> None:
    for process in _family():
        try:
            Path(f"/proc/{process}/clear_refs").write_text("5")  # sets the peak to the present size
        except OSError:
            continue


def _peak_kb() -> int:
    peak = 0
    for process in _family():
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        peak = max([peak, *(int(found) for found in re.findall(r"VmHWM:\s+(\d+)", status))])
    return peak


def _children_peak_kb() -> int:
    """Of children that have ended: the largest so far."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
