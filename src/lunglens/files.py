"""Writing files so that a killed process or a full disk never leaves half of one; text that commands no terminal."""

import hashlib
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

LEFTOVER = re.compile(r"\.partial-[a-z0-9_]{8}(\.[A-Za-z0-9]*)?")  # names of files that a killed process was writing
# Controls, marks that turn the direction of writing or cannot be seen, halves of pairs, separators of lines.
_COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


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
    """Write `content` as indented JSON to `path`, whole or not at all; what could command a terminal is escaped."""
    lines = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).split("\n")
    safe = "\n".join(line if line.isprintable() else _escaped(line, _json_escape) for line in lines)
    write_bytes(path, f"{safe}\n".encode())


def save_csv(table: "pd.DataFrame", path: Path) -> None:
    """A CSV, whole or not at all, with the same line ends everywhere."""
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False, lineterminator="\n"))


def readable(text: object) -> str:
    r"""Text for a terminal, a log or a table: whatever commands one becomes a visible escape (`\x1b`, `\n`, `\u202e`).

    These are control characters, line ends among them, marks that turn the direction of writing, and bytes of a file
    name that are no UTF-8 (`\udce9`). A backslash stays itself, so that the function may be applied twice.
    """
    line = str(text)
    return line if line.isprintable() else _escaped(line, _python_escape)


def storable(text: object) -> str:
    r"""Text that JSON and UTF-8 can hold, else as it is: bytes of a file name that are no UTF-8 become `\udce9`."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    return "".join(escape(letter) if unicodedata.category(letter) in _COMMANDS else letter for letter in text)


def _python_escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _json_escape(letter: str) -> str:
    return json.dumps(letter)[1:-1]


def reason_of(error: Exception, file: Path) -> str:
    """What an error about a file says, without the file's name, which may hold a patient's."""
    return readable(str(error).removeprefix(f"{file.name}: "))


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
