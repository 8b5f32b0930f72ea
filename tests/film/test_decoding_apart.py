"""The decoding process: one for many films, ended and replaced alone, and nothing of the working folder runs in it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import DecoderDiedError, DecoderNotStartedError, DecodingTimeoutError, UnreadableImageError
from lunglens.film.radiograph import read_radiograph
from lunglens.film.reading import apart
from tests.support.dicom_files import dataset_of, gradient, rg1, transcoded
from tests.support.pictures import GRAY, picture, saved

PNG = picture(Image.fromarray(GRAY), "PNG")
PICTURE = {"format": "PNG", "max_pixels": 10**6}


def process() -> int:
    """The number of the decoding process that runs now."""
    apart.decode_apart("picture", PNG, PICTURE)
    return apart._running[0]._child.pid


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A decoding process that runs `code` instead of a decoder, until the test ends."""

    def begin(code: str) -> None:
        program = apart._PROGRAM.replace("main()", "pass") + (
            "; import lunglens.film.reading.decoding_process as d, os, time, signal"
            f"\ndef stub(data, how):\n    {code}\nd._KINDS['picture'] = stub\nd.main()"
        )
        monkeypatch.setattr(apart, "_PROGRAM", program)
        apart._end()

    yield begin
    apart._end()


def test_one_process_serves_many_films() -> None:
    assert process() == process()


def test_a_process_that_was_ended_is_replaced() -> None:
    first = process()
    os.kill(first, signal.SIGKILL)
    assert process() != first


