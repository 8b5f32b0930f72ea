"""Work lists: found again, each client in its turn, kept over a kill where that is asked for."""

import io
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunglens.errors import ConfigurationError
from lunglens.serve.settings import ServeSettings
from lunglens.serve.turns import Turns
from tests.support.serving import Running, server

MINE, THEIRS = {"lunglens-list": "mine-0123456789"}, {"lunglens-list": "theirs-0123456789"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("lists")) as found:
        yield found


@pytest.fixture(scope="module")
def films(chest_png: Path) -> list[bytes]:
    """Twenty files of one film: a PNG may have a tail."""
    return [chest_png.read_bytes() + bytes([number]) for number in range(20)]


def send(client: httpx.Client, films: list[bytes], list_: dict[str, str], wait: int = 60) -> list[dict[str, Any]]:
    files = [("files", (f"{number}.png", film)) for number, film in enumerate(films)]
    answer = client.post(f"/api/analyses?wait={wait}", files=files, headers=list_)
    assert answer.status_code in (200, 202), answer.text
    found: list[dict[str, Any]] = answer.json()["analyses"]
    return found


def listed(client: httpx.Client, list_: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = client.get("/api/analyses", params=query, headers=list_)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=30))
def test_every_order_comes_once_in_its_client_s_order_and_at_its_place(orders: list[tuple[str, int]]) -> None:
    turns: Turns[tuple[int, str, int]] = Turns()
    numbered = [(at, client, number) for at, (client, number) in enumerate(orders)]
    for order in numbered:
        turns.put(order[1], order)
    places = {order: turns.place(order[1], order.__eq__) for order in numbered}
    came = [turns.get() for _ in numbered]
    assert {order: at for at, order in enumerate(came, 1)} == places
    for client in "abc":
        assert [order for order in came if order and order[1] == client] == [o for o in numbered if o[1] == client]
    # While another waits, nobody is served twice in a row.
    for at, (first, second) in enumerate(pairwise(came), 1):
        assert first and second
        assert first[1] != second[1] or {order[1] for order in came[at:] if order} == {first[1]}


def test_what_is_taken_back_never_comes_and_a_closed_queue_answers_nobody() -> None:
    turns: Turns[int] = Turns()
    for order in range(6):
        turns.put("ab"[order % 2], order)
    assert sorted(turns.take_back(lambda order: order > 1)) == [2, 3, 4, 5]
    assert (turns.get(), turns.get(), len(turns)) == (0, 1, 0)
    said: list[int | None] = []
    waiting = threading.Thread(target=lambda: said.append(turns.get()))
    waiting.start()
    assert turns.close() == []
    waiting.join(10)
    assert said == [None]


def test_a_list_is_its_client_s_in_the_order_of_coming_filtered_and_in_pages(
    running: Running, films: list[bytes]
) -> None:
    with httpx.Client(base_url=running.url, timeout=90) as client:
        sent = send(client, films[:3], MINE)
        assert [one["id"] for one in listed(client, MINE)["analyses"]] == [one["id"] for one in sent]
        assert listed(client, THEIRS) == {"analyses": [], "total": 0, "states": {}}
        assert listed(client, {}) == {"analyses": [], "total": 0, "states": {}}
        whole = listed(client, MINE)
        assert whole["states"] == {"analyzed": 3}
        assert all(0 < one["kept_s"] <= 1800 and one["place"] is None for one in whole["analyses"])
        page = listed(client, MINE, offset=1, limit=1)
        assert (page["analyses"][0]["id"], page["total"]) == (sent[1]["id"], 3)
        assert listed(client, MINE, state="refused")["total"] == 0
        share = sent[0]["result"]["covid_probability"]
        for bounds, total in (((0.0, share), 3), ((share, 1.0), 3), ((share + 0.01, 1.0), 0), ((0.0, share - 0.01), 0)):
            assert listed(client, MINE, at_least=bounds[0], at_most=bounds[1])["total"] == total
        again = send(client, films[:1], MINE)
        assert [one["id"] for one in again] == [sent[0]["id"]]
        assert send(client, films[:1], THEIRS)[0]["id"] != sent[0]["id"]
        archive = zipfile.ZipFile(io.BytesIO(client.get("/api/analyses/results.zip", headers=MINE).content))
        assert len([name for name in archive.namelist() if name.endswith((".json", ".png"))]) == 6
        assert archive.read("summary.csv").decode().count("analyzed") == 3
        deadline = time.monotonic() + 10
        while list(running.scratch.rglob("*.zip")):  # it goes when the answer has been taken
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.delete("/api/analyses", headers=MINE).status_code == 204
        assert listed(client, MINE)["total"] == 0
        assert listed(client, THEIRS)["total"] == 1
        assert client.get("/api/analyses", headers={"lunglens-list": "a/b"}).status_code == 422


def test_another_client_s_one_film_does_not_wait_for_all_of_mine(running: Running, films: list[bytes]) -> None:
    with httpx.Client(base_url=running.url, timeout=90) as client:
        send(client, films, MINE, wait=0)
        one = send(client, films[1:2], THEIRS, wait=0)[0]
        assert one["place"] <= 2
        assert client.get(f"/api/analyses/{one['id']}?wait=60").json()["state"] == "analyzed"
        mine = listed(client, MINE, limit=1000)
        assert mine["states"]["queued"] > 5
        places = [found["place"] for found in mine["analyses"] if found["state"] == "queued"]
        assert places == sorted(places)
        client.delete("/api/analyses", headers=MINE)
        assert client.get("/metrics").text.count("lunglens_waiting 0.0") == 1


def test_a_killed_server_that_keeps_goes_on_where_it_was(films: list[bytes], tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    with server(tmp_path, keep=str(keep)) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        done = send(client, films[:1], MINE)[0]
        sent = [done, *send(client, films[1:], MINE, wait=0)]
        (keep / "film-half").mkdir()
        running.stop(signal.SIGKILL)
    with server(tmp_path, keep=str(keep)) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        found = listed(client, MINE)["analyses"]
        assert [one["id"] for one in found] == [one["id"] for one in sent]
        assert found[0]["result"] == done["result"]
        assert not (keep / "film-half").exists()
        last = client.get(f"/api/analyses/{sent[-1]['id']}?wait=60")
        assert last.json()["state"] == "analyzed", last.text
        client.delete(f"/api/analyses/{done['id']}")
        assert running.stop() in (0, -signal.SIGTERM)
    assert len(list(keep.glob("film-*/result.json"))) == len(films) - 1


def test_a_stop_in_the_middle_keeps_what_was_not_done(films: list[bytes], tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    settings = {"keep": str(keep), "stop_s": 1}
    with server(tmp_path, **settings) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        send(client, films, MINE, wait=0)
        running.stop()
    with server(tmp_path, keep=str(keep)) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        deadline = time.monotonic() + 60
        while listed(client, MINE, limit=1)["states"] != {"analyzed": len(films)}:
            assert time.monotonic() < deadline, listed(client, MINE, limit=1)["states"]
            time.sleep(0.2)


def test_a_folder_with_other_files_is_not_kept_in(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="give an empty folder"):
        ServeSettings(keep=tmp_path).check()
    with pytest.raises(ConfigurationError, match="give an empty folder"):
        ServeSettings(keep=tmp_path / "thesis.txt").check()
    ServeSettings(keep=tmp_path / "new").check()
