"""Data sets fetched from a server and from repositories that misbehave, all on this machine."""

import errno
import functools
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from lunglens.errors import DataError, OutputError
from lunglens.study.sources import SOURCES, git_copy, retry
from lunglens.study.sources.download import NOTE, get
from lunglens.study.sources.http_file import _retry_after_s
from lunglens.study.sources.registry import Download, Source
from lunglens.study.sources.retry import Patience
from tests.support.hostile import zipped
from tests.support.waiting import wait_until

HASTY = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=5, stall_s=0.3)
FILE = bytes(range(256)) * 2000  # half a megabyte


class Server(ThreadingHTTPServer):
    """Serves `files`; where `faults` are planned, each request uses up one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[Callable[[Handler], None]] = []
        self.requests: list[dict[str, str]] = []
        self.release = threading.Event()  # ends a stall

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        if self.server.faults:
            self.server.faults.pop(0)(self)
        else:
            self.serve()

    def serve(self, cut_to: int | None = None, length: int | None = None) -> None:
        """Answer as a good server does; `cut_to` bytes of the body only, and `length` announced instead of its own."""
        content = self.server.files.get(self.path)
        if content is None:
            self.answer(404)
            return
        self.answer(200, content[:cut_to], length=length or len(content))

    def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if length is not None and length != len(body):
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.files["/set/film.bin"] = FILE
        thread = threading.Thread(target=functools.partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_room_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "SPARE_BYTES", 0)


def published(*urls: str, kind: Any = "http", sums: dict[str, str] | None = None, size: int = 0) -> Source:
    download = Download(kind, urls, size, tuple((sums or {}).items()))
    return Source(
        name="set",
        title="A made-up set",
        read=lambda *_: iter(()),
        licence="CC BY 4.0",
        citation="Somebody et al. 2020",
        url="https://example.org/set",
        size="1 film",
        access="freely",
        hides="nothing",
        download=download,
    )


def fetched(source: Source, to: Path, patience: Patience = HASTY) -> tuple[Path, str]:
    """The folder, and what the user was told."""
    told = io.StringIO()
    folder = get(source, to, Console(file=told, width=200), patience)
    return folder, told.getvalue()


def cut(at: int) -> Callable[[Handler], None]:
    return lambda handler: handler.serve(cut_to=at)


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(code, headers=named)


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as pack:
        for info, content in members:
            info.size = len(content)
            pack.addfile(info, io.BytesIO(content))
    return stream.getvalue()


# --- One file over HTTP


def test_a_file_arrives_whole_with_a_note_of_its_licence_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    folder, _ = fetched(published(f"{server.url}/set/film.bin"), tmp_path / "data")
    assert folder == tmp_path / "data" / "set"
    assert (folder / "film.bin").read_bytes() == FILE
    note = (folder / NOTE).read_text()
    assert "Licence: CC BY 4.0" in note
    assert "Cite: Somebody et al. 2020" in note
    assert f"{server.url}/set/film.bin" in note
    assert sorted(path.name for path in folder.iterdir()) == [NOTE, "film.bin"]
    assert [path.name for path in (tmp_path / "data").iterdir() if not path.name.startswith(".")] == ["set"]


def test_a_data_set_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    source = published(f"{server.url}/set/film.bin")
    fetched(source, tmp_path)
    _, told = fetched(source, tmp_path)
    assert "there already" in told
    assert len(server.requests) == 1


def test_a_dropped_connection_is_tried_again_from_the_start(server: Server, tmp_path: Path) -> None:
    server.faults = [cut(200_000), cut(100_000)]
    folder, told = fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert (folder / "film.bin").read_bytes() == FILE
    assert len(server.requests) == 3
    assert "again in" in told


def test_a_stalled_line_is_given_up_and_tried_again(server: Server, tmp_path: Path) -> None:
    def stall(handler: Handler) -> None:
        handler.serve(cut_to=150_000)
        server.release.wait(10)

    server.faults = [stall]
    folder, told = fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert (folder / "film.bin").read_bytes() == FILE
    assert "nothing comes any more" in told


def test_503_is_tried_again_after_the_time_that_the_server_asks_for(server: Server, tmp_path: Path) -> None:
    server.faults = [status(503, Retry_After="1"), status(429), status(500)]
    start = time.monotonic()
    folder, told = fetched(published(f"{server.url}/set/film.bin"), tmp_path, replace(HASTY, attempts=4))
    assert (folder / "film.bin").read_bytes() == FILE
    assert time.monotonic() - start >= 1
    assert "503 Service Unavailable; again in 1 s" in told


def test_a_server_that_asks_for_hours_is_named_instead_of_waited_for(server: Server, tmp_path: Path) -> None:
    server.faults = [status(503, Retry_After="7200")]
    with pytest.raises(DataError, match="asks to wait 7200 s"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("120", 120.0), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert _retry_after_s(value) == seconds


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_is_final(server: Server, tmp_path: Path, code: int) -> None:
    server.faults = [status(code)]
    with pytest.raises(DataError, match=f"film.bin: the server answers {code}"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert len(server.requests) == 1


def test_a_web_page_in_place_of_the_file_is_not_taken_for_it(server: Server, tmp_path: Path) -> None:
    server.faults = [lambda handler: handler.answer(200, b"<html>Log in", {"Content-Type": "text/html; charset=utf-8"})]
    with pytest.raises(DataError, match="sends a web page"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)


def test_a_server_that_announces_more_than_it_has_ends_in_an_error(server: Server, tmp_path: Path) -> None:
    server.faults = [lambda handler: handler.serve(length=len(FILE) + 5)] * 20
    with pytest.raises(DataError, match="3 attempts failed; run the same command later to go on"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert not (tmp_path / "set").exists()


def test_a_body_without_a_length_is_taken_as_it_ends(server: Server, tmp_path: Path) -> None:
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(FILE), FILE))

    server.faults = [chunked]
    folder, _ = fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert (folder / "film.bin").read_bytes() == FILE


def test_nobody_at_the_address_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/film.bin"
        with pytest.raises(DataError, match=re.escape(url)):
            fetched(published(url), tmp_path)


def test_a_redirect_is_followed_but_never_out_of_the_web(server: Server, tmp_path: Path) -> None:
    server.faults = [status(302, Location="/set/film.bin")]
    folder, _ = fetched(published(f"{server.url}/old"), tmp_path / "followed")
    assert (folder / "old").read_bytes() == FILE
    server.faults = [status(302, Location="file:///etc/passwd")]
    with pytest.raises(DataError, match="leads to an address that is not followed"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path / "refused")


def test_redirects_in_a_circle_end(server: Server, tmp_path: Path) -> None:
    server.faults = [status(302, Location="/set/film.bin")] * 40
    with pytest.raises(DataError, match="not followed"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "url"), [("http", "file:///etc/passwd"), ("http", "ftp://host/x"), ("git", "ext::sh -c id")]
)
def test_other_addresses_are_refused_before_anything_is_done(tmp_path: Path, kind: str, url: str) -> None:
    with pytest.raises(DataError, match="no address"):
        fetched(published(url, kind=kind), tmp_path / "data")
    assert not (tmp_path / "data").exists()


# --- Checksums


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_sum_is_fetched_anew_once(server: Server, tmp_path: Path, algorithm: str) -> None:
    server.faults = [lambda handler: handler.answer(200, FILE[::-1])]
    sums = {"film.bin": f"{algorithm}:{hashlib.new(algorithm, FILE).hexdigest()}"}
    folder, told = fetched(published(f"{server.url}/set/film.bin", sums=sums), tmp_path)
    assert (folder / "film.bin").read_bytes() == FILE
    assert "the publisher says" in told
    assert len(server.requests) == 2


def test_a_sum_that_stays_wrong_ends_in_an_error_and_leaves_no_bad_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"film.bin: its md5 is [0-9a-f]{32}, the publisher says 00; it was removed"):
        fetched(published(f"{server.url}/set/film.bin", sums={"film.bin": "md5:00"}), tmp_path)
    assert len(server.requests) == 2
    assert not list(tmp_path.rglob("film.bin*"))


# --- Kill, full disk, two at once

SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from lunglens.study.sources import retry
from lunglens.study.sources.download import get
from tests.study.test_download import HASTY, published
retry.SPARE_BYTES = 0
get(published(*sys.argv[3:], kind=sys.argv[2]), Path(sys.argv[1]), Console(), HASTY)
"""


