"""Files are written whole or not at all."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from lunglens.errors import DataError, OutputError
from lunglens.files import Journal, only_one, read_record, sha256_of, write_atomically, write_bytes, write_json, writing
from lunglens.text import markdown_table


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("error", [RuntimeError("killed"), OSError(errno.ENOSPC, "No space left on device")])
def test_a_writer_that_fails_midway_leaves_the_old_file_and_no_other(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise error

    with pytest.raises(type(error), match=str(error.args[-1])):
        write_atomically(path, half)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("result.json", "old")]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "new.png", fail)
    assert list(tmp_path.iterdir()) == []


def test_while_it_is_written_the_old_file_stands_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "film.png"
    write_bytes(path, b"old")

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert (temporary.parent, temporary.suffix) == (path.parent, ".png")
        assert temporary.name.startswith(".")

    write_atomically(path, write)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_name_that_is_taken_by_a_folder_leaves_no_temporary(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_bytes(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_bytes(tmp_path / "file" / "x", b"x")


@pytest.mark.usefixtures("umask")
def test_the_file_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    for name in ("x", "y"):  # asking for it does not change it
        write_bytes(tmp_path / name, b"x")
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o640


def test_json_comes_back_with_its_letters_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"name": "Kröger", "values": [1, 2.5, None]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "Kröger" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {"name": "Kröger", "values": [1, 2.5, None]}


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"auc": float("nan")})
    assert (tmp_path / "x.json").read_text() == "1\n"


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    write_bytes(tmp_path / "x", content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_a_second_one_is_told_to_wait_and_a_lock_left_by_a_killed_one_is_no_lock(tmp_path: Path) -> None:
    lock, place = tmp_path / "deep" / ".lock", tmp_path / "deep"
    with (
        only_one(lock, place, "batch"),
        pytest.raises(OutputError, match="deep: another batch is at work here"),
        only_one(lock, place, "batch"),
    ):
        pass
    assert lock.exists()
    with only_one(lock, place, "batch"):
        pass


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), only_one(tmp_path / "file" / ".lock", tmp_path, "run"):
        pass
    with pytest.raises(OutputError, match="No space left on device; free space"), writing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_journal_goes_on_after_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"film": 1}, {"film": 2})
    journal.append()
    path.write_bytes(path.read_bytes()[:-3])
    Journal(path).append({"film": 3})
    assert Journal(path).entries == [b'{"film": 1}', b'{"film": ', b'{"film": 3}']


class _Run(BaseModel):
    format: Literal[1]
    folds: list[str]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "not there; run again"),
        ("{", "damaged .*; run again"),
        ('{"format": 2, "folds": []}', "of another format: format: .*; run again"),
        ("[]", "of another format: the whole: .*; run again"),
    ],
)
def test_a_record_that_cannot_be_read_says_why_and_what_to_do(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=f"run.json: {reason}"):
        read_record(path, _Run, "run again")


def test_a_record_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"format": 1, "folds": ["0"]})
    assert read_record(tmp_path / "run.json", _Run, "run again") == _Run(format=1, folds=["0"])


def test_a_bar_in_a_cell_is_no_border_of_a_markdown_table() -> None:
    assert markdown_table(["a|b", "n"], [["c|d", "1"]], numbers_right=True)[2] == "| c\\|d | 1 |"
