"""The process of one job, `python -m lunglens.jobs FOLDER`: call its target, write its result and its status."""

import argparse
import os
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lunglens.errors import LungLensError
from lunglens.files import write_json
from lunglens.jobs.job import PROCESS_LOCK, RESULT, change_status, is_finished, now, read_call, read_status

# What an earlier attempt has started may outlive it: a loader's workers for seconds, and the lock of a machine that
# went down for as long as the file server takes to notice (90 s for NFS).
LOCK_WAIT_S = 120


def main() -> int:
    """Do the job whose `job.json` lies in FOLDER; 0 when its result is written."""
    parser = argparse.ArgumentParser(prog="python -m lunglens.jobs", description="Do one job in this process.")
    parser.add_argument("folder", type=Path, help="the job's folder, with its job.json")
    parser.add_argument("--watched", action="store_true", help="die when standard input closes")
    arguments = parser.parse_args()
    if arguments.watched:
        _die_with_parent()
    # Lightning's DDP starts this command again for every further device: those only compute.
    if os.environ.get("LOCAL_RANK", "0") != "0":
        _call(arguments.folder)
        return 0
    return _do(arguments.folder)


def _do(folder: Path) -> int:
    attempt, host, pid = read_status(folder).attempt + 1, socket.gethostname(), os.getpid()
    print(f"--- attempt {attempt}, {host}, process {pid}, {now()} ---")  # noqa: T201
    begun = {"attempt": attempt, "host": host, "pid": pid, "started": now(), "ended": None, "error": None}
    try:
        with FileLock(folder / PROCESS_LOCK, timeout=LOCK_WAIT_S):
            if not is_finished(folder):
                change_status(folder, state="running", **begun)
                write_json(folder / RESULT, _call(folder))
            change_status(folder, state="done", ended=now(), error=None)
        return 0
    except Timeout:
        old = read_status(folder)
        error = f"{folder}: process {old.pid} on {old.host} is still at this job; end it, then run again"
    except Exception as failure:
        traceback.print_exc()
        error = str(failure) if isinstance(failure, LungLensError) else f"{type(failure).__name__}: {failure}"
    change_status(folder, state="failed", ended=now(), error=error)
    return 1


def _call(folder: Path) -> Any:
    target, arguments = read_call(folder)
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)(folder, **arguments)


def _die_with_parent() -> None:
    """End this process and all it has started once the runner is gone: its end of the pipe then closes.

    A pipe does what PR_SET_PDEATHSIG does, reaches the loader's workers too, and is not bound to the runner's thread.
    """

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin: a lock held in a thread would be copied into forked workers
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    if os.getpgrp() != os.getpid():
        raise SystemExit("--watched is for a process that leads its own group")
    threading.Thread(target=watch, name="die with parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