def start_get(to: Path, kind: str, *urls: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(to), kind, *urls],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on_with_the_file_that_it_was_at(
    server: Server, tmp_path: Path, how: signal.Signals
) -> None:
    def hang(handler: Handler) -> None:
        handler.serve(cut_to=300_000)
        server.release.wait(20)

    server.files["/first.csv"] = b"x,y"
    server.faults = [lambda handler: handler.serve(), hang]
    urls = [f"{server.url}/first.csv", f"{server.url}/set/film.bin"]
    part = tmp_path / "set.part" / "film.bin.part"
    patient = start_get(tmp_path, "http", *urls)
    wait_until(lambda: part.exists() and part.stat().st_size > 250_000)
    patient.send_signal(how)
    patient.communicate()
    server.requests = []
    folder, _ = fetched(published(*urls), tmp_path)
    assert len(server.requests) == 1
    assert (folder / "film.bin").read_bytes() == FILE
    assert (folder / "first.csv").read_bytes() == b"x,y"
    assert not part.parent.exists()


def test_files_that_are_done_are_not_fetched_again_after_a_stop(server: Server, tmp_path: Path) -> None:
    server.files["/one.zip"] = zipped({"a/1.png": b"one"})
    urls = [f"{server.url}/one.zip", f"{server.url}/two.csv"]
    with pytest.raises(DataError, match="404"):
        fetched(published(*urls), tmp_path)
    assert not (tmp_path / "set.part" / "one.zip").exists()
    server.files["/two.csv"] = b"x,y"
    server.requests = []
    folder, _ = fetched(published(*urls), tmp_path)
    assert len(server.requests) == 1
    assert (folder / "a" / "1.png").read_bytes() == b"one"
    assert (folder / "two.csv").read_bytes() == b"x,y"


