"""Waiting for what another process or thread does."""

import socket
import time
from collections.abc import Callable
from typing import Any


def wait_until(happened: Callable[[], Any], seconds: float = 30) -> None:
    """Look again and again; fail when the time is over."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.02)


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
