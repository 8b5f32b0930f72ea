"""Running the application: uvicorn, with patience only where it is deserved."""

import asyncio
import resource
import signal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lunglens.serve.app import create_app
from lunglens.serve.settings import ServeSettings

MOST_HEADER_BYTES = 16 * 1024
MOST_CONNECTIONS = 512
MOST_UNREAD_BYTES = 256 * 1024  # of a connection; whoever takes less in `answer_s` is left


def run(settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM; then requests and queued films are finished first, within `stop_s`.

    Raises:
        ConfigurationError: the server would stand open to others.
    """
    app = create_app(settings)

    class Impatient(H11Protocol):
        """A client that does not send its request's headers, or does not read its answer, in time is left."""

        _headers_due: asyncio.TimerHandle | None = None
        _looking: asyncio.TimerHandle | None = None
        _unread_since: float | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # The next part of an answer is written when all of the last has been taken, and `resume_writing` called.
            transport.set_write_buffer_limits(high=MOST_UNREAD_BYTES, low=0)
            self._expect()
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            if self._looking is not None:
                self._looking.cancel()
            super().connection_lost(exc)

        def resume_writing(self) -> None:
            self._unread_since = None
            super().resume_writing()

        def _look(self) -> None:
            """Also after the answer is complete, and after uvicorn has closed: what waits then is waited for."""
            now = self.loop.time()
            if self.transport.get_write_buffer_size() == 0:
                self._unread_since = None
            elif self._unread_since is None:
                self._unread_since = now
            elif now - self._unread_since > settings.answer_s:
                self.transport.abort()
                return
            self._looking = self.loop.call_later(min(1.0, settings.answer_s / 4), self._look)

        def _expect(self) -> None:
            """Between requests uvicorn's own keep-alive time counts, until the first byte of the next one."""
            if self.conn.their_state is not h11.IDLE:
                self._stop_waiting()
            elif self._headers_due is None and (self.cycle is None or self.conn.trailing_data[0]):
                self._headers_due = self.loop.call_later(settings.header_s, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every uploaded file is one while it comes
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when it has stopped; then all is well
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=Impatient,
        ws="none",
        lifespan="on",
        access_log=False,  # our own has no queries
        log_config=None,  # else its own log writes tracebacks
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(settings.stop_s),
    )