def test_a_disk_without_room_is_refused_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: shutil._ntuple_diskusage(10**9, 10**9, 400_000))
    with pytest.raises(OutputError, match=r"set needs 42.0 GB of free disk space, 400.0 kB are free"):
        fetched(published(f"{server.url}/set/film.bin", size=42_000_000_000), tmp_path)
    assert not server.requests
    with pytest.raises(OutputError, match=r"film.bin needs 512.0 kB of free disk space"):  # as Content-Length says
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert not (tmp_path / "set").exists()


def test_an_archive_needs_room_twice(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/films.zip"] = FILE
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: shutil._ntuple_diskusage(10**9, 10**9, 600_000))
    with pytest.raises(OutputError, match=r"films.zip needs 1.0 MB"):
        fetched(published(f"{server.url}/films.zip"), tmp_path)


class Full(io.BufferedWriter):
    """A file on a disk without room."""

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_ends_in_an_error_and_goes_on_later(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def open_full(path: Path, *arguments: Any, **options: Any) -> Any:
        stream = opened(path, *arguments, **options)
        return Full(stream.detach()) if path.name == "film.bin.part" else stream

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_full)
        with pytest.raises(OutputError, match=r"set.part: cannot be written: .*No space left.*run again to go on"):
            fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    folder, _ = fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert (folder / "film.bin").read_bytes() == FILE


def test_two_downloads_of_one_set_at_once_are_refused(server: Server, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".set.lock"), pytest.raises(OutputError, match="another download is at work here"):
        fetched(published(f"{server.url}/set/film.bin"), tmp_path)
    assert not server.requests


def test_a_set_that_wants_a_registration_says_how_to_get_it(tmp_path: Path) -> None:
    source = replace(published(), download=None, access="after registration, by hand", url="https://example.org/set")
    with pytest.raises(
        DataError, match=r"set: no direct download: after registration, by hand.*https://example.org/set"
    ):
        fetched(source, tmp_path)


