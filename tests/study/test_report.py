"""The report of a made-up study's data set: its numbers, and that the page holds everything itself and runs nothing."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import DataError
from lunglens.study.report import write_study_report
from lunglens.study.report.figures import short
from lunglens.study.report.tables import read_tables
from lunglens.study.report.thumbnails import contact_sheet, outlined
from tests.support.study_folder import COLUMNS, HOSTILE, edit_manifest, outline_of, study_folder


class Page(HTMLParser):
    """What a browser would load or run: tags, addresses, and the text of each table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str | None] = []
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed(text)

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in {"td", "th"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append(tag)
        self.addresses += [named[name] or "" for name in ("src", "href", "srcset", "data", "action") if name in named]
        if tag == "img":
            self.alts.append(named.get("alt"))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())

    def row(self, start: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].startswith(start))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = study_folder(tmp_path_factory.mktemp("made-up") / "study")
    write_study_report(folder)
    return folder


@pytest.fixture(scope="module")
def text(study: Path) -> str:
    return (study / "report" / "data.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(study: Path) -> dict[str, Any]:
    return json.loads((study / "report" / "data.json").read_text(encoding="utf-8"))


def test_the_page_and_its_numbers_lie_in_the_study_s_report_folder(study: Path) -> None:
    assert write_study_report(study) == study / "report" / "data.html"
    assert sorted(path.name for path in (study / "report").iterdir()) == ["data.html", "data.json"]


def test_the_same_study_gives_the_same_page_byte_for_byte(study: Path) -> None:
    first = write_study_report(study).read_bytes()
    assert write_study_report(study).read_bytes() == first


def test_the_flow_s_numbers_are_those_of_the_counts(text: str, data: dict[str, Any]) -> None:
    flow = {step["kind"]: step for step in data["flow"]}
    assert flow["view"]["classes"]["covid"] == {"kept": 15, "dropped": 7, "by_source": {"here": 15}}
    assert flow["diagnosis"]["classes"]["none of the classes"]["dropped"] == 4
    assert (flow["lungs"]["kept"], flow["lungs"]["dropped"], flow["lungs"]["unknown_kept"]) == (24, 3, 1)
    row = Page(text).row("2 view")
    assert row[1:] == ["15 \N{MINUS SIGN}7", "12", "0", "27", "7", "1"]


def test_table_2_says_what_was_taken_before_lungs_were_segmented(text: str, data: dict[str, Any]) -> None:
    here = next(row for row in data["sources_taken"] if row["source"] == "here")
    assert here["here"] == {
        "read": 26,  # the 4 films of no class too
        "taken": 15,
        "in_study": 12,
        "kind": "constant size, 512x400",
        "selection": ["of a class", "view PA"],
    }
    assert here["paper"] is None
    page = Page(text)
    assert page.row("here")[1:6] == ["26", "15", "12", "constant size, 512x400", "of a class; view PA"]
    assert page.row("nih-chestxray14")[1:3] == ["not in this study", "1,000"]
    assert page.row("In the end")[1:] == ["12 covid + 12 other = 24", "410 COVID + 500 non-COVID = 910"]


def test_a_class_with_several_sources_counts_each_under_its_letter(tmp_path: Path) -> None:
    text = write_study_report(study_folder(tmp_path, both=True)).read_text(encoding="utf-8")
    assert "<b>A</b> here, <b>B</b> there" in text
    assert Page(text).row("2 view")[2] == "12 A 6, B 6"


def test_sizes_that_differ_are_called_variable(tmp_path: Path) -> None:
    folder = study_folder(tmp_path)
    edit_manifest(folder, lambda index, _: {"width_px": str(400 + index)} if index < 3 else {})
    data = json.loads(write_study_report(folder).with_suffix(".json").read_text())
    here = next(row for row in data["sources_taken"] if row["source"] == "here")["here"]
    assert here["kind"] == "variable size: 4 sizes, 400 to 512 px wide, 400 to 400 px high"


def test_ages_sexes_and_views_count_the_unknown_by_themselves(text: str, data: dict[str, Any]) -> None:
    covid = next(row for row in data["strata"] if row["class"] == "covid")
    assert covid["ages"]["unknown"] == 4
    assert covid["ages"]["decades"] | {"30": 6, "40": 2} == covid["ages"]["decades"]
    assert sum(covid["ages"]["decades"].values()) + covid["ages"]["unknown"] == covid["n"] == 12
    assert covid["sexes"] == {"F": 12, "unknown": 0}
    row = next(row for row in Page(text).rows if row[:2] == ["covid", "here"])
    assert row[4] == "36 (31 to 41) 4 unknown"


def test_the_confounding_table_says_that_each_source_holds_one_class(text: str, data: dict[str, Any]) -> None:
    found = data["confounding"]
    assert (found["cramers_v"], found["share_single_class"]) == (1.0, 1.0)
    assert found["metadata_auc"]["file"]["auc"] == 1.0  # 512x400 against 512x512
    assert data["words"]["verdict"] == "place"
    assert "mostly show that a model can tell where a film comes from" in text
    assert ["there", "0", "12", "one class only"] in Page(text).rows


def test_with_both_classes_in_both_sources_no_such_word_is_said(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, both=True, height_px="512")
    data = json.loads(write_study_report(folder).with_suffix(".json").read_text())
    assert data["words"]["verdict"] == "fair"
    assert data["confounding"]["share_single_class"] == 0.0


def test_figure_2_is_of_all_that_was_read_of_the_largest_source(text: str, data: dict[str, Any]) -> None:
    assert data["findings"]["source"] == "here"
    assert data["findings"]["rows"] == [
        {"finding": "covid", "n": 20, "by_modality": {"CT": 3, "X-ray": 17, "unknown": 0}},
        {"finding": "not stated", "n": 2, "by_modality": {"CT": 0, "X-ray": 0, "unknown": 2}},
    ]
    assert "all 22 images read of here" in text


def test_every_picture_has_an_alternative_text_and_every_table_headers(text: str) -> None:
    page = Page(text)
    assert len(page.alts) == 24 + 5  # every film of the two classes, five figures
    assert all(page.alts)
    assert text.count("<table") == text.count("<thead")


def test_the_page_loads_nothing_from_outside_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert "default-src 'none'" in text
    assert "url(" not in text and "@import" not in text


def test_every_section_is_in_the_contents(text: str) -> None:
    contents = re.findall(r'<a href="#([^"]+)"', text.partition("<nav")[2].partition("</nav>")[0])
    assert contents == re.findall(r'<section id="([^"]+)"', text)


@pytest.mark.usefixtures("text")  # which has written the page
@pytest.mark.parametrize("width_px", [1280, 390])
def test_the_page_is_as_wide_as_the_screen(browser: Any, study: Path, width_px: int) -> None:
    page = browser.new_page(viewport={"width": width_px, "height": 800})
    page.goto((study / "report" / "data.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width_px
    page.close()


def test_figures_load_nothing_from_outside_either(text: str) -> None:
    drawings = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text)
    assert len(drawings) == 5
    for drawing in drawings:
        svg = base64.b64decode(drawing).decode()
        assert not re.findall(r'(?:href|src)="(?!#|data:)', svg)
        assert "<script" not in svg


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    folder = study_folder(
        tmp_path, licence=HOSTILE, view=HOSTILE, sex="$x_1$", citation='"><img src=x onerror=alert(1)>'
    )
    text = write_study_report(folder).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert all(address.startswith(("data:image/", "#")) for address in Page(text).addresses)


def test_problems_are_listed_with_file_row_and_column(text: str) -> None:
    assert ["here/metadata.csv", "7", "age", "'x' is not an age"] in Page(text).rows
    assert ["here/metadata.csv", "", "", HOSTILE] in Page(text).rows


def test_licences_and_citations_are_those_of_the_manifest(text: str) -> None:
    assert Page(text).rows[-1] == ["there", "CC0", "Doe 2020", "nothing is written down about this source"]


def test_films_are_drawn_with_their_lungs_outlined(study: Path) -> None:
    uri = outlined(study / "films" / "here-000.png", study / "masks" / "here-000.png", 128)
    assert uri is not None
    film = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    assert film.shape == (128, 128, 3)
    assert 100 < outline_of(film) < 1500


def test_a_film_that_is_missing_is_said_and_stops_nothing(tmp_path: Path) -> None:
    folder = study_folder(tmp_path)
    (folder / "films" / "here-003.png").unlink()
    (folder / "films" / "here-004.png").write_bytes(b"\x89PNG cut short")
    text = write_study_report(folder).read_text(encoding="utf-8")
    assert "here-003: cannot be read" in text and "here-004: cannot be read" in text


def test_the_sheet_is_a_seeded_draw(study: Path) -> None:
    images = read_tables(study).images
    first = [film["image_id"] for film in contact_sheet(study, images, 5, 32, seed=1)]
    assert first == [film["image_id"] for film in contact_sheet(study, images, 5, 32, seed=1)]
    assert first != [film["image_id"] for film in contact_sheet(study, images, 5, 32, seed=2)]
    assert len(set(first)) == 5


def test_nothing_measured_is_no_error(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, width_px="", height_px="", bits="", border_px="", lung_px="", age_years="", view="")
    text = write_study_report(folder).read_text(encoding="utf-8")
    assert "size not measured" in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("study.json", None, r"no finished study .*study\.json"),
        ("study.json", '{"format": 2}', "another format"),
        ("counts.json", None, r"counts\.json: not there"),
        ("counts.json", "[", r"counts\.json: damaged"),
        ("manifest.csv", "image_id,class\n", "another format"),
        ("manifest.csv", ",".join(COLUMNS) + "\n", r"manifest\.csv: holds no film"),
        ("diagnoses.csv", None, r"diagnoses\.csv: cannot be read"),
        ("problems.csv", "file,row\n", r"problems\.csv: lacks the column\(s\) column, message"),
    ],
)
def test_a_broken_study_names_what_is_wrong(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    folder = study_folder(tmp_path, count=1)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(DataError, match=message):
        write_study_report(folder)


def test_a_number_that_is_none_names_the_column(tmp_path: Path) -> None:
    folder = study_folder(tmp_path, count=1, bits="eight")
    with pytest.raises(DataError, match=r"manifest\.csv: column bits"):
        write_study_report(folder)


def test_long_and_unprintable_names_are_shortened_for_figures() -> None:
    assert short("a\x07b") == "a?b"
    assert short("a" * 50 + "z", 11) == "aaaaa…aaaaz"