@pytest.mark.parametrize("death", ["os.abort()", "os._exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_a_film_that_ends_it_is_an_error(death: str, stub: Any, tmp_path: Path) -> None:
    stub(death)
    with pytest.raises(DecoderDiedError, match=r"^film.png: it ended the program that decodes it"):
        read_radiograph(saved(tmp_path, PNG, "film.png"))


def test_it_is_tried_once_more_where_somebody_else_has_ended_it(stub: Any, tmp_path: Path) -> None:
    stub(f"os.path.exists({str(tmp_path / 'x')!r}) or (open({str(tmp_path / 'x')!r}, 'w'), os.abort())")
    with pytest.raises(UnreadableImageError) as caught:  # the stub's answer is none, which is this process's matter
        read_radiograph(saved(tmp_path, PNG))
    assert not isinstance(caught.value, DecoderDiedError)


def test_kills_by_others_are_borne_for_a_while(stub: Any, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.touch()
    stub(
        f"f = open({str(count)!r}, 'ab'); n = f.tell(); f.write(b'.'); f.close();"
        " n < 4 and os.kill(os.getpid(), signal.SIGKILL); raise MemoryError"
    )
    with pytest.raises(UnreadableImageError, match="takes too much memory"):
        read_radiograph(saved(tmp_path, PNG))
    assert count.read_bytes() == b"....."


def test_what_others_end_again_and_again_is_not_said_to_be_damaged(stub: Any, tmp_path: Path) -> None:
    stub("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(DecoderDiedError, match="was ended by others") as caught:
        read_radiograph(saved(tmp_path, PNG))
    assert "damaged" not in str(caught.value)


def test_it_may_take_only_so_long(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stub("time.sleep(60)")
    monkeypatch.setattr(apart, "SECONDS", 0)
    monkeypatch.setattr(apart, "_SLACK_S", 0)
    with pytest.raises(DecodingTimeoutError):
        apart.decode_apart("picture", PNG, PICTURE)


def test_it_ends_itself_when_it_hangs(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stub("signal.alarm(1); time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(DecodingTimeoutError):
        apart.decode_apart("picture", PNG, PICTURE)
    assert time.monotonic() - begun < 30


def test_its_memory_is_limited(stub: Any) -> None:
    stub("return d.np.zeros(4 * 1024**3, 'u1'), {}")
    with pytest.raises(UnreadableImageError, match="too much memory"):
        apart.decode_apart("picture", PNG, PICTURE)


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from lunglens.film.radiograph import read_radiograph;"
        "from lunglens.film.reading import apart; read_radiograph(Path(sys.argv[1]));"
        "print(apart._running[0]._child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, saved(tmp_path, PNG)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("flags", [[], ["-P"]], ids=["python", "python -P"])
def test_nothing_in_the_working_folder_is_run(flags: list[str], tmp_path: Path) -> None:
    """What the program itself imports before it reads is Python's matter; what the child imports is ours."""
    film = saved(tmp_path, transcoded(dataset_of(gradient()), "jpeg2000", tmp_path))
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("numpy", "pydicom", "gdcm", "PIL", "jpeg_ls", "json", "lunglens", "site", "sitecustomize", "signal"):
        (evil / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})")
    code = (
        "import sys; import lunglens.film.radiograph as r, lunglens.film.reading.decoders\n"
        "import pydicom.pixels, numpy, os, json\n"
        f"os.chdir({str(evil)!r}); sys.path.insert(0, '')\n"
        f"print(r.read_radiograph({str(film)!r}).pixels.shape)"
    )
    found = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "(80, 96)", found.stderr
    assert not (tmp_path / "executed").exists()


def test_two_threads_get_their_own_answers(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    films = [saved(tmp_path, picture(Image.fromarray(GRAY[: 64 + n]), "PNG"), f"{n}.png") for n in range(16)]
    with ThreadPoolExecutor(4) as pool:
        shapes = [film.pixels.shape for film in pool.map(read_radiograph, films)]
    assert shapes == [(64 + n, 96) for n in range(16)]


def test_real_copies_are_the_same_film_apart() -> None:
    plain, packed = read_radiograph(rg1("UNCR")), read_radiograph(rg1("J2KR"))
    np.testing.assert_array_equal(plain.pixels, packed.pixels)


def test_a_fork_gets_a_process_of_its_own() -> None:
    first, (read_end, write_end) = process(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write_end, str(process()).encode())
        finally:
            apart._end()
            os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read_end, 20)) != first
    assert process() == first
    os.close(read_end)
    os.close(write_end)


def test_a_fork_while_another_thread_decodes_does_not_hang() -> None:
    with apart._LOCK:  # as another thread would hold it
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                process()
                apart._end()
            finally:
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_more_open_files_than_select_takes(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from lunglens.film.radiograph import read_radiograph\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000)); kept = [open('/dev/null') for _ in range(1100)]\n"
        "print(read_radiograph(sys.argv[1]).pixels.shape)"
    )
    command = [sys.executable, "-c", code, saved(tmp_path, PNG)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str(GRAY.shape), found.stderr


def test_one_that_stands_still_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where it does not take the question: 1 MB is more than a pipe holds."""
    first = process()
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(apart, "SECONDS", 1)
    monkeypatch.setattr(apart, "_SLACK_S", 0)
    with pytest.raises(DecodingTimeoutError):
        apart.decode_apart("picture", PNG + bytes(10**6), PICTURE)
    monkeypatch.undo()
    assert process() != first


@pytest.mark.parametrize("program", [None, "", "/nowhere/python", "/bin/false", "/bin/echo"])
def test_a_process_that_does_not_start_is_no_fault_of_the_film(
    program: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apart._end()
    monkeypatch.setattr(sys, "executable", program)
    for film in (saved(tmp_path, PNG), rg1("J2KR")):
        with pytest.raises(DecoderNotStartedError, match="does not start; this says nothing of the file"):
            read_radiograph(film)
    apart.prepare()


def test_a_relative_folder_of_modules_whose_start_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = (
        "import os, sys; from lunglens.film.radiograph import read_radiograph\n"
        "sys.path.insert(0, 'relative'); os.chdir('gone'); os.rmdir('../gone')\n"
        "print(read_radiograph(sys.argv[1]).pixels.shape)"
    )
    command = [sys.executable, "-c", code, saved(tmp_path, PNG)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str(GRAY.shape), found.stderr


def test_a_film_that_ends_it_after_others_have_is_an_error_too(stub: Any, tmp_path: Path) -> None:
    """Twice killed by somebody else, then by the film itself, as often as it is tried."""
    count = tmp_path / "count"
    stub(
        f"p = {str(count)!r}; n = os.path.getsize(p) if os.path.exists(p) else 0; open(p, 'a').write('x'); "
        "os.kill(os.getpid(), signal.SIGKILL) if n < 2 else os.abort()"
    )
    with pytest.raises(DecoderDiedError, match="it is damaged"):
        read_radiograph(saved(tmp_path, PNG))
    assert count.stat().st_size == 3
