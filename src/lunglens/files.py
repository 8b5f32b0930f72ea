"""Files whole or not at all, one writer at a time; records and journals read back."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from lunglens.errors import DataError, OutputError
from lunglens.text import escaped

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

_Record = TypeVar("_Record", bound=BaseModel)
LEFTOVER = re.compile(r"\.partial-[a-z0-9_]{8}(\.[A-Za-z0-9]*)?")  # names of files that a killed process was writing


class Record(BaseModel):
    """What a JSON file, or a part of one, holds; it is never changed, and keys of a later version are passed over."""

    model_config = ConfigDict(frozen=True)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary name beside `path`, flush it to disk, then rename it onto `path`.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept because image writers choose their format by it.
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_current_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _current_umask() -> int:
    """The process's umask (it can only be read by setting it)."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path`, whole or not at all; what could command a terminal is escaped."""
    lines = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).split("\n")
    safe = "\n".join(escaped(line, lambda letter: json.dumps(letter)[1:-1]) for line in lines)
    write_bytes(path, f"{safe}\n".encode())


def save_csv(table: "pd.DataFrame", path: Path) -> None:
    """A CSV, whole or not at all, with the same line ends everywhere."""
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False, lineterminator="\n"))


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Around all that writes into `place`.

    Raises:
        OutputError: it cannot be written: going on would only lose more.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OutputError(f"{place}: cannot be written: {reason}; free space or rights, then run again") from error


@contextmanager
def only_one(lock: Path, place: Path, what: str) -> Iterator[None]:
    """Hold the file `lock` while the body works on `place`; `what` is the work's name, such as "batch".

    The lock ends with the process, however that ends; the file stays.

    Raises:
        OutputError: another process holds it, or its folder cannot be written.
    """
    held = FileLock(lock, timeout=0)
    with writing(place):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire()
        except Timeout as error:
            raise OutputError(
                f"{place}: another {what} is at work here; wait for it, stop it or choose another place"
            ) from error
    try:
        yield
    finally:
        held.release()


class Journal:
    """A file that gains a line an entry, which outlives this process; one that a kill has cut short spoils no other.

    entries: the lines that an earlier process has left, for the caller to parse and to pass over where it cannot.
    """

    def __init__(self, path: Path) -> None:
        """Read it; one that is not there is empty.

        Raises:
            OSError: it is there and cannot be read.
        """
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        self._is_torn = bool(content) and not content.endswith(b"\n")
        self.entries = content.splitlines()

    def append(self, *entries: Any, sync: bool = True) -> None:
        """Add entries, as JSON.

        Args:
            entries: a line each.
            sync: wait until they are on the disk, and would outlive a loss of power too.

        Raises:
            OSError: it cannot be written.
        """
        if not entries:
            return
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        with self._path.open("ab") as stream:
            stream.write((b"\n" if self._is_torn else b"") + text.encode())
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        self._is_torn = False


def read_json(path: Path, again: str) -> Any:
    """What a JSON file holds; `again` says how to make it anew.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: not there; {again}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); {again}") from error


def read_record(path: Path, kind: type[_Record], again: str) -> _Record:
    """A JSON file as a record; `again` says how to make it anew.

    Raises:
        DataError: it is missing, damaged, or of another format.
    """
    try:
        return kind.model_validate(read_json(path, again))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise DataError(f"{path}: of another format: {where}: {first['msg']}; {again}") from error


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON, whole or not at all."""
    write_json(path, record.model_dump(mode="json"))


def templates(package: str) -> "Environment":
    """Jinja's environment over the files of a package: a name that is not given is an error, in HTML all is escaped."""
    from importlib.resources import files

    from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FunctionLoader(lambda name: files(package).joinpath(name).read_text(encoding="utf-8")),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
