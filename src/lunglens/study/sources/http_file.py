"""One file over HTTP. What has arrived is kept as `<name>.part` and goes on only while the server has the same file.

httpx2 does the talking: it comes with timm already (through huggingface_hub), honours proxies and the system's
certificates, and tells a stalled line, a dropped one and a body shorter than announced apart.
"""

import json
import re
import time
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2 as httpx

from lunglens.errors import DataError
from lunglens.files import write_json
from lunglens.study.sources.retry import InterruptedTransferError, Meter, Patience, need_room, persist

BUSY = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
SELF_CHECKING = (".zip", ".tar.gz", ".tgz")  # a plain tar holds no checksum of its content


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    `name` is where it goes in the data set ("/" between folders), `checksum` upstream's "md5:..." or "sha256:...",
    `title` what the user is shown meanwhile.
    """

    url: str
    name: str
    checksum: str | None = None
    title: str = ""

    @property
    def archive(self) -> bool:
        """Whether it is to be unpacked."""
        return self.name.lower().endswith(ARCHIVES)

    @property
    def proven(self) -> bool:
        """Whether the whole file shows that it is whole: then a part may be continued without ETag and date."""
        return self.checksum is not None or self.name.lower().endswith(SELF_CHECKING)


@dataclass(frozen=True)
class Origin:
    """Which version of which file a `.part` is the beginning of."""

    url: str
    total: int | None = None
    etag: str | None = None
    modified: str | None = None

    @property
    def validator(self) -> str | None:
        """For If-Range: a strong ETag, else the date; a weak ETag promises nothing about bytes."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else None
        return strong or self.modified


class PartialFile:
    """`<name>.part` and, beside it, `<name>.part.json` with its origin; they outlive the process."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._origin_path = target.with_name(f"{target.name}.part.json")
        self.origin = self._read_origin(url)
        if self.origin == Origin(url):
            self.restart(self.origin)

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, origin: Origin) -> None:
        """Forget what is there; a kill between these steps leaves no bytes under another file's origin."""
        self.path.unlink(missing_ok=True)
        write_json(self._origin_path, asdict(origin))
        self.origin = origin

    def finish(self, target: Path) -> None:
        """Give the file its name."""
        self.path.touch()  # an empty file is a file
        self.path.replace(target)
        self._origin_path.unlink(missing_ok=True)

    def _read_origin(self, url: str) -> Origin:
        try:
            origin = Origin(**json.loads(self._origin_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # none, or torn
            return Origin(url)
        return origin if origin.url == url else Origin(url)


def open_client(patience: Patience) -> httpx.Client:
    """A client that follows redirects and gives up a line on which nothing comes for `patience.stall_s`."""
    return httpx.Client(follow_redirects=True, timeout=patience.stall_s, headers={"Accept-Encoding": "identity"})


def fetch(client: httpx.Client, file: RemoteFile, folder: Path, meter: Meter, patience: Patience) -> Path:
    """Fetch `file` into `folder`, going on with what an earlier attempt or process left; nothing if it is there.

    Raises:
        DataError: the server refuses, there is no room, or the line stays bad.
        OSError: the disk is full or cannot be written; what has arrived stays.
    """
    target = folder / file.name.replace("/", "_")
    if not target.exists():
        part = PartialFile(target, file.url)
        persist(lambda: _attempt(client, file, part, meter), lambda: part.size, patience, meter)
        part.finish(target)
    return target


def _attempt(client: httpx.Client, file: RemoteFile, part: PartialFile, meter: Meter) -> None:
    url = file.url
    try:
        with client.stream("GET", url, headers=_range(file, part)) as response:
            if _is_complete(response, part):
                return
            _check(response, url)
            _take_position(response, part)
            total = part.origin.total
            unpacked = (total or 0) if file.archive else 0  # films hardly shrink in an archive
            need_room(part.path.parent, (total or 0) - part.size + unpacked, file.name)
            meter.start(file.title or file.name, part.size, total)
            with part.path.open("ab") as stream:
                for chunk in response.iter_raw():
                    stream.write(chunk)
                    meter.advance(len(chunk))
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise DataError(f"{url}: leads to an address that is not followed: {error}") from error
    except httpx.TransportError as error:
        reason = "nothing comes any more" if isinstance(error, httpx.TimeoutException) else str(error)
        raise InterruptedTransferError(f"{url}: {reason or type(error).__name__}") from error


def _range(file: RemoteFile, part: PartialFile) -> dict[str, str]:
    validator = part.origin.validator
    if not part.size or (validator is None and not file.proven):
        return {}
    return {"Range": f"bytes={part.size}-"} | ({"If-Range": validator} if validator else {})


def _is_complete(response: httpx.Response, part: PartialFile) -> bool:
    """Whether the server says that nothing is left after what is there; if it says otherwise, start anew."""
    if response.status_code != 416:
        return False
    told = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    total = int(told[1]) if told else part.origin.total
    if total == part.size and part.origin.total in {None, total}:
        return True
    part.restart(Origin(part.origin.url))
    raise InterruptedTransferError(f"{part.origin.url}: the file has changed on the server", wait_s=0.0)


def _check(response: httpx.Response, url: str) -> None:
    """Raise unless the answer holds the file's bytes."""
    status = response.status_code
    if url.startswith("https:") and response.url.scheme != "https":
        raise DataError(f"{url}: leads to the unprotected {response.url}, which is not followed")
    if status in BUSY:
        reason = f"{url}: the server answers {status} {response.reason_phrase}"
        raise InterruptedTransferError(reason, _retry_after_s(response.headers.get("Retry-After")))
    if status not in {200, 206}:
        raise DataError(f"{url}: the server answers {status} {response.reason_phrase}; see the data set's page")
    page = response.headers.get("Content-Type", "").startswith("text/html")
    if page and not response.url.path.lower().endswith((".html", ".htm")):
        raise DataError(f"{url}: the server sends a web page, not the file; see the data set's page")


def _take_position(response: httpx.Response, part: PartialFile) -> None:
    """Bring `part` to where the answer's bytes begin: its end, or the file's start."""
    etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        part.restart(Origin(part.origin.url, int(length) if length.isdigit() else None, etag, modified))
        return
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    known = part.origin
    same = told and int(told[1]) == part.size and known.total in {None, int(told[2])}
    if not same or etag not in {None, known.etag} or modified not in {None, known.modified}:
        part.restart(Origin(known.url))
        raise InterruptedTransferError(f"{known.url}: the file has changed on the server", wait_s=0.0)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds from "120" or an HTTP date; None where the server names none."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
