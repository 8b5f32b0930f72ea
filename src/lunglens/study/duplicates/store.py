"""Descriptions of many files, kept in one SQLite file: what is known is not computed again, a killed run goes on."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from lunglens.errors import DataError, LungLensError
from lunglens.study.duplicates.describe import SIDE, VERSION, Description, describe
from lunglens.study.sources.registry import Problem, Problems
from lunglens.text import readable

FILE = "descriptions.sqlite"
_CHUNK = 64  # files a worker takes at a time, and a transaction keeps
_TABLE = """CREATE TABLE IF NOT EXISTS films (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, version INTEGER,
pixel_hash BLOB, view BLOB) WITHOUT ROWID"""

Answer = Description | str  # a description, or what is wrong with the file


def describe_all(paths: Sequence[str], cache: Path, console: Console, problems: Problems) -> dict[str, Description]:
    """Path -> description for every file that can be read; the others are noted in `problems`.

    Files are known by path, size and time of change. Each chunk is kept as soon as it is done.

    Raises:
        DataError: the cache cannot be written, or is none of ours.
    """
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(cache / FILE, timeout=60)) as store:
            store.execute(_TABLE)
            return _describe_all(paths, store, console, problems)
    except sqlite3.Error as error:
        raise DataError(
            f"{cache / FILE}: {error}; free space, or delete this file: it can be computed again"
        ) from error


def _describe_all(
    paths: Sequence[str], store: sqlite3.Connection, console: Console, problems: Problems
) -> dict[str, Description]:
    known = {row[0]: row[1:] for row in store.execute("SELECT path, size, mtime_ns, version FROM films")}
    stamps: dict[str, tuple[int, int, int]] = {}
    for path in paths:
        try:
            stat = Path(path).stat()
            stamps[path] = (stat.st_size, stat.st_mtime_ns, VERSION)
        except OSError as error:
            problems.append(Problem(path, None, None, f"cannot be read ({error.strerror}); not compared"))
    todo = [path for path, stamp in stamps.items() if known.get(os.fsencode(path)) != stamp]
    failed: set[str] = set()
    with Progress(console=console) as progress:
        task = progress.add_task("reading films", total=len(stamps), completed=len(stamps) - len(todo))
        for answers in _answers(todo):
            with store:
                for path, answer in answers:
                    if isinstance(answer, str):
                        failed.add(path)
                        problems.append(Problem(path, None, None, f"{answer} Not compared."))
                    else:
                        row = (os.fsencode(path), *stamps[path], answer.pixel_hash, answer.view.tobytes())
                        store.execute("REPLACE INTO films VALUES (?, ?, ?, ?, ?, ?)", row)
            progress.advance(task, len(answers))
    return {path: _load(store, path) for path in stamps if path not in failed}


def _load(store: sqlite3.Connection, path: str) -> Description:
    query = "SELECT pixel_hash, view FROM films WHERE path = ?"
    pixels, view = store.execute(query, (os.fsencode(path),)).fetchone()
    return Description(pixels, np.frombuffer(view, np.uint8).reshape(SIDE, SIDE))


def _answers(paths: list[str]) -> Iterator[list[tuple[str, Answer]]]:
    """Chunks of answers, as they are done; a file that ends its worker is named, the others go on."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    if len(chunks) <= 1:
        yield from map(_answer_all, chunks)
        return
    broken: list[list[str]] = []
    with _pool(min(os.cpu_count() or 1, len(chunks))) as pool:
        running: dict[Future[list[tuple[str, Answer]]], list[str]] = {pool.submit(_answer_all, c): c for c in chunks}
        for future in as_completed(running):
            try:
                yield future.result()
            except BrokenProcessPool:
                broken.append(running[future])
    for path in (path for chunk in broken for path in chunk):
        with _pool(1) as single:
            try:
                yield single.submit(_answer_all, [path]).result()
            except BrokenProcessPool:
                yield [(path, "It ended the process that read it: damaged, malicious or too large for the memory.")]


def _answer_all(paths: list[str]) -> list[tuple[str, Answer]]:
    return [(path, _answer(path)) for path in paths]


def _answer(path: str) -> Answer:
    try:
        return describe(Path(path))
    except LungLensError as error:
        return readable(error)
    except MemoryError:
        return "Not enough memory for this image."


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, for a fork of a process with threads (progress bar, BLAS) can hang.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
