"""The command line's manners."""

import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lunglens import __version__
from lunglens.cli.main import _extra_that_brings, app
from lunglens.film.model_package.package import shipped_models
from tests.support.command import run_cli

# The package's face hands on the function of this name.
main_module = importlib.import_module("lunglens.cli.main")


def verbs(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb and group of verbs, with how it is called."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from verbs(below, (*path, name))


VERBS = dict(verbs())


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['lunglens', '--help']\n"
        "from lunglens.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('HEAVY', sorted({'numpy', 'onnxruntime', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    for verb in ("analyze", "segment", "verify", "train", "evaluate"):
        assert verb in done.stdout
    assert "HEAVY []" in done.stdout


def test_verify_shipped_models() -> None:
    done = run_cli("verify")
    assert done.returncode == 0
    assert done.stdout.count("good") == 5


def test_verify_goes_on_after_a_folder_that_is_no_package(tmp_path: Path) -> None:
    done = run_cli("verify", tmp_path, shipped_models() / "lungs")
    assert done.returncode == 1
    assert "package.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("good") == 1


def test_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[lungs]\ninput_sise = 256\n")
    done = run_cli("train", "lungs", "--data", tmp_path, "--out", tmp_path / "o", "--config", config)
    assert done.returncode == 2
    assert "input_sise" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_data_is_one_line(tmp_path: Path) -> None:
    done = run_cli("curate", "--config", "paper", "--data", tmp_path / "nowhere", "--out", tmp_path / "o")
    assert done.returncode == 2
    assert "no folder covid-chestxray-dataset, nih-chestxray14, chexpert" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_is_said() -> None:
    for done in (run_cli("--version"), run_cli("--version", "analyze")):
        assert (done.returncode, done.stdout) == (0, f"lunglens {__version__}\n")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_loses_no_word_of_its_source(verb: tuple[str, ...]) -> None:
    command = VERBS[verb]
    said = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "2000"}).output
    shown = "".join(re.sub(r"[\u2500-\u257f]", " ", said).split())
    sources = [command.help, *(parameter.help for parameter in command.params if getattr(parameter, "help", None))]
    sources += [below.get_short_help_str(10_000) for below in getattr(command, "commands", {}).values()]
    assert sources
    for source in sources:
        wanted = "".join(source.replace("\\[", "[").split())
        assert wanted in shown, source


def test_every_verb_stands_in_a_group() -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    headings = re.findall(r"^([\w ]+):$", said, re.MULTILINE)
    assert headings == ["Options", "Read films", "Serve", "Studies", "Train", "Judge"]


def test_a_module_that_is_missing_names_the_extra_that_brings_it() -> None:
    extras = {"sklearn": "train", "torch": "train", "prometheus_client": "serve", "ray": "cluster", "numpy": None}
    assert {module: _extra_that_brings(module) for module in extras} == extras


def test_help_texts_with_brackets_are_among_them() -> None:
    assert "a [study], such as" in CliRunner().invoke(app, ["curate", "--help"], env={"COLUMNS": "2000"}).output


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_whatever_the_disk_refuses_any_verb_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def refused() -> None:
        raise OSError(number, os.strerror(number), "package/model.onnx")

    monkeypatch.setattr(main_module, "app", refused)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(SystemExit) as stopped:
        main_module.main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert said == f"lunglens: package/model.onnx: {os.strerror(number)}; free space or rights, then run again\n"


def test_help_imports_nothing_that_takes_time() -> None:
    program = "import sys; from lunglens.cli import main; sys.argv = ['lunglens', '--help']\ntry: main()\n"
    program += "except SystemExit: print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "'typer'" in done.stdout
    for module in ("rich", "pydantic", "numpy", "PIL", "pydicom", "onnxruntime"):
        assert f"'{module}'" not in done.stdout


def test_lists_are_told_as_json_too(tmp_path: Path) -> None:
    """Of the others doctor, folds, systems and watch are asked for it where they are tested."""
    by_key = {"config list": "name", "sources": "name", f"verify {tmp_path} {shipped_models() / 'lungs'}": "package"}
    for line, key in by_key.items():
        told, listed = (CliRunner().invoke(app, [*line.split(), *more]) for more in ((), ("--json",)))
        assert told.exit_code == listed.exit_code
        found = json.loads(listed.stdout)
        assert len(found) >= 2
        assert not [row for row in found if row[key] not in told.output]
    asked = {line.partition(" /")[0] for line in by_key} | {"doctor", "folds", "systems", "watch"}
    assert {" ".join(verb) for verb, command in VERBS.items() if "--json" in _options(command)} == asked


def _options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_exit_codes_of_the_reference_are_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run for each code of the table, and none that gives another."""
    film, copied = tmp_path / "film.png", tmp_path / "cpu.toml"
    film.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    runs = [
        ("--version", "0"),
        (f"config copy cpu {copied}", "0"),
        (f"config copy cpu {copied}", "1"),  # it is there by now
        (f"verify {tmp_path}", "1"),
        (f"analyze {film} --out {tmp_path / 'out'}", "1"),
        ("analyse film.png", "2"),
        ("analyze film.png --outt out", "2"),
        ("config show none", "2"),
        (f"analyze {tmp_path / 'nothing'} --out {tmp_path}", "2"),
        ("serve", "2"),
        ("sources", "130"),
    ]
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as if the extra were not installed
    monkeypatch.delitem(sys.modules, "lunglens.serve.run", raising=False)
    monkeypatch.setattr("lunglens.study.sources.SOURCES", _Interrupting())
    _, _, table = REFERENCE.read_text().partition("\n| code |")
    codes = re.findall(r"^\| (\d+) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert [(line, exit_code(monkeypatch, line)) for line, _ in runs] == runs
    assert {code for _, code in runs} == set(codes)


class _Interrupting(dict[str, object]):
    def values(self) -> Any:
        signal.raise_signal(signal.SIGINT)


def exit_code(monkeypatch: pytest.MonkeyPatch, line: str) -> str:
    """What the program, run in this process, ends with."""
    with monkeypatch.context() as changed:
        changed.setattr(sys, "argv", ["lunglens", *line.split()])
        changed.setattr(os, "environ", dict(os.environ))
        with pytest.raises(SystemExit) as stopped:
            main_module.main()
    return str(stopped.value.code or 0)
