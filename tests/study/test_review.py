"""The review page: what it holds, that it loads nothing, and, in a browser, that its keys and its list work."""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import DataError
from lunglens.study.criteria import read_exclusions
from lunglens.study.report.review import REASONS, write_review
from tests.support.study_folder import HOSTILE, edit_manifest, study_folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films of covid from "here", four of other from "there"; one path holds a comma, a quote and a tag."""
    folder = study_folder(tmp_path_factory.mktemp("review") / "study", count=4)
    edit_manifest(folder, lambda index, _: {"path": f'here/a, "b" {HOSTILE}.png'} if index == 0 else {})
    write_review(folder)
    return folder


@pytest.fixture(scope="module")
def text(study: Path) -> str:
    return (study / "review.html").read_text(encoding="utf-8")


def content(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def picture(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


# --- the page as a file


def test_every_film_is_there_by_class_and_source_with_what_is_known_of_it(text: str) -> None:
    images = content(text)["images"]
    assert [image["class"] for image in images] == ["covid"] * 4 + ["other"] * 4
    assert images[2]["path"] == "here/images/002.png"
    assert images[2]["about"] == "view PA, 32 years, F, covid"


def test_thumbnails_have_their_film_s_own_proportions(text: str) -> None:
    covid, other = content(text)["images"][1], content(text)["images"][5]
    assert picture(covid["jpeg"]).shape == (300, 384)  # 512x400, although the study's copy is square
    assert picture(other["jpeg"]).shape == (384, 384)


def test_the_outline_runs_round_both_lungs(text: str) -> None:
    outline = content(text)["images"][5]["outline"]
    assert outline.count("M") == outline.count("Z") == 2
    points = np.array(re.findall(r"([\d.]+) ([\d.]+)", outline), float)
    assert points.min() > 0 and points.max() < 100


def test_a_mask_that_reaches_the_film_s_edge_is_closed(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, count=1)
    Image.fromarray(np.ones((512, 512), bool)).save(folder / "masks" / "here-000.png")
    outline = content(write_review(folder).read_text(encoding="utf-8"))["images"][0]["outline"]
    points = np.array(re.findall(r"([\d.]+) ([\d.]+)", outline), float)
    assert outline.endswith("Z") and points.min() < 1 and points.max() > 99


def test_the_page_loads_nothing_from_outside(text: str) -> None:
    without_films = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", text)
    markup = re.sub(r"<(script|style).*?</\1>", "", without_films, flags=re.DOTALL)
    assert not re.findall(r"\b(?:src|href|action|srcset|data)=", markup)
    assert "://" not in without_films and "url(" not in without_films
    assert "default-src 'none'" in text and "connect-src" not in text


def test_only_the_page_s_own_script_and_style_may_run(text: str) -> None:
    import hashlib

    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None and "unsafe" not in policy[1]
    for tag in ("script", "style"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert len(inline) == 1 and f"'sha256-{digest}'" in policy[1].replace("&#39;", "'")


def test_hostile_names_are_data_and_text(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, count=1, diagnosis=f"</script>{HOSTILE}", source=HOSTILE)
    text = write_review(folder).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert HOSTILE in content(text)["images"][0]["about"]
    assert text.count("<script") == 2


def test_a_film_that_cannot_be_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, count=2)
    (folder / "films" / "here-000.png").unlink()
    (folder / "masks" / "here-001.png").unlink()
    first, second, *_ = content(write_review(folder).read_text(encoding="utf-8"))["images"]
    assert first["jpeg"] is None and second["jpeg"] is not None
    assert second["outline"] == ""


def test_sizes_that_nobody_measured_leave_the_film_square(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, count=1, width_px="", height_px="")
    assert picture(content(write_review(folder).read_text())["images"][0]["jpeg"]).shape == (384, 384)


def test_a_thousand_films_would_stay_below_25_megabytes(study: Path) -> None:
    # Synthetic noise compresses worse than films do.
    assert (study / "review.html").stat().st_size / 8 * 910 < 25e6


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished study"):
        write_review(tmp_path)


# --- the page in a browser


@pytest.fixture
def page(browser: Any, study: Path) -> Iterator[Any]:
    """The review page, opened from disk by someone who has never seen it; any error on it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto((study / "review.html").as_uri())
    opened.wait_for_selector("body[data-ready]")
    yield opened
    context.close()
    assert errors == []