# --- Archives


def test_a_zip_packed_into_one_folder_is_unpacked_without_it(server: Server, tmp_path: Path) -> None:
    films = {"MontgomerySet/CXR_png/1.png": b"film", "MontgomerySet/read me.txt": b"text", "__MACOSX/._1.png": b"junk"}
    server.files["/shared/xyz"] = zipped(films)
    folder, _ = fetched(published(f"{server.url}/shared/xyz#films.zip"), tmp_path)
    assert (folder / "CXR_png" / "1.png").read_bytes() == b"film"
    assert (folder / "read me.txt").read_bytes() == b"text"
    assert not (tmp_path / "set" / "__MACOSX").exists()


def test_tars_of_one_layout_are_unpacked_together(server: Server, tmp_path: Path) -> None:
    for number in (1, 2):
        server.files[f"/{number}.gz"] = tarred((tarfile.TarInfo(f"images/{number}.png"), b"%d" % number))
    server.files["/table.csv"] = b"Image Index"
    urls = [f"{server.url}/table.csv", *(f"{server.url}/{number}.gz#images_00{number}.tar.gz" for number in (1, 2))]
    folder, _ = fetched(published(*urls), tmp_path)
    assert sorted(path.name for path in folder.rglob("*.png")) == ["1.png", "2.png"]
    assert (folder / "images" / "2.png").read_bytes() == b"2"


def test_files_of_one_name_go_into_the_folders_that_their_addresses_say(server: Server, tmp_path: Path) -> None:
    server.files |= {"/left/1.png": b"left", "/right/1.png": b"right"}
    urls = [f"{server.url}/{side}/1.png#masks/{side}/1.png" for side in ("left", "right")]
    folder, _ = fetched(published(*urls, f"{server.url}/set/film.bin"), tmp_path)
    assert (folder / "masks" / "left" / "1.png").read_bytes() == b"left"
    assert (folder / "masks" / "right" / "1.png").read_bytes() == b"right"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"])
