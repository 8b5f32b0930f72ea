"""A batch that is killed at any moment loses nothing, does nothing twice, leaves no half file, and blames no film.

LUNGLENS_KILLS is how often it is killed: few times in the suite, 30 for the record.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from lunglens.film.batch import JOURNAL
from tests.support.command import run_cli, summary

KILLS = int(os.environ.get("LUNGLENS_KILLS", "4"))
KILLS_OF_ONE_RUN = 6
FILMS = min(60, 8 * KILLS)


def command(films: Path, out: Path, stub: bool) -> list[str]:
    program = ["tests.support.batch_to_kill", films, out] if stub else ["lunglens", "analyze", films, "--out", out]
    return [sys.executable, "-m", *map(str, program)]


def begin(films: Path, out: Path, stub: bool) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command(films, out, stub), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def many(chest_png: Path, folder: Path, number: int) -> Path:
    """Films that differ from each other, so that a mixed-up answer would show."""
    folder.mkdir()
    with Image.open(chest_png) as chest:
        small = chest.resize((chest.width // 3, chest.height // 3))
    for index in range(number):
        small.point(lambda value, index=index: min(255, value + index)).save(folder / f"f{index:02d}.png")
    return folder


def contents(out: Path) -> dict[str, object]:
    """Name -> what a result says, without what differs from run to run; raises where one is half written."""
    found: dict[str, object] = {}
    for path in out.iterdir():
        if path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
                found[path.name] = picture.tobytes()
        elif path.suffix == ".json":
            found[path.name] = {name: said for name, said in json.loads(path.read_text()).items() if name != "seconds"}
        elif path.name == "summary.csv":
            found[path.name] = [{**row, "seconds": ""} for row in summary(out)]
        elif path.name not in (JOURNAL, ".lunglens.lock"):
            found[path.name] = "nothing of ours"
    return found


def wait_for_films(out: Path, number: int, process: "subprocess.Popen[bytes]") -> None:
    """Until so many films are noted as done, or all."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (out / JOURNAL).exists() and (out / JOURNAL).read_bytes().count(b'"done"') >= number:
            return
        time.sleep(0.01)


def test_killed_at_random_moments(chest_png: Path, tmp_path: Path) -> None:
    generator = random.Random(int.from_bytes(os.urandom(4)))  # noqa: S311 - other moments each time
    films = many(chest_png, tmp_path / "films", FILMS)
    whole = tmp_path / "whole"
    assert begin(films, whole, stub=True).wait() == 0
    expected = contents(whole)
    assert len(expected) == 3 * FILMS + 1
    killed = 0
    for run in range(-(-KILLS // KILLS_OF_ONE_RUN)):
        out, done = tmp_path / f"out-{run}", 0
        for _ in range(min(KILLS_OF_ONE_RUN, KILLS - killed)):
            process = begin(films, out, stub=True)
            wait_for_films(out, min(done + 1, FILMS), process)
            time.sleep(generator.uniform(0, FILMS / 40))
            assert process.poll() is None or process.returncode == 0
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            done = (out / JOURNAL).read_bytes().count(b'"done"')
        assert begin(films, out, stub=True).wait() == 0
        assert contents(out) == expected
        keys = [json.loads(line)["done"] for line in (out / JOURNAL).read_bytes().splitlines() if b'"done"' in line]
        assert len(keys) == len(set(keys)) == FILMS
        shutil.rmtree(out)
    assert killed > 0
    print(f"killed {killed} times: {FILMS} films of {FILMS} each time")  # noqa: T201


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_analysis_goes_on(number: int, chest_png: Path, tmp_path: Path) -> None:
    films, out = many(chest_png, tmp_path / "films", 12), tmp_path / "out"
    for _ in range(2):
        process = begin(films, out, stub=False)
        done = (out / JOURNAL).read_bytes().count(b'"done"') if out.exists() else 0
        wait_for_films(out, done + 2, process)
        process.send_signal(number)
        process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    finished = (out / JOURNAL).read_bytes().count(b'"done"')
    assert run_cli("analyze", films, "--out", out).returncode == 0
    assert [row["status"] for row in summary(out)] == ["analyzed"] * 12
    kept = sum(before[path.name] == path.stat().st_mtime_ns for path in out.glob("*.json") if path.name in before)
    assert finished <= kept <= finished + 1 <= len(before) + 1
    assert len(contents(out)) == 3 * 12 + 1
