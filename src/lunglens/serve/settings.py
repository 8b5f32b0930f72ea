"""How the server and the node run, and what they refuse to run as."""

import ipaddress
import re
import ssl
from dataclasses import dataclass, field, fields
from pathlib import Path

from lunglens.errors import ConfigurationError
from lunglens.film.analyzer import Analyzer
from lunglens.film.model_package.session import Device
from lunglens.film.radiograph import Limits
from lunglens.serve.webhook import Webhook

MIB = 1024**2
LOCK = ".lock"  # held while a server or node works in the folder that it is in
_TITLE = r"[^@=\s\\]{1,16}"
_PEER = re.compile(rf"((?P<calling>{_TITLE})=)?(?P<aet>{_TITLE})@(?P<host>[^\s:@]+):(?P<port>\d{{1,5}})")


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """With what an analysing process analyses, and what a film may cost it.

    lungs, classifier: model packages; None: those that ship. device: where their graphs run. most_film_bytes,
    most_pixels: of a film. film_s: time for a film. worker_memory_bytes: of the process.
    """

    lungs: Path | None = None
    classifier: Path | None = None
    device: Device = "cpu"
    most_film_bytes: int = 128 * MIB
    most_pixels: int = 64_000_000
    film_s: float = 60
    worker_memory_bytes: int = 4 * 1024 * MIB  # the largest film that is let in takes 2.5 GiB

    @property
    def limits(self) -> Limits:
        """Of a film."""
        return Limits(self.most_film_bytes, self.most_pixels)

    def of_worker(self) -> "WorkerSettings":
        """These settings alone: an analysing process needs to know of no token."""
        return WorkerSettings(**{one.name: getattr(self, one.name) for one in fields(WorkerSettings)})

    def models(self) -> Analyzer:
        """The models, not yet loaded to run; what comes not with LungLens is tried once, to say now what is wrong.

        Raises:
            DeviceError: the device cannot be had.
            ModelPackageError: one is missing, damaged, of another kind, or does not run.
        """
        if self.lungs is not None or self.classifier is not None or self.device != "cpu":
            self.load().prepare()
        return self.load()

    def load(self) -> Analyzer:
        """The models; errors as `Analyzer.load`."""
        return Analyzer.load(self.lungs, self.classifier, device=self.device)


