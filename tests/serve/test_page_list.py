"""The page's work list in a real browser: reload, back, another tab, search, order, deletion, time that is over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.test_page import drop
from tests.support.serving import Running, server

SHOWN = "[...document.querySelectorAll('#list li:not([hidden]) b')].map((it) => it.textContent)"
DONE = "(films) => document.getElementById('progress').textContent === `${films} of ${films} done`"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def films(rg_folder: Path, chest_png: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two chest films and a leg."""
    folder = tmp_path_factory.mktemp("films")
    content = {"b chest.png": chest_png.read_bytes(), "a chest.png": chest_png.read_bytes() + b"x"}
    content["leg of a very long name that does not fit into the list.dcm"] = (rg_folder / "RG3_UNCR.dcm").read_bytes()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in content]


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    found = browser.new_context(viewport={"width": 1101, "height": 800})
    yield found
    found.close()


def opened(context: Any, running: Running) -> Any:
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(running.url)
    return page


def test_a_list_outlives_reload_back_and_another_tab_and_is_nobody_else_s(
    browser: Any, context: Any, running: Running, films: list[Path]
) -> None:
    page = opened(context, running)
    drop(page, *films)
    page.wait_for_function(DONE, arg=3, timeout=60_000)
    names = [path.name for path in films]
    assert page.evaluate(SHOWN) == names
    assert page.get_attribute("#list b >> nth=2", "title") == names[2]
    page.click("#list button >> nth=1")
    page.wait_for_selector("#film-title:has-text('a chest.png')")
    address = page.url
    page.click("#list button >> nth=2")
    page.wait_for_selector("#answer .box")
    page.go_back()
    page.wait_for_selector("#film-title:has-text('a chest.png')")
    page.reload()
    page.wait_for_selector("#film-title:has-text('a chest.png')")
    page.wait_for_selector("#probability")
    assert page.url == address
    assert page.evaluate(SHOWN) == names
    other = opened(context, running)
    other.wait_for_selector("#list img")
    assert other.evaluate(SHOWN) == names
    stranger = opened(browser.new_context(), running)
    stranger.wait_for_function("() => document.getElementById('model').textContent")
    assert stranger.evaluate(SHOWN) == []
    drop(page, films[0])  # it is there already
    page.wait_for_timeout(500)
    assert page.evaluate(SHOWN) == names
    assert page.said == other.said == stranger.said == []
    stranger.context.close()


def test_films_are_found_by_name_put_in_order_and_deleted_together(
    context: Any, running: Running, films: list[Path], tmp_path: Path
) -> None:
    page = opened(context, running)
    drop(page, *films)
    page.wait_for_function(DONE, arg=3, timeout=60_000)
    names = [path.name for path in films]
    page.fill("#search", "CHEST")
    assert page.evaluate(SHOWN) == names[:2]
    page.select_option("#sort", "name")
    assert page.evaluate(SHOWN) == ["a chest.png", "b chest.png"]
    page.focus("#canvas")
    page.keyboard.press("j")  # from one shown film to the next, in their order
    page.keyboard.press("j")
    page.wait_for_selector("#film-title:has-text('chest')")
    page.fill("#search", "")
    page.select_option("#sort", "probability")
    assert page.evaluate(SHOWN)[2] == names[2]
    with page.expect_download() as downloaded:
        page.click("#save-all")
    downloaded.value.save_as(tmp_path / "results.zip")
    assert (tmp_path / "results.zip").read_bytes().startswith(b"PK")
    page.click("#clear-all")
    page.click("#clear button[value=no]")
    assert len(page.evaluate(SHOWN)) == 3
    page.click("#clear-all")
    page.click("#clear button[value=yes]")
    page.wait_for_function("() => document.getElementById('listed').hidden")
    page.reload()
    page.wait_for_function("() => document.getElementById('empty').textContent.includes('not on your list')")
    assert page.evaluate(SHOWN) == []
    assert page.said == []


def test_a_film_whose_time_is_over_says_so(browser: Any, films: list[Path], tmp_path: Path) -> None:
    with server(tmp_path, keep_s=2) as running:
        page = browser.new_page()
        page.goto(running.url)
        drop(page, films[0], films[1])
        page.wait_for_function(
            "() => document.getElementById('progress').textContent === '2 of 2 done'", timeout=60_000
        )
        assert "deleted in 0 minutes" in page.inner_text("#left")
        page.wait_for_timeout(4500)
        page.click("#list button >> nth=1")
        page.wait_for_function("() => document.getElementById('empty').textContent.includes('its time was over')")
        assert page.query_selector("#probability") is None
        assert page.evaluate(SHOWN) == [films[0].name]
        page.close()
