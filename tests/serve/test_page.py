"""The page in a real browser: drop films, wait, move the sliders, open the report; it says what the library says."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

import lunglens
from lunglens.film.abstention import REASONS
from lunglens.film.finding import Analyzed
from tests.support.dicom_files import encoded
from tests.support.node_parts import small_film
from tests.support.serving import Running, server

DROP = """async (files) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  const how = { dataTransfer: transfer, bubbles: true, cancelable: true };
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", how));
}"""
SLIDE = """([name, value]) => {
  const slider = document.getElementById(name);
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
}"""
UNNAMED = """() => [...document.querySelectorAll("button, input, canvas, img")]
  .filter((it) => !it.innerText && !it.getAttribute("aria-label") && !(it.labels && it.labels.length))
  .filter((it) => !it.hasAttribute("alt")).map((it) => it.outerHTML)"""
TOKEN = "-".join(["0123456789abcdef", "token"])
PIXELS = "() => document.getElementById('canvas').toDataURL()"
BESIDE = "() => document.getElementById('canvas-beside').toDataURL()"
BRIGHT = """() => {
  const { width, height } = document.getElementById("canvas");
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(document.getElementById("canvas"), 0, 0);
  return copy.getImageData(0, 0, width, height).data.filter((value, at) => at % 4 === 0 && value === 255).length;
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def small(rg_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where only the page matters: it is analysed, drawn and exported in a fraction of the time."""
    path = tmp_path_factory.mktemp("films") / "small.dcm"
    path.write_bytes(encoded(small_film(rg_folder / "RG1_UNCR.dcm")))
    return path


@pytest.fixture(params=[(1440, 900), (820, 1180)], ids=["laptop", "tablet"])
def page(request: pytest.FixtureRequest, browser: Any, running: Running) -> Iterator[Any]:
    width, height = request.param
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.goto(running.url)
    yield opened
    opened.close()


def drop(page: Any, *paths: Path) -> None:
    page.evaluate(DROP, [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths])


def slide(page: Any, name: str, value: int) -> None:
    page.evaluate(SLIDE, [name, value])


def test_a_film_and_a_leg_dropped_are_shown_as_the_library_sees_them(page: Any, rg_folder: Path) -> None:
    drop(page, rg_folder / "RG1_UNCR.dcm", rg_folder / "RG3_UNCR.dcm")
    page.wait_for_selector("#probability", timeout=60_000)
    page.wait_for_selector("small.refused", timeout=60_000)
    page.wait_for_selector("#list img")
    expected = lunglens.analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(expected, Analyzed) and expected.covid_probability is not None
    assert page.inner_text("#probability") == f"{100 * expected.covid_probability:.1f} %"
    words = {entry.name: entry.words for entry in expected.classes}.get(expected.decision, expected.decision)
    why = f"threshold {100 * (expected.answer.threshold or 0):.1f} %"
    if expected.withheld:
        why = "; ".join(REASONS[reason] for reason in expected.withheld)
    assert page.inner_text("#decision") == f"Decision: {words} ({why})"
    said = page.inner_text("#answer")
    assert f"{expected.left.area_px:,} px" in said
    assert all(warning in said for warning in expected.warnings)
    assert expected.radiograph.notes and all(note in said for note in expected.radiograph.notes)
    # Every control changes what is seen, and a reset brings the first view back.
    page.wait_for_selector("#canvas[data-values]")
    before = page.evaluate(PIXELS)
    seen = {before}
    for name, value in (("window", 40), ("level", 30), ("heat", 90), ("cut", 50)):
        slide(page, name, value)
        assert page.inner_text(f"#{name}-value").split(",")[0] == f"{value} %"
        seen.add(page.evaluate(PIXELS))
    for name in ("across", "outline", "invert"):
        page.click(f"#{name}")
        seen.add(page.evaluate(PIXELS))
    assert len(seen) == 8
    zoomed = page.evaluate(PIXELS)
    page.click("#zoom-in")
    page.focus("#canvas")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(PIXELS) != zoomed
    page.click("#fit")
    assert page.evaluate(PIXELS) == zoomed
    # The leg, by keyboard.
    page.keyboard.press("j")
    page.wait_for_selector("#answer .box")
    assert "EXTREMITY" in page.inner_text("#answer")
    assert page.query_selector("#probability") is None
    assert "%" not in page.inner_text("#answer").replace("among your patients, %", "")
    assert page.said == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_each_film_is_turned_measured_and_remembered_on_its_own(page: Any, small: Path, chest_png: Path) -> None:
    drop(page, small, chest_png)
    page.wait_for_function("() => document.getElementById('progress').textContent === '2 of 2 done'", timeout=60_000)
    page.wait_for_selector("#canvas[data-values]")
    assert page.input_value("#heat") == "0"  # nobody's first look is at the heat
    assert "log odds" in page.inner_text("#legend") or "strongest of this film" in page.inner_text("#legend")
    plain = page.evaluate(PIXELS)
    seen = {plain}
    for button in ("turn", "flip", "full-size", "zoom-in"):
        page.click(f"#{button}")
        seen.add(page.evaluate(PIXELS))
    page.select_option("#preset", "60 35")
    assert page.inner_text("#window-value").startswith("60 %, ")
    seen.add(page.evaluate(PIXELS))
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for drag in ("window", "length", "angle", "move"):
        page.select_option("#drag", drag)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 30)
        page.mouse.up()
        seen.add(page.evaluate(PIXELS))
    assert page.input_value("#window") != "60"
    assert page.input_value("#preset") == ""
    page.click("#magnifier")
    page.mouse.move(x, y)
    seen.add(page.evaluate(PIXELS))
    assert len(seen) == 11
    page.mouse.move(0, 0)
    left = page.evaluate(PIXELS)
    page.click("#list button >> nth=1")
    page.wait_for_selector("#film-title:has-text('chest.png')")
    page.wait_for_selector("#canvas[data-values]")
    assert page.inner_text("#window-value").startswith("100 %, ")
    page.click("#list button >> nth=0")
    page.wait_for_selector("#film-title:has-text('small.dcm')")
    page.wait_for_selector("#canvas[data-values]")
    assert page.evaluate(PIXELS) == left
    page.click("#reset")
    assert page.evaluate(PIXELS) == plain
    width = page.evaluate("() => document.getElementById('canvas').clientWidth / window.innerWidth")
    assert width >= 0.6
    page.click("#fold-finding")
    page.click("#fold-work")
    assert page.evaluate("() => document.getElementById('canvas').clientWidth / window.innerWidth") > 0.95
    assert page.said == []


@pytest.mark.parametrize(
    ("points", "facts", "said"),
    [
        ([(0, 0), (30, 40)], {"mm": 0.5}, "25 mm"),
        ([(0, 0), (30, 40)], {"mm": None}, "50 px"),
        ([(0, 10), (0, 0), (10, 0)], {}, "90.0\N{DEGREE SIGN}"),
        ([(-10, 1), (0, 0), (-10, -1)], {}, "11.4\N{DEGREE SIGN}"),
    ],
)
def test_lengths_and_angles(
    browser: Any, running: Running, points: list[tuple[int, int]], facts: dict[str, Any], said: str
) -> None:
    page = browser.new_page()
    page.goto(running.url)
    line = [{"x": x, "y": y} for x, y in points]
    asked = "([line, facts]) => { viewer.facts = facts; return viewer.measureOf(line); }"
    assert page.evaluate(asked, [line, facts]) == said
    page.close()


@pytest.mark.parametrize(("locale", "language"), [("de-AT", "de"), ("ja-JP", "en")])
def test_the_report_is_in_the_browser_s_language_where_there_is_it(
    browser: Any, running: Running, locale: str, language: str
) -> None:
    page = browser.new_page(locale=locale)
    page.goto(running.url)
    assert page.evaluate("() => ready.then(() => language)") == language
    page.close()


def test_the_report_the_limits_and_the_exports_are_in_reach(page: Any, small: Path, tmp_path: Path) -> None:
    drop(page, small)
    page.wait_for_selector("#probability", timeout=60_000)
    page.fill("#prevalence", "20")
    with page.expect_popup() as opened:
        page.click("#open-report")
    report = opened.value
    report.wait_for_selector("table")
    assert report.evaluate("() => [...document.images].every((it) => it.naturalWidth > 300)")
    assert report.evaluate("() => document.images.length") == 3
    assert report.inner_text("h1").startswith(("Called", "No decision"))
    assert report.evaluate("() => getComputedStyle(document.querySelector('.notice')).fontWeight") == "600"
    assert page.inner_text("#probability") in report.inner_text("body")
    assert "where 20 % of the patients" in report.inner_text("body")
    page.select_option("#language", "es")
    with page.expect_popup() as opened:
        page.click("#open-report")
    assert opened.value.get_attribute("html", "lang") == "es"
    for name, start in (("PDF", b"%PDF"), ("PNG", b"\x89PNG"), ("JSON", b'{"id"'), ("DICOM", b"PK")):
        with page.expect_download(timeout=60_000) as downloaded:
            page.get_by_role("button", name=name, exact=True).click()
        downloaded.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    page.click("#show-limits")
    page.click("#cards summary >> nth=0")
    assert "Intended use" in page.inner_text("#cards")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete now").click()
    page.wait_for_function("() => !document.querySelector('#list li')")


def test_stored_values_are_under_the_pointer_and_beyond_the_films_own_window(
    page: Any, small: Path, tmp_path: Path
) -> None:
    narrow, film = tmp_path / "narrow.dcm", dcmread(small)
    film.WindowWidth /= 4
    film.save_as(narrow)
    drop(page, narrow)
    page.wait_for_selector("#canvas[data-values]", timeout=60_000)
    stored, shown = film.pixel_array, lunglens.read_radiograph(narrow).pixels
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    x, y, value = (int(word.strip(",:")) for word in page.inner_text(".view output >> nth=0").split())
    assert value == stored[y, x]
    assert abs(y - stored.shape[0] / 2) < 3
    assert abs(x - stored.shape[1] / 2) < 3
    page.mouse.move(0, 0)
    assert page.inner_text(".view output >> nth=0") == ""
    white = np.flatnonzero(shown.ravel() >= 1)
    assert len(np.unique(stored.ravel()[white])) > 9  # what the film's own window shows as one white
    by_default = page.evaluate(BRIGHT)
    slide(page, "window", 400)
    assert page.evaluate(BRIGHT) < by_default
    assert page.said == []


def test_two_films_beside_each_other_are_looked_at_alike(page: Any, small: Path, chest_png: Path) -> None:
    drop(page, small, chest_png)
    page.wait_for_function("() => document.getElementById('progress').textContent === '2 of 2 done'", timeout=60_000)
    page.wait_for_selector("#canvas[data-values]")
    alone = page.evaluate("() => document.getElementById('canvas').clientWidth")
    page.select_option("#beside", label="chest.png")
    page.wait_for_selector("#canvas-beside[data-values]")
    assert page.evaluate("() => document.getElementById('canvas').clientWidth") < 0.6 * alone
    seen = {page.evaluate(BESIDE)}
    page.click("#zoom-in")
    seen.add(page.evaluate(BESIDE))
    slide(page, "window", 40)
    seen.add(page.evaluate(BESIDE))
    first = page.evaluate(PIXELS)
    box = page.locator("#canvas-beside").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.mouse.up()
    seen.add(page.evaluate(BESIDE))
    assert len(seen) == 4
    assert page.evaluate(PIXELS) != first  # the other is moved with it
    page.select_option("#beside", "")
    assert page.evaluate("() => document.getElementById('canvas').clientWidth") == alone
    page.select_option("#beside", label="chest.png")
    page.wait_for_selector("#canvas-beside[data-values]")
    page.click("#list button >> nth=1")
    page.wait_for_selector("#film-title:has-text('chest.png')")
    page.wait_for_selector("#view-beside", state="hidden")
    page.wait_for_selector("#canvas[data-values]")
    assert page.input_value("#window") == "100"  # each film has its own settings again
    assert page.said == []


def test_every_control_has_a_name_for_a_screen_reader(page: Any, small: Path) -> None:
    drop(page, small)
    page.wait_for_selector("#probability", timeout=60_000)
    assert page.evaluate(UNNAMED) == []


def test_a_token_is_asked_for_and_kept(browser: Any, small: Path, tmp_path: Path) -> None:
    with server(tmp_path, token=TOKEN) as running:
        page = browser.new_page()
        page.goto(running.url)
        page.wait_for_selector("#login[open]")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#login:not([open])", state="attached")
        drop(page, small)
        page.wait_for_selector("#probability", timeout=60_000)
        page.close()
