"""`lunglens get`: a data set from its publisher, where the publisher allows it, file after file."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx2 as httpx
from rich.console import Console

from lunglens.errors import DataError, OutputError
from lunglens.files import Journal, only_one, write_bytes
from lunglens.study.sources.git_copy import copy_repository
from lunglens.study.sources.http_file import RemoteFile, fetch, open_client
from lunglens.study.sources.registry import Download, Source
from lunglens.study.sources.retry import DamagedError, Meter, Patience, need_room, progress_on
from lunglens.study.sources.unpack import unpack

_CONTENT = "content"
NOTE = "LUNGLENS-SOURCE.txt"
_SCHEMES = {"http": {"http", "https"}, "git": {"http", "https", "file"}}
_MOST_SHOWN = 20  # addresses in the note
_PATIENCE = Patience()


def get(source: Source, to: Path, console: Console, patience: Patience = _PATIENCE) -> Path:
    """Fetch a data set into `to/<source.name>`, going on after the last file that an earlier call has finished.

    Until it is whole it lies in `to/<source.name>.part`. Archives are unpacked and then removed, one by one. A note
    beside the data, `LUNGLENS-SOURCE.txt`, says where and when it came from, its licence and what to cite. A data set
    that is there already is left alone.

    Args:
        source: what to fetch; an http address may end in `#name` or `#folder/name`, the file's name in the data set
            where that is not the address's own.
        to: folder of the data sets.
        console: shows progress.
        patience: how long to put up with a bad line.

    Returns:
        The data set's folder.

    Raises:
        DataError: the publisher wants a registration, the server refuses, the line stays bad, or the data are damaged.
        OutputError: the disk has no room or cannot be written, or another call is fetching the same set.
            Files that have arrived whole are kept and used next time.
    """
    download = source.download
    if download is None:
        raise DataError(f"{source.name}: no direct download: {source.access}. Get it from {source.url}")
    _check_addresses(source, download)
    folder, work = to / source.name, to / f"{source.name}.part"
    try:
        with only_one(to / f".{source.name}.lock", folder, "download"):
            if folder.exists():
                if not (work / _CONTENT).exists():
                    shutil.rmtree(work, ignore_errors=True)  # of a call killed at its very end
                console.print(f"{folder}: there already; remove it to fetch it anew", markup=False, soft_wrap=True)
                return folder
            work.mkdir(exist_ok=True)
            with progress_on(console) as progress:
                content, state = _fetch_all(source, download, work, Meter(progress), patience)
            write_bytes(content / NOTE, _note(source, download, state).encode())
            content.rename(folder)
            shutil.rmtree(work)
            return folder
    except OSError as error:
        raise OutputError(
            f"{work}: cannot be written: {error}; free space or rights, then run again to go on"
        ) from error


def _check_addresses(source: Source, download: Download) -> None:
    for url in download.urls:
        if urlsplit(url).scheme not in _SCHEMES[download.kind]:
            raise DataError(f"{source.name}: {url} is no address that {download.kind} data are fetched from")


def _fetch_all(
    source: Source, download: Download, work: Path, meter: Meter, patience: Patience
) -> tuple[Path, str | None]:
    """The folder with the whole content, and the state of a repository."""
    content = work / _CONTENT
    need_room(work, max(0, download.bytes - _bytes_below(work)), source.name)
    if download.kind == "git":
        (address,) = download.urls
        return content, copy_repository(address, content, meter, patience)
    content.mkdir(exist_ok=True)
    sums = dict(download.sums)
    journal = Journal(work / "done.jsonl")
    done = set(journal.entries)
    with open_client(patience) as client:
        for number, address in enumerate(download.urls, start=1):
            if json.dumps(address).encode() not in done:
                file = _remote_file(address, sums, f"{number} of {len(download.urls)}")
                _take(client, file, content, meter, patience)
                journal.append(address)
    return _without_wrapper(content), None


def _take(client: httpx.Client, file: RemoteFile, content: Path, meter: Meter, patience: Patience) -> None:
    """Fetch, check and unpack one file; what arrives damaged is fetched anew once."""
    for last in (False, True):
        path = fetch(client, file, content.parent, meter, patience)
        try:
            _verify(path, file.checksum)
            if file.archive:
                unpack(path, content, meter)
                path.unlink()
            else:
                (content / file.name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(content / file.name)
            return
        except DamagedError as error:
            path.unlink()
            if last:
                raise
            meter.note(f"{error}; it is fetched anew")


def _remote_file(address: str, sums: dict[str, str], place: str) -> RemoteFile:
    url, _, name = address.partition("#")
    name = name or PurePosixPath(unquote(urlsplit(url).path)).name
    return RemoteFile(url, name, sums.get(name), f"{place}: {PurePosixPath(name).name}")


def _verify(path: Path, checksum: str | None) -> None:
    if checksum is None:
        return
    algorithm, expected = checksum.split(":")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != expected.lower():
        raise DamagedError(f"{path.name}: its {algorithm} is {found}, the publisher says {expected}; it was removed")


def _without_wrapper(content: Path) -> Path:
    """The folder itself, or the one below it where an archive packed everything into one folder."""
    entries = list(content.iterdir())
    return _without_wrapper(entries[0]) if len(entries) == 1 and entries[0].is_dir() else content


def _bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _note(source: Source, download: Download, state: str | None) -> str:
    """What a user of the data must know, beside the data."""
    shown = [*download.urls[:_MOST_SHOWN], *(["..."] if len(download.urls) > _MOST_SHOWN else [])]
    lines = [
        f"{source.title}\n",
        f"Fetched with lunglens get {source.name} on {datetime.now(UTC):%Y-%m-%d} from",
        *(f"  {url}" for url in shown),
        *([f"Commit: {state}"] if state else []),
        f"Page: {source.url}",
        f"Licence: {source.licence}",
        f"Cite: {source.citation}",
        f"Beware: {source.hides}",
    ]
    return "\n".join(lines) + "\n"
