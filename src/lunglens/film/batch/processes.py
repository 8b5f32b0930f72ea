"""Films dealt out to processes that share nothing: who dies with a film leaves the rest of its share to the next."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from lunglens.errors import LungLensError
from lunglens.film.reading.apart import prepare

KILLER = "it ended the process that read it: damaged, malicious or too large for the memory"
_MOST_TRIES = 2  # of a film that ends its process
_WORTH_A_PROCESS = 8  # films: what starting another one takes

_Task = TypeVar("_Task")
_Found = TypeVar("_Found")
Begin = Callable[[], Callable[[_Task], _Found]]


def processes_for(films: int, jobs: int | None) -> int:
    """How many processes share so many films: `jobs`, or where nobody has said, as many as cores, if it is worth it."""
    return jobs or max(1, min(cores(), films // _WORTH_A_PROCESS))


def cores() -> int:
    """How many this process may use."""
    return len(_cores()) or os.cpu_count() or 1


def share_of_cores(number: int, processes: int) -> list[int]:
    """The cores of one of so many processes, as far as there are; none where the system does not tell."""
    there = _cores()
    return there[number % len(there) :: processes] if there else []


def work_off(left: dict[str, _Task], begin: "Begin[_Task, _Found]", jobs: int) -> Iterator[tuple[str, _Found | None]]:
    """What each task gave, in the order in which they end; None of one that has ended its process twice.

    Args:
        left: the tasks by name; emptied on the way.
        begin: called in each process, gives what is called with each task; it, tasks and what they give are pickled.
        jobs: processes at a time.

    Raises:
        LungLensError: of the first task that raised it.
    """
    tries: Counter[str] = Counter()
    while left:
        suspects = [(key, task) for key, task in left.items() if tries[key]]  # each alone: it may be the memory's fault
        dealt = suspects or list(left.items())
        shares = [dealt[first::jobs] for first in range(min(jobs, len(dealt)))] if not suspects else [dealt]
        with _processes(shares, begin) as pipes:
            while pipes:
                wait(pipes)
                for pipe in [pipe for pipe in pipes if pipe.poll()]:
                    try:
                        key, found = pipe.recv()
                    except (EOFError, OSError):  # its process has ended
                        pipes.remove(pipe)
                        continue
                    if isinstance(found, LungLensError):
                        raise found
                    del left[key]
                    yield key, found
        for share in shares:
            at = next((key for key, _ in share if key in left), None)
            if at is None:
                continue
            tries[at] += 1
            if tries[at] >= _MOST_TRIES:
                del left[at]
                yield at, None


@contextmanager
def _processes(shares: list[list[tuple[str, Any]]], begin: "Begin[Any, Any]") -> Iterator[list[Connection]]:
    """Pipes from a process a share, each with cores of its own as far as there are; none outlives this."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as ends:
        pipes = []
        for first, share in enumerate(shares):
            its_cores = share_of_cores(first, len(shares))
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(share, theirs, begin, its_cores))
            with _threads(len(its_cores)):
                process.start()
            theirs.close()
            pipes.append(ends.enter_context(ours))
            ends.callback(process.join)
            ends.callback(process.kill)
        yield list(pipes)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """What starts meanwhile computes with so many threads, unless the user has said with how many."""
    if not number or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(number)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _work(share: list[tuple[str, Any]], pipe: Connection, begin: "Begin[Any, Any]", cores: list[int]) -> None:
    """One process: task after task, each told before the next is begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    prepare()
    with suppress(BrokenPipeError):  # the parent has ended
        try:
            do = begin()
            for key, task in share:
                pipe.send((key, do(task)))
        except LungLensError as error:  # no film's fault: a model that does not load, a full disk
            pipe.send(("", error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