@dataclass(frozen=True)
class ServeSettings(WorkerSettings):
    """Where to listen, who may ask, and what a request may cost.

    host, port: where to listen. token: what clients must show; None: nobody is asked. workers: analysing processes.
    keep: folder in which films and results outlive the server; None: a temporary one that goes with it.
    most_queued: films that may wait; more are turned away with 503. most_kept: analyses kept at a time, the oldest
    finished ones go first. keep_s: how long a result is kept. most_request_bytes, most_films: of one request, what is
    packed in it counted unpacked. most_bytes_in_flight: of all requests' bodies together, until they are answered.
    upload_s: time for a request's body; header_s: for its headers; answer_s: for a client to take any of the answer
    that waits. stop_s: how long a stop waits for queued films. webhook: who is told of each film that is answered.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    workers: int = 1
    keep: Path | None = None
    most_queued: int = 256
    most_kept: int = 1000
    keep_s: float = 1800
    most_request_bytes: int = 512 * MIB
    most_bytes_in_flight: int = 1024 * MIB
    most_films: int = 200
    upload_s: float = 120
    header_s: float = 10
    answer_s: float = 30
    stop_s: float = 30
    webhook: Webhook | None = None

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
        """Raise ConfigurationError where it would stand open to others without a token, or keep films among others."""
        if not self.is_local and self.token is None:
            raise ConfigurationError(
                f"{self.host}: other machines could reach the server; give --token-file, or listen on 127.0.0.1"
            )
        if self.keep is not None and not _is_ours(self.keep):
            raise ConfigurationError(f"{self.keep}: holds what no server has kept; give an empty folder")


@dataclass(frozen=True)
class Peer:
    """Where results go: application entity title, host and port. calling: only those of films from this title."""

    aet: str
    host: str
    port: int
    calling: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """From "AE@HOST:PORT", or "CALLING=AE@HOST:PORT".

        Raises:
            ConfigurationError: it is not of that form.
        """
        match = _PEER.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ConfigurationError(f"{text}: not of the form AE@HOST:PORT, or CALLING=AE@HOST:PORT")
        return cls(match["aet"], match["host"], int(match["port"]), match["calling"])

    def __str__(self) -> str:
        """Without the calling title."""
        return f"{self.aet}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Tls:
    """Certificate and key (PEM) that the node shows, and of whom it takes others' (at least version 1.2, BCP 195).

    certificate, key: its own. authority: certificates that others' must be signed by; then who sends films must show
    one, too. None: those that the system trusts, and senders need none. sends: whether receivers are spoken to so.
    """

    certificate: Path
    key: Path
    authority: Path | None = None
    sends: bool = False

    def context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        """For connections that are taken (CLIENT_AUTH) or made (SERVER_AUTH).

        Raises:
            ConfigurationError: a file is missing, or holds something else.
        """
        try:
            context = ssl.create_default_context(purpose, cafile=self.authority)
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self.certificate}, {self.key}: no certificate and key ({error})") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _no_password() -> str:
    raise ValueError("the key has a password; give one without, that only this user may read")


@dataclass(frozen=True)
class NodeSettings(WorkerSettings):
    """How the node runs.

    aet, host, port: its own title and where it listens (port 0: any free one). peers: who gets the results, each all
    that it is to have. tls: None: connections are not encrypted. allowed: calling titles that may store; empty: all.
    commitment: receivers ("AE@HOST:PORT") that are asked for storage commitment. most_waiting: films in the spool from
    which on new ones are turned away. least_free_bytes: of the spool's disk; with less, films are turned away.
    answer_refused: whether a film that is not analysed is answered, too. retry_s: first and longest pause between tries
    to deliver. commitment_s: how long a report is waited for on the association of its request, and after how long
    without one it is asked again. timeout_s: of the network.
    """

    aet: str
    peers: tuple[Peer, ...]
    host: str = "127.0.0.1"
    port: int = 11112
    tls: Tls | None = None
    allowed: tuple[str, ...] = ()
    commitment: tuple[str, ...] = ()
    most_waiting: int = 1000
    most_film_bytes: int = field(default=512 * MIB, kw_only=True)
    least_free_bytes: int = 512 * MIB
    answer_refused: bool = True
    retry_s: tuple[float, float] = (1.0, 60.0)
    commitment_s: tuple[float, float] = (2.0, 3600.0)
    timeout_s: float = 30.0

    def check(self) -> None:
        """Raise ConfigurationError where receivers contradict each other, or nobody would get a film's results."""
        if len({(str(peer), peer.calling) for peer in self.peers}) < len(self.peers):
            raise ConfigurationError("--send-to: a receiver is given twice")
        for name in self.commitment:
            if name not in {str(peer) for peer in self.peers}:
                raise ConfigurationError(f"--commitment {name}: no receiver; give AE@HOST:PORT of a --send-to")
        known = {peer.calling for peer in self.peers}
        if None not in known and not (self.allowed and set(self.allowed) <= known):
            raise ConfigurationError(
                "--send-to: every receiver is for one calling title; give one for all others, or --allow those titles"
            )

    def tls_to(self, peer: Peer) -> tuple[ssl.SSLContext, str] | None:
        """With what a receiver is spoken to; None: it is not encrypted.

        Raises:
            ConfigurationError: a file of the certificate or key is missing, or holds something else.
        """
        if self.tls is None or not self.tls.sends:
            return None
        return self.tls.context(ssl.Purpose.SERVER_AUTH), peer.host

    def asked(self, title: str) -> list[str]:
        """Receivers of this title that are asked for storage commitment."""
        return [str(peer) for peer in self.peers if peer.aet == title and str(peer) in self.commitment]

    def receivers(self, sender: str) -> list[Peer]:
        """Of the results of films from this calling title."""
        return list({str(peer): peer for peer in self.peers if peer.calling in (None, sender)}.values())


def _is_ours(folder: Path) -> bool:
    """Whether a server may keep its films there: it is new, empty, or a server has kept films there before."""
    return not folder.exists() or (folder.is_dir() and ((folder / LOCK).exists() or not any(folder.iterdir())))


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
