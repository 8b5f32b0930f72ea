"""Writing files so that a killed process or a full disk never leaves half of one."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
        temporary.chmod(0o666 & ~current_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def current_umask() -> int:
    """The process's umask (it can only be read by setting it)."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    write_atomically(path, lambda temporary: _write(temporary, content))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path`, whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def readable(text: object) -> str:
    """Text that any terminal and file takes: bytes of a file name that are no UTF-8 become escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
