"""What comes from names and files commands neither a terminal nor a spreadsheet."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import uid

from lunglens.files import write_json
from lunglens.film.batch import SummaryRow, summary_csv
from lunglens.text import readable, storable
from tests.support.command import run_cli, summary
from tests.support.dicom_files import dataset_of, encoded, gradient

COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x9d0;title\x9c",
    "a\nforged.png: analyzed",
    "a\r\nb",
    "back\x08\x08space",
    "\x7f",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200b\u2060\ufeff",
    "\u2028line\u2029paragraph",
    "\udce9 no UTF-8",
    "\U000e0041 tag",
    "\x00",
]
texts = st.text(st.characters(exclude_categories=()))


def commands_in(text: str) -> set[str]:
    return {letter for letter in text if unicodedata.category(letter) in COMMANDS}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_made_visible(text: str) -> None:
    assert commands_in(readable(text)) == set()
    assert "\\" in readable(text)


@given(texts)
@example("Müller 日本　\u00a0 \U0001f98a = + - @ \\x1b")
def test_readable_text_has_no_commands_and_all_else_as_it_was(text: str) -> None:
    shown = readable(text)
    assert commands_in(shown) == set()
    assert readable(shown) == shown
    if not commands_in(text):
        assert shown == text
    shown.encode()


def test_readable_text_says_what_was_there() -> None:
    assert readable("a\x1b[1m\n\t\x9b\u202e\udce9\U000e0041") == "a\\x1b[1m\\n\\t\\x9b\\u202e\\udce9\\U000e0041"
    assert readable(ValueError("a\nb")) == "a\\nb"


@given(texts)
def test_json_holds_the_true_text_and_no_commands(text: str) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"lunglens-test-{os.getpid()}.json"  # noqa: S108
    try:
        write_json(path, {"path": storable(text), "also": {text: [text]}} if text.isprintable() else {"path": text})
        written = path.read_bytes().decode()
        assert commands_in(written) <= {"\n"}
        assert json.loads(written)["path"] == (storable(text) if text.isprintable() else text)
    finally:
        path.unlink(missing_ok=True)


COVID = ("covid", "not covid")
FORMULAS = [
    "=1+1.png",
    "+1.png",
    "-1+1.png",
    "@SUM(A1).png",
    " =1+1",
    "\u00a0\u3000=1",
    '"=1+1',
    "'=1",
    "\u201c=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM",
    "\ufe661",
    "\u22121+1",
    "-rf/film.png",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text: str) -> None:
    written = summary_csv([SummaryRow(text, "failed", reason=text, decision=text, result=text)], COVID)
    (row,) = csv.DictReader(io.StringIO(written))
    assert row["path"] == row["reason"] == row["result"] == f"'{text}"


@given(texts)
@example("\t=1")
@example("\r=1")
@example("\n=1")
@example("\x00=1")
@example("\u200b=1")
@example('",=1')
def test_any_cell_is_read_back_and_is_no_formula(text: str) -> None:
    written = summary_csv(
        [SummaryRow(text, "failed", withheld=text, reason=text, seconds=1.25, result="x.json")], COVID
    )
    assert written.count("\n") == 2
    (row,) = csv.DictReader(io.StringIO(written))
    assert row["path"].removeprefix("'") == readable(text).removeprefix("'")
    first = unicodedata.normalize("NFKC", row["path"].lstrip(' "\u00a0\u3000'))[:1]
    assert first not in set("=+-@\t\r\n")


def test_numbers_stay_numbers_and_no_separator_of_other_countries_begins_a_cell() -> None:
    row = SummaryRow("a;=1+1\t=2.png", "analyzed", {"covid": 0.25}, "covid", seconds=1.5, result="a.json")
    written = summary_csv([row], COVID)
    header, row, *_ = written.split("\n")
    assert header == "path,status,covid_probability,decision,withheld,reason,seconds,result"
    assert row == '"a;=1+1\\t=2.png","analyzed",0.25,"covid","","",1.5,"a.json"'


def raw(command: list[object], **options: object) -> bytes:
    """All that a command has written to its terminal, which it takes for a colourful one."""
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False, **options)
    return done.stdout + done.stderr


def test_hostile_file_names(chest_png: Path, tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    names = [name for name in HOSTILE if "\0" not in name]
    for name in names:
        shutil.copy(chest_png, films / f"{name}.png")
        (films / f"{name}.dcm").write_bytes(b"damaged")
        (films / f"{name}.txt").write_bytes(b"text")
    said = raw([sys.executable, "-m", "lunglens", "segment", films, "--out", out, "--list-skipped"])
    assert commands_in(said.decode()) <= {"\n"}
    assert f"{len(names)} no image" in said.decode()
    assert commands_in((out / "summary.csv").read_text()) <= {"\n"}
    statuses = [row["status"] for row in summary(out)]
    assert [statuses.count(status) for status in ("analyzed", "failed")] == [len(names), len(names)]
    assert not any(commands_in(os.fsdecode(path.name)) for path in out.iterdir())


def test_the_json_has_the_true_name(chest_png: Path, tmp_path: Path) -> None:
    for name, stored in (("=a\x1b\n\u202e.png",) * 2, ("caf\udce9.png", "caf\\udce9.png")):
        shutil.copy(chest_png, tmp_path / name)
        assert run_cli("analyze", tmp_path / name, "--out", tmp_path / "out").returncode == 0
        (result,) = (tmp_path / "out").glob("*.json")
        written = result.read_bytes().decode()
        assert commands_in(written) <= {"\n"}
        assert json.loads(written)["path"] == f"{tmp_path}/{stored}"
        shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize(
    "elements",
    [
        {"PhotometricInterpretation": "\x1b[31m"},
        {"Modality": "\x1b[31m\nx: analyzed"},
        {"BodyPartExamined": "\x1b]0;x\x07"},
        {"ViewPosition": "\x9b31m"},
    ],
)
def test_hostile_header_values(elements: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(encoded(dataset_of(gradient(), **elements)))
    assert commands_in(said_of(path, tmp_path)) <= {"\n"}


@pytest.mark.parametrize("text", ["1.2.\x1b[31m\x1b]0;owned\x07", "1.2.\n3: analyzed"])
def test_a_hostile_transfer_syntax(text: str, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    film = encoded(dataset_of(gradient()))
    assert film.count(uid.ExplicitVRLittleEndian.encode()) == 1
    longer = text.ljust(len(uid.ExplicitVRLittleEndian), "\x1b").encode()[: len(uid.ExplicitVRLittleEndian)]
    path.write_bytes(film.replace(uid.ExplicitVRLittleEndian.encode(), longer))
    said = said_of(path, tmp_path)
    assert commands_in(said) <= {"\n"}
    assert "failed" in said


def said_of(path: Path, folder: Path) -> str:
    """All that is said of a film on the terminal and in files of text."""
    out = folder / "out"
    said = raw([sys.executable, "-m", "lunglens", "analyze", path, "--out", out])
    files = [file for file in out.iterdir() if file.suffix in (".csv", ".json", ".jsonl", ".log")]
    return (said + b"".join(file.read_bytes() for file in files)).decode()


def test_hostile_arguments(tmp_path: Path) -> None:
    for arguments in (["--x\x1b[31m"], ["analyze", "a\x1b[31m", "--out", "b"], ["verify", "\x1b[31m"], ["\x1b[31m"]):
        said = raw([sys.executable, "-m", "lunglens", *arguments], cwd=tmp_path)
        assert commands_in(said.decode()) <= {"\n"}
        assert b"x1b" in said
