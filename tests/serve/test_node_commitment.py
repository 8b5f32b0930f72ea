"""The DICOM node asks a receiver for storage commitment (PS3.4 annex J): what it keeps, and whom it believes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification  # type: ignore[attr-defined]
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError
from lunglens.film.analyzer import Analyzer
from lunglens.serve.commitment import Asker
from lunglens.serve.facts import Facts
from lunglens.serve.node import Node
from lunglens.serve.settings import NodeSettings, Peer
from lunglens.serve.spool import Spool
from lunglens.serve.uncommitted import Uncommitted
from tests.support.committing import (
    Committing,
    committing,
    instances,
    report_on,
    small_results,
    tell_anew,
    tell_here,
)
from tests.support.node_parts import archive, associate, node, put_results
from tests.support.waiting import free_port, wait_until

ALL = ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
HERE, NEVER_AGAIN = 0.1, 3600.0  # seconds


@contextmanager
def asking(
    receiver: Committing, folder: Path, stub: Analyzer, again_s: float = NEVER_AGAIN, **more: Any
) -> Iterator[Node]:
    name = f"ARCHIVE@127.0.0.1:{receiver.port}"
    more |= {"commitment": (name,), "commitment_s": (HERE, again_s)}
    with node(folder, receiver.port, stub, **more) as running:
        yield running


def waiting(receiver: Committing, folder: Path) -> Spool:
    """A spool with one film's results for a receiver."""
    spool = Spool(folder)
    put_results(spool, small_results(), receiver=f"ARCHIVE@127.0.0.1:{receiver.port}")
    return spool


def is_empty(spool: Spool) -> bool:
    return not any(any(place.iterdir()) for place in (spool.outgoing, spool.uncommitted, spool.receiving))


def test_results_are_kept_until_a_report_on_the_association_of_its_request(stub: Analyzer, tmp_path: Path) -> None:
    kept: list[int] = []

    def answer(receiver: Committing, association: Any, asked: Dataset) -> None:
        kept.append(len(list(spool.uncommitted.glob("*/*.stored"))))
        kept.append(tell_here(association, report_on(asked)))

    with committing(answer, statuses=[0x0110, 0x0213]) as receiver:
        spool = waiting(receiver, tmp_path)
        with asking(receiver, tmp_path, stub):
            wait_until(lambda: is_empty(spool))
            wait_until(lambda: len(kept) == 2)
    assert kept == [3, 0]
    assert [instances(asked) for asked in receiver.asked] == [ALL]
    assert sorted(receiver.uids()) == ALL
    assert not list(spool.quarantine.iterdir())


def test_what_is_not_committed_is_stored_and_asked_for_again(stub: Analyzer, tmp_path: Path) -> None:
    def answer(_: Committing, association: Any, asked: Dataset) -> None:
        tell_here(association, report_on(asked, ["1.2.3.2"] if len(receiver.asked) == 1 else []))

    with committing(answer) as receiver:
        spool = waiting(receiver, tmp_path)
        with asking(receiver, tmp_path, stub):
            wait_until(lambda: is_empty(spool) and len(receiver.asked) == 2)
    assert [instances(asked) for asked in receiver.asked] == [ALL, ["1.2.3.2"]]
    assert receiver.asked[0].TransactionUID != receiver.asked[1].TransactionUID
    assert sorted(receiver.uids()) == ["1.2.3.1", "1.2.3.2", "1.2.3.2", "1.2.3.3"]


def changed(asked: Dataset, how: str) -> Dataset:
    """A report that does not fit what was asked."""
    report = report_on(asked, ["1.2.3.2"] if how == "a failure among successes" else [])
    committed = report.ReferencedSOPSequence
    if how == "another transaction":
        report.TransactionUID = "1.2.3.4"
    elif how == "no transaction":
        del report.TransactionUID
    elif how == "one is missing":
        committed.pop()
    elif how == "none":
        del report.ReferencedSOPSequence
    elif how == "one twice":
        committed[-1] = committed[0]
    elif how == "one in another's place":
        committed[-1].ReferencedSOPInstanceUID = "1.2.3.9"
    elif how == "one more":
        committed.append(Dataset())
        committed[-1].ReferencedSOPInstanceUID = "1.2.3.9"
    return report


