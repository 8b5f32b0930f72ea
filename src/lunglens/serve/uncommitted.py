"""Results that a receiver has stored and not yet committed to keep (PS3.4 annex J): asked for, forgotten, sent again.

They lie in `uncommitted` of the node's spool, a folder for each film and receiver. What must outlive a kill is in the
files' names (`.stored` instead of `.dcm`) and `film.json`. When it is time to ask is not: a node that starts asks.
"""

import logging
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from lunglens.serve.facts import Facts
from lunglens.serve.settings import NodeSettings
from lunglens.serve.spool import Spool

log = logging.getLogger("lunglens.node")
_MOST_FAILURES = 8  # reports after which what the receiver does not commit to is stored no more
_MOST_TRANSACTIONS = 100  # of a film for which a report still counts
_FAILURES = 2  # event type (PS3.4 J.3.3)


class Uncommitted:
    """Used by several threads: who asks, and the associations that report."""

    def __init__(self, settings: NodeSettings, spool: Spool) -> None:
        self.settings, self.spool = settings, spool
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}  # folder's name -> time.monotonic() before which nothing is to be done

    def prepare(self) -> None:
        """Take up what an earlier node has left: what nobody is asked for any more counts as delivered."""
        for folder in self.spool.stored():
            with suppress(OSError):
                if self.spool.to_send(folder):
                    self.spool.send_again(folder)
                elif Facts.read(folder).receiver not in self.settings.commitment:
                    log.info("%s: its receiver is not asked for commitment any more: delivered", folder.name)
                    self.spool.forget(folder)

    def due(self, receiver: str) -> list[Path]:
        """Folders with which something is to be done now: `request`."""
        with self._lock:
            now = time.monotonic()
            folders = [folder for folder in self.spool.stored() if self._next.get(folder.name, now) <= now]
            return [folder for folder in folders if Facts.read(folder).receiver == receiver]

    def request(self, folder: Path) -> Dataset | None:
        """What is to be asked (PS3.4 J.3.2), by a transaction that is on disk.

        None: there is nothing to ask, it goes back to the sender.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        with self._lock:
            request = Dataset()
            request.TransactionUID = generate_uid()
            request.ReferencedSOPSequence = list(self._instances(folder).values())
            if self.spool.to_send(folder) or not request.ReferencedSOPSequence:
                self._next.pop(folder.name, None)
                if folder.exists():
                    self.spool.send_again(folder)
                return None
            facts = Facts.read(folder)
            facts.transactions = [*facts.transactions, request.TransactionUID][-_MOST_TRANSACTIONS:]
            facts.write(folder)
            self._next[folder.name] = time.monotonic() + self.settings.commitment_s[1]
            return request

    def refused(self, folder: Path) -> None:
        """The request was not taken: ask again, after others."""
        with self._lock:
            if folder.exists():
                self._next[folder.name] = time.monotonic() + self.settings.retry_s[1]

    def report(self, receivers: Collection[str], kind: int, said: Dataset) -> bool:
        """What one of these receivers reports (PS3.4 J.3.3); False where it does not fit what it was asked.

        kind: 1 all are committed, 2 failures exist. said: the event information.

        Raises:
            AttributeError: it has no transaction, or instances without UID.
            OSError: the disk is full or cannot be written.
        """
        committed, failed = (_uids(said.get(name)) for name in ("ReferencedSOPSequence", "FailedSOPSequence"))
        with self._lock:
            folder = self._asked(str(said.TransactionUID), receivers)
            if folder is None:
                return False
            instances = {str(item.ReferencedSOPInstanceUID): file for file, item in self._instances(folder).items()}
            if sorted(committed + failed) != sorted(instances) or bool(failed) != (kind == _FAILURES):
                return False
            facts = Facts.read(folder)
            if failed:
                self._fail(folder, facts, [instances[uid] for uid in committed], [instances[uid] for uid in failed])
            else:
                self.spool.forget(folder)
                self._next.pop(folder.name, None)
                log.info("%s: %d results committed, %s", folder.name, len(committed), facts)
            return True

    def _asked(self, transaction: str, receivers: Collection[str]) -> Path | None:
        for folder in self.spool.stored():
            facts = Facts.read(folder)
            if transaction in facts.transactions and facts.receiver in receivers:
                return folder
        return None

    def _instances(self, folder: Path) -> dict[Path, Dataset]:
        """Class and instance of each stored result; one that cannot be read is sent again, which makes it anew."""
        found = {}
        for file in self.spool.kept(folder):
            try:
                dataset = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
                item = Dataset()
                item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
            except Exception:  # damaged files make pydicom raise anything
                self.spool.unkeep(file)
                self._next.pop(folder.name, None)
            else:
                found[file] = item
        return found

    def _fail(self, folder: Path, facts: Facts, committed: list[Path], failed: list[Path]) -> None:
        """Forget the committed ones; a kill on the way leaves some to be asked for anew."""
        facts.failures, facts.transactions = facts.failures + 1, []
        facts.write(folder)
        for file in committed:
            file.unlink()
        if facts.failures >= _MOST_FAILURES:
            for file in failed:
                self.spool.put_aside(
                    self.spool.unkeep(file), f"the receiver has not committed to it {facts.failures} times"
                )
            self.spool.forget(folder)
            self._next.pop(folder.name, None)
            return
        first, longest = self.settings.retry_s
        pause = min(first * 2 ** (facts.failures - 1), longest)
        for file in failed:
            self.spool.unkeep(file)
        self._next[folder.name] = time.monotonic() + pause
        log.warning("%s: %d results not committed, sent again in %.0f s, %s", folder.name, len(failed), pause, facts)


def _uids(items: list[Dataset] | None) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in items or ()]
