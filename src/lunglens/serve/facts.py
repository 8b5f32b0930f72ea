"""What the spool knows of a film: enough to follow it in the log, nothing of the patient."""

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lunglens.files import write_json

FACTS = "film.json"


@dataclass
class Facts:
    """sender: calling title. address: of the sender. instance, study: hashed UIDs (`hashed`).

    receiver: who is to get the results, "AE@HOST:PORT"; "" before they are there. files: name -> SHA-256 of each
    result. again: the results were damaged once, and the film was analysed anew; delivered: what the receiver had taken
    before. transactions: UIDs of the requests for storage commitment that a report may still be on. failures: reports
    that it has not committed to all.
    """

    sender: str = "-"
    address: str = "-"
    instance: str = "-"
    study: str = "-"
    receiver: str = ""
    files: dict[str, str] = field(default_factory=dict)
    delivered: list[str] = field(default_factory=list)
    again: bool = False
    transactions: list[str] = field(default_factory=list)
    failures: int = 0

    @classmethod
    def read(cls, folder: Path) -> "Facts":
        """Of a film's folder; nothing is known where its file is missing or damaged."""
        try:
            return _adapter().validate_json((folder / FACTS).read_bytes(), strict=True)
        except (OSError, ValidationError):
            return cls()

    def write(self, folder: Path) -> None:
        """Into a film's folder, whole or not at all."""
        write_json(folder / FACTS, asdict(self))

    def __str__(self) -> str:
        """For the log."""
        return f"instance {self.instance}, study {self.study}, from {self.sender} at {self.address}"


@cache
def _adapter() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)


def hashed(uid: object) -> str:
    """The first 12 hex digits of the SHA-256 of a UID: who has the UID can find it in the log, who has not cannot."""
    text = str(uid or "").strip(" \0")
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12] if text else ""
