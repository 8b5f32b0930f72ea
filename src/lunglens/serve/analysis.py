"""One film's way through the server, and what of it lies on disk."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lunglens.files import write_json
from lunglens.serve.task import FILM

_RECORD = "analysis.json"


@dataclass(eq=False)
class Analysis:
    """A film, from its upload until it is forgotten.

    worklist: name of the one that it is on, known to the client alone. label: what the client called the file, for
    the client alone. state: "queued", "running", then "analyzed", "refused" or "failed". created, finished, asked (by a
    client, last): seconds since 1970. working: processes that are at work in its folder.
    """

    id: str
    folder: Path
    label: str
    sha256: str
    worklist: str = ""
    state: str = "queued"
    reason: str | None = None
    created: float = field(default_factory=time.time)
    finished: float | None = None
    asked: float = field(default_factory=time.time)
    working: int = 0

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.finished is not None

    def keep(self) -> None:
        """Write it into its folder."""
        record = {name: value for name, value in asdict(self).items() if name not in ("folder", "asked", "working")}
        write_json(self.folder / _RECORD, record)


def kept_analyses(folder: Path) -> Iterator[Analysis]:
    """Those that `keep` has left in folders of this one, the oldest first; what was not finished is queued again."""
    found = []
    for path in folder.glob(f"*/{_RECORD}"):
        try:
            analysis = Analysis(folder=path.parent, **json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if not analysis.is_done:
            analysis.state = "queued"
        if (analysis.folder / FILM).is_file():
            found.append(analysis)
    yield from sorted(found, key=lambda analysis: analysis.created)
