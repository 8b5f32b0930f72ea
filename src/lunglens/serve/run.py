"""Running the application: uvicorn, with patience only where it is deserved."""

import asyncio
import signal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lunglens.serve.app import create_app
from lunglens.serve.settings import ServeSettings

MOST_HEADER_BYTES = 16 * 1024
MOST_CONNECTIONS = 512


def run(settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM; then requests and queued films are finished first, within `stop_s`.

    Raises:
        ConfigurationError: the server would stand open to others.
    """
    app = create_app(settings)

    class Impatient(H11Protocol):
        """A client that does not send its request's headers in time is left."""

        _headers_due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

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
