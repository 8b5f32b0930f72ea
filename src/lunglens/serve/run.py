"""Running the application: uvicorn, with patience only where it is deserved."""

import asyncio
import logging
import resource
import signal
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lunglens.files import only_one
from lunglens.serve.app import create_app
from lunglens.serve.settings import LOCK, ServeSettings

log = logging.getLogger("lunglens.serve")

_MOST_HEADER_BYTES = 16 * 1024
_MOST_CONNECTIONS = 512
_MOST_UNREAD_BYTES = 256 * 1024  # of a connection; whoever takes less in `answer_s` is left


class _HeaderTimeoutProtocol(H11Protocol):
    """A client that does not send its request's headers, or does not read its answer, in time is left.

    uvicorn has a limit for neither, only for the pause between two requests. Of its own this uses `conn`, an
    h11.Connection, and `cycle`, the last request; tests/serve/test_limits.py and test_hostile.py show that it holds.
    """

    header_s = answer_s = 0.0
    _headers_since: float | None = None
    _headers_after: object = None  # the last request before them
    _unread_since: float | None = None
    _looking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The next part of an answer is written when all of the last has been taken, and `resume_writing` called.
        transport.set_write_buffer_limits(high=_MOST_UNREAD_BYTES, low=0)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def _look(self) -> None:
        """Also after the answer is complete, and after uvicorn has closed: what waits then is waited for."""
        now = self.loop.time()
        if not self._is_in_headers():
            self._headers_since = None
        elif self._headers_since is None or self._headers_after is not self.cycle:
            self._headers_since, self._headers_after = now, self.cycle
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        if now - (self._headers_since or now) > self.header_s or now - (self._unread_since or now) > self.answer_s:
            self.transport.abort()
            return
        self._looking = self.loop.call_later(min(1.0, self.header_s / 4, self.answer_s / 4), self._look)

    def _is_in_headers(self) -> bool:
        """Whether a request has begun and not all of its headers have come; the first begins with the connection."""
        return self.conn.their_state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))


def run(settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM; then requests and queued films are finished first, within `stop_s`.

    Raises:
        ConfigurationError: the server would stand open to others, or keep films among other files.
        ModelPackageError: a model package is not fit.
        OutputError: another server keeps its films there.
    """
    app = create_app(settings)
    if settings.keep is None:
        _serve(app, settings)
        return
    settings.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(settings.keep / LOCK, settings.keep, "server"):
        _serve(app, settings)


def _serve(app: Any, settings: ServeSettings) -> None:

    class Protocol(_HeaderTimeoutProtocol):
        header_s, answer_s = settings.header_s, settings.answer_s

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    log.info("LungLens: http://%s:%d/ (research use only, not a medical device)", host, settings.port)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every uploaded file is one while it comes
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when it has stopped; then all is well
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,  # our own has no queries
        log_config=None,  # else its own log writes tracebacks
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(settings.stop_s),
    )
