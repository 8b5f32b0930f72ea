"""`lunglens demo`."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lunglens.cli.main import app
from tests.support.command import summary


def test_the_example_is_analysed_with_the_base_install_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("lunglens.cli.demo.find_spec", lambda _: None)
    monkeypatch.setattr("typer.launch", shown.append)
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--open"])
    assert done.exit_code == 0
    assert [row["status"] for row in summary(tmp_path)] == ["analyzed"]
    assert shown == [str(tmp_path / "RG1_UNCR.panel.png")]
    assert (tmp_path / "RG1_UNCR.panel.png").is_file()
    assert not list(tmp_path.glob("*.dcm"))


def test_without_the_film_is_said_where_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "data_store", None)
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "out")])
    assert "pip install pydicom-data" in str(done.exception)
    assert not (tmp_path / "out").exists()