def press(page: Any, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


def shows(page: Any, text: str | re.Pattern[str], of: str = "#status") -> None:
    """Wait until the page says this of the film, or in another place; whoever reads at once may read too early.

    Not by `wait_for_function`: where it has to look twice it wants to evaluate text, which the page's policy forbids.
    """
    from playwright.sync_api import expect

    expect(page.locator(of)).to_have_text(text, timeout=20_000)


def after(page: Any, *keys: str, status: str) -> None:
    """Press keys; the page then says this of the film."""
    press(page, *keys)
    shows(page, status)


def saved(page: Any, folder: Path) -> list[list[str]]:
    """Rows of the list that the save button gives, read as CSV."""
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "exclude.csv"
    download.value.save_as(folder / "exclude.csv")
    with (folder / "exclude.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_keys_page_through_the_films(page: Any) -> None:
    shows(page, "Film 1 of 8: stays in")
    after(page, "ArrowRight", "j", "Space", status="Film 4 of 8: stays in")
    after(page, "k", "ArrowLeft", status="Film 2 of 8: stays in")
    after(page, "End", "j", status="Film 8 of 8: stays in")
    shows(page, "That was the last one.", "#message")
    after(page, "Home", "k", status="Film 1 of 8: stays in")


def test_numbers_mark_and_unmark_a_film_and_0_clears_it(page: Any) -> None:
    after(page, "1", "4", status="Film 1 of 8: out (side view, equipment)")
    assert page.get_attribute('[data-reason="equipment"]', "aria-pressed") == "true"
    after(page, "1", status="Film 1 of 8: out (equipment)")
    after(page, "0", status="Film 1 of 8: stays in")
    assert page.get_attribute('[data-reason="equipment"]', "aria-pressed") == "false"


def test_every_reason_has_its_key_and_its_button(page: Any) -> None:
    for number, reason in enumerate(REASONS, 1):
        after(page, str(number), status=f"Film 1 of 8: out ({reason})")
        page.click(f'[data-reason="{reason}"]')
        shows(page, "Film 1 of 8: stays in")


def test_after_a_click_space_pages_on(page: Any) -> None:
    page.click('[data-reason="marker"]')
    after(page, "Space", status="Film 2 of 8: stays in")
    shows(page, "2 of 8 seen, 1 marked", "#progress")


def test_m_shows_and_hides_the_outline_which_lies_on_the_picture(page: Any) -> None:
    outline = page.locator("#outline")
    outline.wait_for(state="visible")
    box, stage = outline.bounding_box(), page.locator("#stage").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(384 / 300, rel=0.02)
    assert box["x"] + box["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=2)
    press(page, "m")
    outline.wait_for(state="hidden")
    press(page, "j", "m")
    outline.wait_for(state="visible")


def test_f_shows_marked_then_unmarked_films(page: Any) -> None:
    press(page, "j", "2", "j", "j", "3", "Home")
    after(page, "f", status="Film 1 of 2: out (washed out)")
    after(page, "j", status="Film 2 of 2: out (marker)")
    after(page, "f", "Home", status="Film 1 of 6: stays in")
    # Marking a film takes it off this list, but not from under one's eyes.
    after(page, "1", status="Film outside this choice of 5: out (side view)")
    after(page, "j", status="Film 1 of 5: stays in")


def test_films_are_chosen_by_class_and_source(page: Any) -> None:
    page.select_option("#class", "other")
    shows(page, "Film 1 of 4: stays in")
    assert "class other" in page.inner_text("#caption")
    page.select_option("#source", "here")
    shows(page, "No film fits this choice.", "#nothing")
    assert page.locator('[data-reason="marker"]').is_disabled()
    page.select_option("#class", "")
    shows(page, "Film 1 of 4: stays in")


def test_marks_are_kept_when_the_page_is_opened_again(page: Any) -> None:
    press(page, "j", "j", "5")
    page.reload()
    shows(page, "Film 3 of 8: out (PDF scan)")
    shows(page, "3 of 8 seen, 1 marked", "#progress")


def test_the_saved_list_names_the_marked_films_as_curate_reads_them(page: Any, tmp_path: Path) -> None:
    press(page, "1", "4", "j", "2")
    tricky = f'here/a, "b" {HOSTILE}.png'
    rows = saved(page, tmp_path)
    assert rows == [["image", "reason"], [tricky, "side view; equipment"], ["here/images/001.png", "washed out"]]
    assert read_exclusions(tmp_path / "exclude.csv") == {
        tricky: "side view; equipment",
        "here/images/001.png": "washed out",
    }


def test_an_imported_list_comes_back_with_films_that_are_not_in_the_study(page: Any, tmp_path: Path) -> None:
    old = tmp_path / "old.csv"
    lines = ['"here/a, ""b"" <script>alert(1)</script>.png",marker', "006.png,washed out; blurred", "gone/x.png,"]
    old.write_text("\ufeffimage,reason\r\n" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    page.set_input_files("#import", old)
    shows(page, re.compile("^3 lines read: 2 of this study, 1 of films that are not in it"), "#message")
    shows(page, "Film 1 of 8: out (marker)")
    press(page, "j", "3")
    assert saved(page, tmp_path) == [
        ["image", "reason"],
        ["gone/x.png", "excluded by hand"],
        [f'here/a, "b" {HOSTILE}.png', "marker"],
        ["here/images/001.png", "marker"],
        ["there/images/006.png", "washed out; blurred"],
    ]


def test_a_list_of_something_else_is_refused(page: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("name,age\na,1\n")
    page.set_input_files("#import", tmp_path / "x.csv")
    shows(page, re.compile("no exclude.csv"), "#message")
    shows(page, "1 of 8 seen, 0 marked", "#progress")


def test_help_opens_with_a_question_mark_and_then_keys_do_not_mark(page: Any) -> None:
    press(page, "?")
    page.locator("#help").wait_for(state="visible")
    press(page, "1", "Escape")
    page.locator("#help").wait_for(state="hidden")
    shows(page, "Film 1 of 8: stays in")


def test_screen_readers_hear_what_film_it_is_and_what_was_decided(page: Any) -> None:
    assert page.get_attribute("#status", "aria-live") == "polite"
    assert page.get_attribute("#picture", "alt") == "Chest film, class covid, source here"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input')]"
        ".filter((e) => !(e.textContent.trim() || e.labels?.length)).length"
    )
    assert unnamed == 0


def test_hostile_names_run_nothing(page: Any) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran as code: {dialog.message}"))
    assert HOSTILE in page.inner_text("#caption")
    assert HOSTILE in page.inner_text("h1")