WRONG: list[tuple[str, dict[str, Any], int | None]] = [
    ("another transaction", {}, 0x0115),
    ("one is missing", {}, 0x0115),
    ("none", {}, 0x0115),
    ("one twice", {}, 0x0115),
    ("one in another's place", {}, 0x0115),
    ("one more", {}, 0x0115),
    ("a failure among successes", {"kind": 1}, 0x0115),
    ("no failures among failures", {"kind": 2}, 0x0115),
    ("of whom is asked for others", {"calling": "OTHER"}, 0x0115),
    ("no transaction", {}, 0x0110),
    ("another kind of event", {"kind": 3}, 0x0113),
    ("another object", {"instance": "1.2.3.5"}, 0x0112),
    ("of whom is not asked", {"calling": "MODALITY"}, None),
    ("of nobody known", {"calling": "STRANGER"}, None),
]


def test_a_late_report_counts_only_of_whom_was_asked_and_on_what_was_asked(stub: Analyzer, tmp_path: Path) -> None:
    with committing() as receiver:
        spool = waiting(receiver, tmp_path)
        peers = (Peer("ARCHIVE", "127.0.0.1", receiver.port), Peer("OTHER", "127.0.0.1", 1))
        commitment = tuple(map(str, peers))
        settings: dict[str, Any] = {"peers": peers, "commitment": commitment, "commitment_s": (HERE, NEVER_AGAIN)}
        with node(tmp_path, receiver.port, stub, allowed=("MODALITY",), **settings) as running:
            wait_until(lambda: receiver.asked)
            [asked] = receiver.asked
            found = {how: tell_anew(running.port, changed(asked, how), **said) for how, said, _ in WRONG}
            assert found == {how: status for how, _, status in WRONG}
            assert len(list(spool.uncommitted.glob("*/*.stored"))) == 3
            association = associate(running.port, ComputedRadiographyImageStorage, calling="ARCHIVE")
            assert [one.abstract_syntax for one in association.accepted_contexts] == [Verification]  # may not store
            association.release()
            assert tell_anew(running.port, report_on(asked)) == 0
            assert is_empty(spool)
            assert tell_anew(running.port, report_on(asked)) == 0x0115
    assert len(receiver.asked) == 1


def test_who_never_reports_is_asked_again_by_other_transactions_and_may_report_on_the_first_to_a_node_begun_anew(
    stub: Analyzer, tmp_path: Path
) -> None:
    with committing() as receiver:
        spool = waiting(receiver, tmp_path)
        with asking(receiver, tmp_path, stub, again_s=0.2):
            wait_until(lambda: len(receiver.asked) == 2)
        assert json.loads((tmp_path / "status.json").read_text())["uncommitted"] == 1
        before = len(receiver.asked)
        with asking(receiver, tmp_path, stub) as running:
            wait_until(lambda: len(receiver.asked) == before + 1)
            assert tell_anew(running.port, report_on(receiver.asked[0])) == 0
            assert is_empty(spool)
    assert len({asked.TransactionUID for asked in receiver.asked}) == before + 1
    assert sorted(receiver.uids()) == ALL


NAME = "ARCHIVE@127.0.0.1:104"
AT_ONCE = NodeSettings("LUNGLENS", (Peer.parse(NAME),), commitment=(NAME,), retry_s=(0.0, 0.0), commitment_s=(0.0, 0.0))


class Killed(BaseException):
    pass


