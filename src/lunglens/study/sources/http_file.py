"""One file over HTTP: whole, or not there at all.

httpx2 does the talking: it comes with timm already (through huggingface_hub), honours proxies and the system's
certificates, and tells a stalled line, a dropped one and a body shorter than announced apart.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2 as httpx

from lunglens.errors import DataError
from lunglens.study.sources.retry import InterruptedTransferError, Meter, Patience, need_room, persist

_BUSY = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


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
        return self.name.lower().endswith(_ARCHIVES)


def open_client(patience: Patience) -> httpx.Client:
    """A client that follows redirects and gives up a line on which nothing comes for `patience.stall_s`."""
    return httpx.Client(follow_redirects=True, timeout=patience.stall_s, headers={"Accept-Encoding": "identity"})


def fetch(client: httpx.Client, file: RemoteFile, folder: Path, meter: Meter, patience: Patience) -> Path:
    """Fetch `file` into `folder`; nothing if it is there. What an attempt that broke off has brought is thrown away.

    Raises:
        DataError: the server refuses, there is no room, or the line stays bad.
        OSError: the disk is full or cannot be written.
    """
    target = folder / file.name.replace("/", "_")
    if not target.exists():
        part = target.with_name(f"{target.name}.part")
        persist(lambda: _attempt(client, file, part, meter), patience, meter)
        part.replace(target)
    return target


def _attempt(client: httpx.Client, file: RemoteFile, part: Path, meter: Meter) -> None:
    try:
        with client.stream("GET", file.url) as response:
            _check(response, file.url)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            need_room(part.parent, (total or 0) * (2 if file.archive else 1), file.name)  # films hardly shrink
            meter.start(file.title or file.name, total)
            with part.open("wb") as stream:
                for chunk in response.iter_raw():
                    stream.write(chunk)
                    meter.advance(len(chunk))
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise DataError(f"{file.url}: leads to an address that is not followed: {error}") from error
    except httpx.TransportError as error:
        reason = "nothing comes any more" if isinstance(error, httpx.TimeoutException) else str(error)
        raise InterruptedTransferError(f"{file.url}: {reason or type(error).__name__}") from error


def _check(response: httpx.Response, url: str) -> None:
    """Raise unless the answer holds the file's bytes."""
    status = response.status_code
    if url.startswith("https:") and response.url.scheme != "https":
        raise DataError(f"{url}: leads to the unprotected {response.url}, which is not followed")
    if status in _BUSY:
        reason = f"{url}: the server answers {status} {response.reason_phrase}"
        raise InterruptedTransferError(reason, _retry_after_s(response.headers.get("Retry-After")))
    if status != 200:
        raise DataError(f"{url}: the server answers {status} {response.reason_phrase}; see the data set's page")
    page = response.headers.get("Content-Type", "").startswith("text/html")
    if page and not response.url.path.lower().endswith((".html", ".htm")):
        raise DataError(f"{url}: the server sends a web page, not the file; see the data set's page")


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
