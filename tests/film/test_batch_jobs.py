"""Many films by several processes, in parts, in folders of folders: the same results as by one, wherever they lie."""

import itertools
import shutil
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from lunglens.cli.films import _part_of
from lunglens.errors import OutputError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter, find_films, run_batch
from lunglens.film.batch.processes import processes_for
from tests.film.test_batch_kills import contents, many
from tests.support.command import run_cli


def test_two_processes_write_what_one_writes(chest_png: Path, rg_folder: Path, tmp_path: Path) -> None:
    films = many(chest_png, tmp_path / "films", 3)
    (films / "f01b.png").write_bytes(chest_png.read_bytes()[:5000])
    shutil.copy(rg_folder / "RG3_UNCR.dcm", films / "f01c.dcm")
    for jobs in (1, 2):
        done = run_cli("analyze", films, "--out", tmp_path / str(jobs), "--jobs", jobs)
        said = f"3 analyzed, 1 refused, 1 failed; see {tmp_path / str(jobs) / 'summary.csv'}\n"
        assert (done.returncode, done.stdout) == (1, said), done.stderr
    one, two = (
        {name: said for name, said in contents(tmp_path / jobs).items() if "panel" not in name} for jobs in ("1", "2")
    )  # a panel tells how long it took
    assert two == one
    assert len(list((tmp_path / "2").glob("*.panel.png"))) == 4


def test_sharded_results_are_those_of_a_flat_folder_and_are_not_done_again(
    chest_png: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    films = find_films([many(chest_png, tmp_path / "films", 3)])
    flat, out = tmp_path / "flat", tmp_path / "out"
    writer = AnalysisWriter(pictures=False)
    alike = run_batch(films, flat, analyzer, writer, lambda _: None)
    rows = run_batch(films, out, analyzer, writer, lambda _: None, layout="sharded")
    assert (
        [Path(row.result).name for row in rows] == [row.result for row in alike] == ["f00.json", "f01.json", "f02.json"]
    )
    assert all(len(Path(row.result).parts) == 2 for row in rows)
    assert not [path for path in [*out.rglob("*"), *flat.rglob("*")] if path.suffix == ".png"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    assert len(before) == 3
    leftover = out / Path(rows[0].result).parent / ".partial-abcdefgh.json"
    leftover.write_text("{")  # of a killed run
    assert run_batch(films, out, analyzer, writer, lambda _: None, layout="sharded") == rows
    with pytest.raises(OutputError, match="was begun with --layout sharded; give it again"):
        run_batch(films, out, analyzer, writer, lambda _: None)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.json")} == before  # dot files, too
    assert find_films([out], lambda *_: None) == []
    (out / rows[1].result).write_text("my own notes")
    (again,) = run_batch(films[1:2], out, analyzer, AnalysisWriter(), lambda _: None, layout="sharded")
    assert again.status == "failed" and "f01.json is where its results belong" in str(again.reason)
    assert (out / rows[1].result).read_text() == "my own notes"


def test_what_stops_a_process_stops_the_batch(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    films = find_films([many(chest_png, tmp_path / "films", 4)])
    (tmp_path / "out").mkdir()
    for number in range(256):  # where the results belong nothing can be made
        (tmp_path / "out" / f"{number:02x}").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run_batch(films, tmp_path / "out", analyzer, AnalysisWriter(), lambda _: None, jobs=2, layout="sharded")


@given(st.integers(1, 40), st.integers(0, 200))
def test_parts_are_all_films_each_once_and_alike_many(parts: int, films: int) -> None:
    found = [list(range(films))[_part_of(f"{number}/{parts}")] for number in range(1, parts + 1)]
    assert sorted(itertools.chain(*found)) == list(range(films))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("shard", ["", "0/3", "4/3", "1", "1/0", "-1/2", "a/b", "1/2/3", "1 / 2", "9" * 30 + "/1"])
def test_no_part_is_said(shard: str) -> None:
    with pytest.raises(typer.BadParameter, match="give I/N"):
        _part_of(shard)


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_processes_are_worth_starting_or_asked_for(films: int, jobs: int) -> None:
    assert processes_for(films, jobs) == jobs
    assert processes_for(min(films, 15), None) == 1
    assert processes_for(films, None) >= 1