def test_an_archive_that_writes_outside_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    server.files["/films.zip"] = zipped({"good.png": b"", name: b"evil"})
    server.files["/films.tar.gz"] = tarred((tarfile.TarInfo(name), b"evil"))
    for ending in ("zip", "tar.gz"):
        with pytest.raises(DataError, match="written outside the folder"):
            fetched(published(f"{server.url}/films.{ending}"), tmp_path / ending)
    assert not list(tmp_path.rglob("*evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_links_or_devices_is_refused(server: Server, tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("film.png")
    info.type, info.linkname = kind, "/etc/passwd"
    server.files["/films.tgz"] = tarred((info, b""))
    with pytest.raises(DataError, match=r"'film\.png' is a link or a device"):
        fetched(published(f"{server.url}/films.tgz"), tmp_path)


def test_a_zip_with_a_link_is_refused(server: Server, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("film.png")
    link.external_attr = 0o120777 << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        pack.writestr(link, "/etc/passwd")
    server.files["/films.zip"] = stream.getvalue()
    with pytest.raises(DataError, match="is a link or a device"):
        fetched(published(f"{server.url}/films.zip"), tmp_path)


def test_a_bomb_is_refused_before_it_goes_off(server: Server, tmp_path: Path) -> None:
    zeros = bytes(20_000_000)
    server.files["/films.zip"] = zipped({"zeros": zeros})
    server.files["/films.tar.gz"] = tarred((tarfile.TarInfo("zeros"), zeros))
    for ending in ("zip", "tar.gz"):
        with pytest.raises(DataError, match="unpacks to more than films can"):
            fetched(published(f"{server.url}/films.{ending}"), tmp_path / ending)
    assert not list(tmp_path.rglob("zeros"))


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_a_damaged_archive_is_fetched_anew_once(server: Server, tmp_path: Path, ending: str) -> None:
    film = os.urandom(100_000)
    good = zipped({"a.png": film}) if ending == "zip" else tarred((tarfile.TarInfo("a.png"), film))
    bad = bytearray(good)
    bad[50_000] ^= 0xFF
    server.files["/films." + ending] = good
    server.faults = [lambda handler: handler.answer(200, bytes(bad))]
    folder, told = fetched(published(f"{server.url}/films.{ending}"), tmp_path)
    assert "damaged or cut short" in told
    assert (folder / "a.png").read_bytes() == film


def test_an_archive_that_is_none_ends_in_an_error(server: Server, tmp_path: Path) -> None:
    server.files["/films.zip"] = server.files["/films.tar.gz"] = b"<?xml version='1.0'?><Error>AccessDenied</Error>"
    for ending in ("zip", "tar.gz"):
        with pytest.raises(DataError, match=f"films.{ending}: damaged or cut short"):
            fetched(published(f"{server.url}/films.{ending}"), tmp_path / ending)


# --- Git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository of 6 films and a link."""
    work, bare = tmp_path / "upstream", tmp_path / "upstream.git"
    (work / "images").mkdir(parents=True)
    for number in range(6):
        (work / "images" / f"{number}.png").write_bytes(os.urandom(3000))
    (work / "link").symlink_to("/etc/passwd")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "films"]):
        subprocess.run([*git, *command], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    return bare


def films_of(repository: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (repository.parent / "upstream" / "images").iterdir()}


def test_a_repository_is_copied_without_history_and_its_links_lead_nowhere(repository: Path, tmp_path: Path) -> None:
    folder, _ = fetched(published(repository.as_uri(), kind="git"), tmp_path / "data")
    assert {path.name: path.read_bytes() for path in (folder / "images").iterdir()} == films_of(repository)
    assert not (folder / "link").is_symlink()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert f"Commit: {head.stdout.strip()}" in (folder / NOTE).read_text()


def test_what_a_killed_clone_has_left_is_in_nobody_s_way(repository: Path, tmp_path: Path) -> None:
    source = published(repository.as_uri(), kind="git")
    left = tmp_path / "data" / "set.part" / "content"
    (left / ".git").mkdir(parents=True)
    (left / ".git" / "index.lock").touch()
    folder, _ = fetched(source, tmp_path / "data")
    assert {path.name: path.read_bytes() for path in (folder / "images").iterdir()} == films_of(repository)


def test_a_repository_that_is_not_there_is_an_error_with_git_s_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not appear to be a git repository"):
        fetched(published((tmp_path / "none.git").as_uri(), kind="git"), tmp_path / "data")


def test_a_git_server_that_is_away_is_tried_again_and_asks_for_no_password(server: Server, tmp_path: Path) -> None:
    server.faults = [status(503), status(503), status(401, WWW_Authenticate='Basic realm="x"')] * 5
    with pytest.raises(DataError, match="could not read Username"):
        fetched(published(f"{server.url}/set.git", kind="git"), tmp_path)
    assert len(server.requests) == 3


def test_git_that_is_missing_is_named(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="install git"):
        fetched(published(repository.as_uri(), kind="git"), tmp_path / "data")


def test_a_full_disk_under_git_says_so(repository: Path, tmp_path: Path) -> None:
    error = git_copy._error("fatal: write error: No space left on device", "clone")
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC


# --- The sources themselves


@pytest.mark.parametrize("source", [source for source in SOURCES.values() if source.download], ids=lambda s: s.name)
def test_every_source_that_can_be_fetched_has_addresses_over_https_and_a_size(source: Source) -> None:
    assert source.download is not None
    assert source.download.urls
    assert all(url.startswith("https://") for url in source.download.urls)
    assert source.download.bytes > 0
    assert source.download.kind == "http" or len(source.download.urls) == 1
    assert all(re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", value) for _, value in source.download.sums)


def test_waits_double_up_to_a_longest() -> None:
    patience = Patience(first_wait_s=1, longest_wait_s=5)
    assert [patience.wait_s(failures) for failures in (1, 2, 3, 4)] == [1, 2, 4, 5]
