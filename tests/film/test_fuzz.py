"""200 damaged files of every kind, always the same ones: read, or refused in words; and the harness that makes them."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lunglens.errors import UnreadableImageError
from lunglens.film.radiograph import read_radiograph
from tests.fuzz import dicom_bytes, jpeg, png
from tests.fuzz.mutate import fuzz_input
from tests.fuzz.run import Reader, judged, summary
from tests.fuzz.seeds import seeds

COUNT, SEED = 200, 12
# Seeds that are whole, and refused as what they are.
REFUSED = {"tiff pages": "several frames"}
KILLERS = (2029, 3133)  # of the long run's seed


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    started = Reader(tmp_path_factory.mktemp("fuzz"))
    yield started
    started.stop()


@pytest.mark.parametrize("part", range(10))
def test_damaged_files_give_a_film_or_an_error_in_words(reader: Reader, part: int, tmp_path: Path) -> None:
    for number in range(part, COUNT, 10):
        one = fuzz_input(SEED, number)
        path = tmp_path / f"{number}.bin"
        path.write_bytes(one.data)
        row = judged(reader.read(path))
        # A decoder that died is counted by the long run; to the reader of the message it is a failed film.
        assert not set(row["faults"]) - {"died"}, (number, one.kind, one.mutations, row)
        path.unlink()


@pytest.mark.parametrize("number", KILLERS)
def test_what_has_ended_a_decoder_ends_no_more_than_that(number: int, tmp_path: Path) -> None:
    """In this process, which would be gone if GDCM ran in it."""
    path = tmp_path / "killer.dcm"
    path.write_bytes(fuzz_input(1, number).data)
    with pytest.raises(UnreadableImageError, match=r"^killer.dcm: "):
        read_radiograph(path)
    path.write_bytes(seeds()["dicom jpeg-lossless"])
    assert read_radiograph(path).pixels.shape == (128, 128)


def test_the_whole_files_are_read(reader: Reader, tmp_path: Path) -> None:
    for kind, data in seeds().items():
        path = tmp_path / "whole.bin"
        path.write_bytes(data)
        outcome = reader.read(path)
        if kind in REFUSED:
            assert (outcome.result, REFUSED[kind] in outcome.said) == ("refused", True), kind
        else:
            assert outcome.result == "read", (kind, outcome)
    assert read_radiograph(path).file_format == "JSRT"


def test_a_number_is_always_the_same_input_and_most_inputs_differ_from_their_seed() -> None:
    inputs = [fuzz_input(3, number) for number in range(92)]
    assert inputs == [fuzz_input(3, number) for number in range(92)]
    assert {one.kind for one in inputs} == set(seeds())
    assert sum(one.data == seeds()[one.kind] for one in inputs) < 10
    assert sum(one.data == fuzz_input(4, one.number).data for one in inputs) < 5


def test_files_taken_apart_and_put_together_are_the_same() -> None:
    for kind, data in seeds().items():
        if kind.startswith("png"):
            assert png.png_of(png.chunks_of(data)) == data
        elif kind.startswith("jpeg"):
            assert jpeg.joined(*jpeg.segments_of(data)) == data
        elif kind.startswith("dicom") and "deflated" not in kind:
            assert dicom_bytes.written(dicom_bytes.parse(data)) == data
            assert len(dicom_bytes.parse(data).body) > 10


def test_mutations_take_any_bytes() -> None:
    from tests.fuzz import dicom, raw, tiff

    generator = random.Random(0)  # noqa: S311 - not for secrets
    for mutation in (*raw.MUTATIONS, *png.MUTATIONS, *jpeg.MUTATIONS, *tiff.MUTATIONS, *dicom.MUTATIONS):
        for size in (0, 1, 7, 30, 200):
            assert isinstance(mutation(generator.randbytes(size), generator), bytes)


def test_a_reader_that_dies_or_leaks_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge is tried on readers that do what must not be."""
    from tests.fuzz import worker

    noise = tmp_path / "noise"
    noise.touch()
    # Its peak is that of the tests' own process.
    monkeypatch.setattr(worker, "_peak_kb", lambda: 0)

    def result(read: object) -> list[str]:
        monkeypatch.setattr(worker, "read_radiograph", read)
        return judged(worker._read(tmp_path / "x.bin", noise))["faults"]  # type: ignore[no-any-return]

    def raising(text: str, cause: Exception | None = None) -> object:
        def read(_: Path) -> None:
            raise worker.errors.UnreadableImageError(text) from cause

        return read

    def wrong(_: Path) -> None:
        raise ZeroDivisionError

    def printing(_: Path) -> None:
        noise.write_text("libtiff: warning")
        raise worker.errors.UnreadableImageError("x.bin: it is damaged. Copy it again.")

    assert result(raising("x.bin: it is damaged. Copy it again.", ValueError("bad magic number"))) == []
    assert result(raising("x.bin: damaged (struct.error: unpack requires 4 bytes)")) == ["leaked"]
    assert result(raising("x.bin: bad magic number here", ValueError("bad magic number"))) == ["leaked"]
    assert result(raising(f"{tmp_path}/x.bin: damaged")) == ["leaked"]
    assert result(raising("x.bin: the film's RGB's web's planes differ. Export it again.")) == []
    assert result(raising("x.bin: \x1b[31m")) == ["unprintable"]
    assert result(raising("x.bin: transfer syntax 1.2\\PN\\Never^Read is not supported.")) == ["patient"]
    assert result(wrong) == ["unforeseen"]
    assert result(printing) == ["printed"]


def test_a_run_that_is_killed_goes_on_and_counts_every_input_once(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = [sys.executable, "-m", "tests.fuzz.run", "--count", "60", "--seed", "5", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    journal, deadline = tmp_path / "fuzz.jsonl", time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 12:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    with journal.open("ab") as stream:
        stream.write(b'{"number": 59, "resu')  # as if the last write had been cut
    assert not out.exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    found = json.loads(out.read_text())
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert sorted(row["number"] for row in rows) == list(range(60))
    assert sum(found["results"].values()) == sum(sum(kind.values()) for kind in _results(found)) == 60
    assert found["results"] == summary(rows)["results"]
    for number in found["faulty"]:
        assert list((tmp_path / "fuzz-findings").glob(f"{number}-*.bin"))


def _results(found: dict[str, dict[str, dict[str, int]]]) -> list[dict[str, int]]:
    return [{name: n for name, n in kind.items() if name != "faults"} for kind in found["by_kind"].values()]
