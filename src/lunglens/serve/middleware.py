"""What stands before every request: who asks, how much may come, how long it may take, and the headers of answers."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from lunglens.serve.metrics import Metrics
from lunglens.serve.schema import PROBLEM_TYPE, ErrorModel
from lunglens.serve.settings import ServeSettings

log = logging.getLogger("lunglens.serve")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_OPEN = ("/", "/static/", "/healthz", "/readyz")  # without a token: the page has no data in it
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_WORDS = {"", "about", "analyses", "api", "dicom.zip", "docs", "fhir", "healthz", "metrics", "openapi.json", "pictures"}
_WORDS |= {"readyz", "report.html", "report.pdf", "results.zip", "static", "studies", "film", "heat", "lungs", "panel"}
_WORDS |= {"grades", "seen", "stored.bin", "series", "instances", "metadata", "rendered"}
_ID = re.compile(r"[\w-]{22}", re.ASCII)


class _Refused(HTTPException):
    """An answer instead of what was asked; the application passes it on when it reads a body.

    The rest of the body is not read: the connection ends with this answer.
    """

    def __init__(self, status: int, detail: str, more: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, {"connection": "close", **(more or {})})


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._in_flight = 0  # bytes of all bodies whose requests are not answered: in memory and on disk

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer, or pass on to the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        started, status, held = time.monotonic(), 0, _Held()

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message.get("headers", [])}
                more = [(n.encode(), v.encode()) for n, v in _HEADERS.items() if n.encode() not in given]
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        try:
            self._check(scope, headers)
            await self.app(scope, self._limited(receive, held), guarded_send)
        except _Refused as refused:
            if status == 0:
                await _answer(guarded_send, refused)
        finally:
            self._in_flight -= held.bytes
            self.metrics.request(scope["method"], status)
            taken = time.monotonic() - started
            log.info("%s %s %d %.3f s", scope["method"][:10], _loggable(scope["path"]), status, taken)

    def _check(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self.settings.token is None and _name_of(host) not in {*_LOCAL, self.settings.host}:
            raise _Refused(403, "this host name is not served")  # a name that was rebound to this address
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise _Refused(403, "requests from other sites' pages are not served")
        path = scope["path"]
        is_open = path in _OPEN or path.startswith("/static/")
        if self.settings.token is not None and not is_open and not _shown(headers, self.settings.token):
            raise _Refused(401, "show the token: Authorization: Bearer ...")
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise _Refused(400, "content-length is no number")
        if int(length) > self.settings.most_request_bytes:
            raise _too_large(self.settings)
        if self._in_flight + int(length) > self.settings.most_bytes_in_flight:
            raise _too_much()

    def _limited(self, receive: Receive, held: "_Held") -> Receive:
        """The body, until it is too large or too slow, or all bodies together are too much."""
        deadline, complete, settings = time.monotonic() + self.settings.upload_s, False, self.settings

        async def limited() -> Message:
            nonlocal complete
            if complete:  # what comes now is only the client's leaving
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.01, deadline - time.monotonic()))
            except TimeoutError:
                raise _Refused(408, f"the request took more than {settings.upload_s:g} s to come") from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                held.bytes += size
                self._in_flight += size
                complete = not message.get("more_body", False)
                if held.bytes > settings.most_request_bytes:
                    raise _too_large(settings)
                if self._in_flight > settings.most_bytes_in_flight:
                    raise _too_much()
            return message

        return limited


class _Held:
    """bytes: of one request's body, as far as it has come."""

    bytes = 0


def _too_large(settings: ServeSettings) -> _Refused:
    return _Refused(413, f"more than {settings.most_request_bytes:,} bytes")


def _too_much() -> _Refused:
    return _Refused(503, "too much is being sent at a time; try again later", {"retry-after": "10"})


def _loggable(path: str) -> str:
    """A path without what a client may have put into it, such as a study's number; our random ids stay."""
    return "/".join(part if part in _WORDS or _ID.fullmatch(part) else "(...)" for part in path[:200].split("/"))


def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port and brackets; "" where it is of no such form."""
    match = re.fullmatch(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::\d+)?", host)
    return (match[1] or match[2] or "") if match else ""


def _shown(headers: dict[str, str], token: str) -> bool:
    kind, _, shown = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode())


async def _answer(send: Send, refused: _Refused) -> None:
    body = ErrorModel.of(refused.status_code, refused.detail).model_dump_json().encode()
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if refused.status_code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    headers += [(name.encode(), value.encode()) for name, value in (refused.headers or {}).items()]
    await send({"type": "http.response.start", "status": refused.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
