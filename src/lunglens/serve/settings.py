"""How the server runs, and what it refuses to run as."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from lunglens.errors import ConfigurationError

MIB = 1024**2


@dataclass(frozen=True)
class ServeSettings:
    """Where to listen, who may ask, and what a request may cost.

    host, port: where to listen. token: what clients must show; None: nobody is asked. workers: analysing processes.
    most_queued: films that may wait; more are turned away with 503. most_kept: analyses kept at a time, the oldest
    finished ones go first. keep_s: how long a result is kept. most_request_bytes, most_film_bytes, most_films: of one
    request, what is packed in it counted unpacked. most_pixels: of a film. film_s: time for a film. upload_s: time for
    a request's body; header_s: for its headers. stop_s: how long a stop waits for queued films.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    workers: int = 1
    most_queued: int = 256
    most_kept: int = 1000
    keep_s: float = 1800
    most_request_bytes: int = 512 * MIB
    most_film_bytes: int = 128 * MIB
    most_films: int = 200
    most_pixels: int = 64_000_000
    film_s: float = 60
    upload_s: float = 120
    header_s: float = 10
    stop_s: float = 30

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Raise ConfigurationError where the server would stand open to others without a token."""
        if not self.is_local and self.token is None:
            raise ConfigurationError(
                f"{self.host}: other machines could reach the server; give --token-file, or listen on 127.0.0.1"
            )


def read_token(path: Path) -> str:
    """The token in a file: one line of at least 16 characters, and nobody else may read the file.

    Raises:
        ConfigurationError: it is not so.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: no readable token ({error})") from error
    if mode & 0o077:
        raise ConfigurationError(f"{path}: others may read it; chmod 600 it")
    if len(text) < 16 or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{path}: give one line of at least 16 printable characters without spaces")
    return text
