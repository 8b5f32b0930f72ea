"""The webhook: what is told and signed, when it is tried again, and that nothing waits for it."""

import base64
import hashlib
import hmac
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError
from lunglens.serve import notifier as module
from lunglens.serve.analysis import Analysis
from lunglens.serve.notifier import Notifier
from lunglens.serve.webhook import Webhook
from tests.support.receiver import receiver
from tests.support.waiting import free_port, wait_until

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def answered(folder: Path, number: int = 0) -> Analysis:
    return Analysis(f"id-{number}", folder, "Doe^Jane.dcm", "0" * 64, "my-list", "failed", "unreadable", finished=1e9)


@pytest.mark.parametrize(
    ("statuses", "tries", "outcome"),
    [
        ([204], 1, "delivered"),
        ([500, 429, 200], 3, "delivered"),
        ([500] * 9, 4, "given up"),
        ([404], 1, "given up"),
        ([302], 1, "given up"),  # a redirect is not followed
    ],
)
def test_a_message_is_tried_again_where_that_may_help_and_not_for_ever(
    statuses: list[int], tries: int, outcome: str, tmp_path: Path
) -> None:
    outcomes: Counter[str] = Counter()
    with receiver(statuses) as found:
        notifier = Notifier(Webhook.parse(found.url), lambda what: outcomes.update([what]), [0.01] * 3)
        notifier.tell(answered(tmp_path))
        wait_until(lambda: bool(outcomes))
        notifier.close(1)
        assert outcomes == {outcome: 1}
        assert len(found.got) == tries
        assert len({headers["webhook-id"] for headers, _ in found.got}) == 1
        assert {headers["path"] for headers, _ in found.got} == {"/hook?of=lunglens"}
        assert "webhook-signature" not in found.got[0][0]


def test_nobody_waits_for_a_receiver_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 5)
    outcomes: Counter[str] = Counter()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")
        notifier = Notifier(webhook, lambda what: outcomes.update([what]))
        started = time.monotonic()
        for number in range(20):
            notifier.tell(answered(tmp_path, number))
        assert outcomes["dropped"] >= 14  # one is being sent, five wait
        notifier.close(0.1)
        assert time.monotonic() - started < 1


def test_a_stop_tries_what_waits_once_more(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    with receiver([500]) as found:
        notifier = Notifier(Webhook.parse(found.url), lambda what: outcomes.update([what]), [60])
        for number in range(3):
            notifier.tell(answered(tmp_path, number))
        wait_until(lambda: len(found.got) == 1)
        notifier.close(5)
        assert outcomes == {"given up": 1, "delivered": 2}
        notifier.close(0)


def verified(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """As standardwebhooks.com says."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(f"v1,{expected}", headers["webhook-signature"])


def test_a_message_is_signed_where_there_is_a_key(tmp_path: Path) -> None:
    with receiver() as found:
        webhook = Webhook.parse(found.url, SECRET)
        assert base64.b64encode(KEY).decode() not in repr(webhook) and repr(KEY) not in repr(webhook)
        assert webhook.post("id", b"{}") == 204
        headers, body = found.got[0]
    assert verified(headers, body, KEY)
    assert not verified(headers, body + b" ", KEY)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


NO_ADDRESSES = ["", "host/path", "ftp://host/", "file:///etc/passwd", "http://", "http://h:0x/", "http://h:99999/"]
NO_ADDRESSES += ["http://[::1/", "http://user@h/", "http://user:word@h/", "http://h/#part", "http://h/a b"]
NO_ADDRESSES += ["http://h/\r\nX: y", "http://hé/"]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_an_address_that_is_none_is_said(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--notify"):
        Webhook.parse(url)


@pytest.mark.parametrize("key", ["word", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", base64.b64encode(KEY).decode()])
def test_a_key_that_is_none_is_said_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="LUNGLENS_NOTIFY_SECRET") as error:
        Webhook.parse("https://host/", key)
    assert key not in str(error.value).replace("whsec_", "")


@given(st.text(max_size=30))
def test_any_address_is_parsed_or_refused(url: str) -> None:
    try:
        found = Webhook.parse(f"https://{url}")
    except ConfigurationError:
        return
    assert found.host and found.is_tls and found.target.startswith(("/", "?"))


def test_the_command_says_what_is_wrong_before_it_listens() -> None:
    done = CliRunner().invoke(app, ["serve", "--port", str(free_port()), "--notify", "mailto:me"])
    assert isinstance(done.exception, ConfigurationError)
    assert "--notify" in str(done.exception)
