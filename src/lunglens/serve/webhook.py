"""A webhook's receiver: where it is, and one signed request to it (Standard Webhooks, standardwebhooks.com)."""

import base64
import binascii
import hmac
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from lunglens.errors import ConfigurationError
from lunglens.film.about import __version__

_TIMEOUT_S = 10.0
_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)


@dataclass(frozen=True)
class Webhook:
    """target: path and query. secret: key of the signature; None: requests are not signed."""

    is_tls: bool
    host: str
    port: int | None
    target: str
    secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, secret: str | None = None) -> "Webhook":
        """From an address, and a key as `whsec_` and base64 of 24 to 64 bytes.

        Raises:
            ConfigurationError: one is not of that form.
        """
        parts, port = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"--notify: not of the form https://HOST:PORT/PATH, or http://...: {url!r}")
        if parts.username is not None or parts.fragment:
            raise ConfigurationError("--notify: neither a name before @ nor a part after # is sent; leave them out")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme == "https", parts.hostname, port, target, _key(secret) if secret else None)

    def post(self, id_: str, body: bytes) -> int:
        """Send a message once; the status that is answered, redirects among them: none is followed.

        Args:
            id_: of the message, the same in each try.
            body: JSON.

        Raises:
            OSError: nobody answers, or not in 10 s, or shows no certificate that this machine trusts.
            http.client.HTTPException: what is answered is no HTTP.
        """
        connection = (HTTPSConnection if self.is_tls else HTTPConnection)(self.host, self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", self.target, body, self._headers(id_, body))
            return connection.getresponse().status
        finally:
            connection.close()

    def _headers(self, id_: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        headers = {"content-type": "application/json", "user-agent": f"LungLens/{__version__}"}
        headers |= {"webhook-id": id_, "webhook-timestamp": now}
        if self.secret is not None:
            signed = hmac.digest(self.secret, f"{id_}.{now}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return headers


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    if not url.isascii() or not url.isprintable() or " " in url:
        return None, None
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts, parts.port
    except ValueError:  # a port that is none, half an IPv6 address, a host that is no name
        return None, None


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _SECRET_BYTES:
        raise ConfigurationError(
            "LUNGLENS_NOTIFY_SECRET: not of the form whsec_..., base64 of 24 to 64 bytes; "
            'make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return key
