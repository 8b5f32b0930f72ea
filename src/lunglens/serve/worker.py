"""The process that analyses films for the server or the node: a film that ends it ends nothing else.

It gets tasks over a pipe and answers each; results are files in the film's own folder.
"""

import multiprocessing
import os
import resource
import signal
import threading
from multiprocessing.connection import Connection

from lunglens.film.analyzer import Analyzer
from lunglens.film.radiograph import Limits
from lunglens.film.reading.apart import prepare
from lunglens.serve.logs import only_our_log
from lunglens.serve.settings import WorkerSettings
from lunglens.serve.task import Answer, Task, failure


def work(connection: Connection, settings: WorkerSettings, cores: list[int]) -> None:
    """Load the models, say so, then do tasks until the pipe closes. cores: see `AnalysingProcess`."""
    only_our_log()
    _stand_apart()
    prepare()
    analyzer = settings.load()
    if cores:  # a network computes with as many threads as the process has cores when it is loaded
        usable = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        analyzer.prepare()
        os.sched_setaffinity(0, usable)
    analyzer.prepare()
    # Memory that could be written (RLIMIT_DATA): what libraries only reserve does not count.
    resource.setrlimit(resource.RLIMIT_DATA, (settings.worker_memory_bytes, settings.worker_memory_bytes))
    connection.send(Answer("ready"))
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(answered(task, analyzer, settings.limits))


def _stand_apart() -> None:
    """Live no longer than the server, and in a group of processes that can be ended together."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the pipe
    threading.Thread(target=_end_with_the_server, daemon=True).start()


def _end_with_the_server() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)


def answered(task: Task, analyzer: Analyzer, limits: Limits) -> Answer:
    """Do a task; whatever goes wrong with it is its answer."""
    try:
        return _do(task, analyzer, limits)
    except OSError as error:
        return Answer("failed", f"the result could not be kept ({error.strerror})")
    except Exception as error:
        return failure(error)


def _do(task: Task, analyzer: Analyzer, limits: Limits) -> Answer:
    # What only the node needs costs the server nothing, and the other way round.
    if task.kind in ("analyse", "pictures", "dicom", "stored"):
        from lunglens.serve.server_results import DO

        return DO[task.kind](task.folder, analyzer, limits)
    from lunglens.serve.node_results import tell, write_results

    return tell(task.folder, task.reason) if task.kind == "tell" else write_results(task.folder, analyzer, limits)