class Keeper:
    """An archive without a network: what it has been sent, and what it has committed to, the first time not to all."""

    def __init__(self, fails: int) -> None:
        self.stored: list[str] = []
        self.committed: set[str] = set()
        self._fails = fails

    def talk(self, spool: Spool) -> None:
        """As a node that is begun does, until nothing is left."""
        uncommitted = Uncommitted(AT_ONCE, spool)
        uncommitted.prepare()
        while spool.undelivered() or spool.stored():
            for file in spool.undelivered():
                self.stored.append(file.name)
                spool.delivered(file, is_kept=True)
            for folder in uncommitted.due(NAME):
                if asked := uncommitted.request(folder):
                    self._report(uncommitted, asked)

    def _report(self, uncommitted: Uncommitted, asked: Dataset) -> None:
        failed = ["1.2.3.2"] if self._fails > 0 and "1.2.3.2" in instances(asked) else []
        self._fails -= 1
        self.committed |= {uid for uid in instances(asked) if uid not in failed}
        assert uncommitted.report([NAME], 2 if failed else 1, report_on(asked, failed))


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, last = 0, 1

    def killing(original: Any) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == last:
                raise Killed
            return original(*args, **options)

        return step

    monkeypatch.setattr("os.fsync", lambda _: None)  # slow, and of a loss of power alone
    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, killing(getattr(Path, name)))
    was_killed = True
    while was_killed:
        steps, was_killed = -1000, False
        spool, keeper = Spool(tmp_path / str(last)), Keeper(fails=1)
        put_results(spool, small_results(2), receiver=NAME)
        steps = 0
        try:
            keeper.talk(spool)
        except Killed:
            was_killed = True
            keeper.talk(Spool(spool.folder))
        assert is_empty(spool)
        assert keeper.committed == set(ALL[:2])
        assert not list(spool.quarantine.iterdir())
        last += 1
    assert last > 12  # there are steps


def test_what_is_never_committed_goes_into_quarantine_after_eight_times(tmp_path: Path) -> None:
    spool, keeper = Spool(tmp_path), Keeper(fails=1000)
    put_results(spool, small_results(), receiver=NAME)
    keeper.talk(spool)
    assert keeper.stored.count("lungs.seg.dcm") == 8
    assert [path.name for path in spool.quarantine.glob("*/*")] == ["lungs.seg.dcm"]
    assert keeper.committed == {"1.2.3.1", "1.2.3.3"}


def stored(spool: Spool, receiver: str = NAME) -> Path:
    put_results(spool, small_results(), receiver=receiver)
    for file in spool.undelivered():
        spool.delivered(file, is_kept=True)
    [folder] = spool.stored()
    return folder


def test_a_report_on_what_was_stored_before_does_not_count_for_what_was_stored_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    folder, uncommitted = stored(spool), Uncommitted(AT_ONCE, spool)
    asked = uncommitted.request(folder)
    assert asked is not None
    assert uncommitted.report([NAME], 2, report_on(asked, ALL))
    assert uncommitted.request(folder) is None
    for file in spool.undelivered():
        spool.delivered(file, is_kept=True)
    assert uncommitted.request(folder) is not None
    assert not uncommitted.report([NAME], 1, report_on(asked))


def test_a_transaction_that_nobody_has_heard_of_is_not_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with archive() as knows_none:
        for port in (knows_none.port, free_port()):
            peer = Peer("ARCHIVE", "127.0.0.1", port)
            settings = replace(AT_ONCE, peers=(peer,), commitment=(str(peer),))
            folder, uncommitted = stored(spool, str(peer)), Uncommitted(settings, spool)
            assert not Asker(settings, peer, uncommitted, threading.Event()).ask()
            assert Facts.read(folder).transactions == []
            spool.forget(folder)


def test_a_stored_result_that_the_disk_has_spoilt_is_made_anew_and_the_committed_ones_are_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    folder = stored(spool)
    (folder / "lungs.seg.stored").write_bytes(b"spoilt")
    assert Uncommitted(AT_ONCE, spool).request(folder) is None
    [file] = spool.undelivered()
    assert file.name == "lungs.seg.dcm"
    (file.parent / "panel.sc.stored").unlink()  # as if it had been committed
    assert spool.again(file)
    assert Facts.read(spool.incoming / folder.name).delivered == ["panel.sc.dcm"]


def test_whom_is_not_asked_any_more_has_all(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored(spool)
    Uncommitted(AT_ONCE, spool).prepare()
    assert len(spool.stored()) == 1
    Uncommitted(NodeSettings("LUNGLENS", (Peer.parse(NAME),)), spool).prepare()
    assert is_empty(spool)


@pytest.mark.parametrize("name", ["OTHER@127.0.0.1:104", "BEDSIDE=ARCHIVE@127.0.0.1:104", "ARCHIVE"])
def test_only_who_gets_results_can_be_asked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lunglens.serve.logs.only_our_log", lambda: None)
    command = ["node", "--send-to", NAME, "--commitment", name, "--spool", str(tmp_path)]
    error = CliRunner().invoke(app, command).exception
    assert isinstance(error, ConfigurationError)
    assert f"--commitment {name}: no receiver; give AE@HOST:PORT of a --send-to" in str(error)
