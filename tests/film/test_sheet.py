"""The page of a film: what it says, at which prevalence, and that a refused film gets no number."""

import io
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.model_package.record import MeasuredRow
from lunglens.film.reading.identity import identity_of
from lunglens.film.sheet import Picture, sheet_html, sheet_of, sheet_pdf
from lunglens.film.sheet.content import predictive_values
from lunglens.film.sheet.pdf import UNDRAWN
from lunglens.film.statements import Line
from tests.support.dicom_files import encoded

CLASSIFIER = load_package(shipped_models() / "classifier", "classification").record
MEASURED = [
    MeasuredRow(
        films="these <films>",
        n_positive=90,
        n_negative=10,
        sensitivity=0.9,
        specificity=0.8,
        sensitivity_95_ci=[0.8, 0.95],
        specificity_95_ci=[0.5, 0.9],
    )
]
CLASSIFIER = CLASSIFIER.model_copy(update={"measured": CLASSIFIER.measured.model_copy(update={"rows": MEASURED})})
LINES = [
    Line("film", "Film", "PNG, <b>"),
    Line("probability", "COVID-19 probability", "32.8 %"),
    Line("decision", "Decision", "covid"),
    Line("decision", "", "at or above 20 %"),
    Line("fact", "Time", "9.87 s"),
    Line("warning", "Warning", "small & old"),
    Line("notice", "", "Research use only."),
]
_STREAM = io.BytesIO()
Image.new("L", (30, 40)).save(_STREAM, "PNG")
PNG = _STREAM.getvalue()
PICTURES = [Picture("film & <lungs>", Path(__file__).parents[2].joinpath("docs", "rg1.panel.png").read_bytes())]


def test_bayes() -> None:
    assert predictive_values(0.9, 0.8, 0.1) == (pytest.approx(0.09 / 0.27), pytest.approx(0.72 / 0.73))
    assert predictive_values(1.0, 1.0, 0.5) == (1.0, 1.0)
    assert predictive_values(0.0, 1.0, 0.5) == (None, 0.5)


def test_the_page_says_all_lines_and_the_worth_of_the_answer_at_the_prevalence() -> None:
    text = sheet_html(sheet_of("a <film>", LINES, PICTURES, CLASSIFIER, "1.2", 0.1))
    for said in (
        "a &lt;film&gt;",
        "PNG, &lt;b&gt;",
        "32.8 %",
        "small &amp; old",
        "Research use only.",
        "these &lt;films&gt;",
    ):
        assert said in text
    assert "where 10 % of the patients" in text
    assert "33.3 %" in text and "98.6 %" in text
    assert "90 % (80 to 95)" in text


@pytest.mark.parametrize(
    ("decision", "rows", "said"),
    [
        ("covid", [0.9], "Called COVID-19. Where 10 % of the patients have COVID-19, 33 of 100 such calls are right."),
        ("covid", [0.9, 0.45], "20 to 33 of 100 such calls are right."),
        ("not covid", [0.9], "99 of 100 such calls are right."),
        ("covid", [], "Called COVID-19."),
        ("cannot tell", [0.9], "No decision: at or above 20 %."),
    ],
)
def test_the_first_line_is_the_decision_and_how_often_such_are_right(
    decision: str, rows: list[float], said: str
) -> None:
    lines = [line._replace(text=decision) if line.label == "Decision" else line for line in LINES]
    measured = [MEASURED[0].model_copy(update={"sensitivity": value}) for value in rows]
    classifier = CLASSIFIER.model_copy(update={"measured": CLASSIFIER.measured.model_copy(update={"rows": measured})})
    sheet = sheet_of("film", lines, PICTURES, classifier, "1.2", 0.1)
    assert sheet.headline.endswith(said)
    page = sheet_html(sheet)
    assert page.index(sheet.headline) < page.index("<img")
    assert "9.87 s" not in page
    assert page.count("at or above 20 %") == (2 if decision == "cannot tell" else 1)


def test_the_fonts_are_in_the_pdf() -> None:
    content = sheet_pdf(sheet_of("film", LINES, PICTURES, CLASSIFIER, "1.2"))
    assert content.count(b"/FontFile3") == content.count(b"/FontDescriptor") // 2 == 2


def test_the_pdf_is_tagged_and_names_its_language() -> None:
    content = sheet_pdf(sheet_of("a film", LINES, [Picture("a film", PNG)], CLASSIFIER, "1.2", language="de"))
    assert b"/MarkInfo" in content and b"<pdfuaid:part>1</pdfuaid:part>" in content
    assert b"/Lang(de)" in content and b"/Alt(a film)" in content and b"/DisplayDocTitle true" in content
    kinds = Counter(re.findall(rb"/S/(H1|H2|TH|TD|L|Figure|Caption)\b", content))
    assert kinds == {b"H1": 1, b"H2": 2, b"TH": 6, b"TD": 6, b"L": 2, b"Figure": 1, b"Caption": 1}


@pytest.mark.parametrize(
    "text", ["#sys.inputs", "*b* _i_ $x$ `y` = @z", "]) #panic()", '"', "\\u{41}", "// gone", "<b>"]
)
def test_text_is_never_markup(text: str) -> None:
    """A picture's alternative text stands in the file as it is, and the same call draws all other texts."""
    lines = [line._replace(text=text) if line.kind in ("film", "warning") else line for line in LINES]
    identity, measured = [(text, text)], [MEASURED[0].model_copy(update={"films": text})]
    classifier = CLASSIFIER.model_copy(update={"measured": CLASSIFIER.measured.model_copy(update={"rows": measured})})
    content = sheet_pdf(sheet_of(text, lines, [Picture(text, PNG)], classifier, "1.2", identity=identity))
    escaped = re.sub(r"([()\\])", r"\\\1", text)
    assert f"/Alt({escaped})".encode() in content


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
@pytest.mark.parametrize("word", ["W" * 300, "x-1_" * 90, "COVID-19" * 40])
def test_a_word_without_end_stays_on_the_page(word: str, tmp_path: Path) -> None:
    lines = [line._replace(text=word) if line.kind in ("film", "warning") else line for line in LINES]
    (tmp_path / "sheet.pdf").write_bytes(sheet_pdf(sheet_of(word, lines, PICTURES, CLASSIFIER, "1.2")))
    boxes = subprocess.run(["pdftotext", "-bbox", tmp_path / "sheet.pdf", "-"], capture_output=True, check=True).stdout
    assert max(float(edge) for edge in re.findall(rb'xMax="([\d.]+)"', boxes)) < 595.3 - 42


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext")
def test_what_no_font_draws_stands_as_its_number(tmp_path: Path) -> None:
    title = "Zoë Ωμέγα Юля 漢 \N{GRINNING FACE} \x00 \u202e #sys"
    (tmp_path / "sheet.pdf").write_bytes(sheet_pdf(sheet_of(title, LINES, PICTURES, CLASSIFIER, "1.2")))
    text = subprocess.run(["pdftotext", tmp_path / "sheet.pdf", "-"], capture_output=True, check=True).stdout.decode()
    assert r"Zoë Ωμέγα Юля \u6f22 \U0001f600 \x00 \u202e #sys" in text


def test_the_font_draws_all_that_is_not_escaped() -> None:
    """typst refuses a PDF/UA with a letter that the font lacks."""
    letters = "".join(map(chr, range(0x10000)))
    drawn = UNDRAWN.sub("", letters)
    assert len(drawn) > 700
    sheet_pdf(sheet_of(drawn, [line._replace(text=drawn) for line in LINES], PICTURES, CLASSIFIER, "1.2"))


def test_a_refused_film_gets_no_number() -> None:
    lines = [Line("refusal", "Refused", "no lungs"), Line("notice", "", "Research use only.")]
    sheet = sheet_of("film", lines, PICTURES, CLASSIFIER, "1.2")
    assert sheet.worth is None
    assert "What the answer is worth" not in sheet_html(sheet)
    assert sheet_pdf(sheet).startswith(b"%PDF-")


@pytest.mark.parametrize("prevalence", [0, 1, -0.5, float("nan")])
def test_a_prevalence_is_a_share(prevalence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sheet_of("film", LINES, PICTURES, CLASSIFIER, "1.2", prevalence)


def test_the_pdf_is_one_page_and_the_same_each_time() -> None:
    sheet = sheet_of("film", LINES, PICTURES, CLASSIFIER, "1.2")
    content = sheet_pdf(sheet)
    assert content == sheet_pdf(sheet)
    assert len(re.findall(rb"/Type/Page\b", content)) == 1
    assert b"/MediaBox[0 0 595.2756 841.8898]" in content
    assert b"/MediaBox[0 0 612 792]" in sheet_pdf(sheet, "letter")
    with pytest.raises(ValueError, match="no paper a3"):
        sheet_pdf(sheet, "a3")  # type: ignore[arg-type]


def test_a_batch_writes_it(rg_folder: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    done = AnalysisWriter(report=True).write(rg_folder / "RG1_UNCR.dcm", tmp_path / "rg1", analyzer)
    assert done.status == "analyzed"
    assert f"{100 * done.probabilities['covid']:.1f} %" in (tmp_path / "rg1.report.html").read_text()
    assert (tmp_path / "rg1.report.pdf").read_bytes().startswith(b"%PDF-")
    # Another prevalence is another result: a batch does the film again.
    write = AnalysisWriter(report=True)
    assert write.key(analyzer) != write.key(replace(analyzer, prevalence=0.1))


def test_only_who_asks_gets_what_finds_the_film_again(rg_folder: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    film = pydicom.dcmread(rg_folder / "RG1_UNCR.dcm")
    film.StudyDate, film.AccessionNumber, film.PatientName = "20261127", "A-4711", "Doe^Jane"
    path = tmp_path / "film.dcm"
    path.write_bytes(encoded(film))
    said = {}
    for asked in (False, True):
        AnalysisWriter(report=True, identified=asked).write(path, tmp_path / str(asked), analyzer)
        said[asked] = (tmp_path / f"{asked}.report.html").read_text()
    secrets = ("2026-11-27", "A-4711", sha256(path.read_bytes()).hexdigest())
    assert all(secret in said[True] for secret in secrets)
    assert not any(secret in said[False] for secret in secrets)
    assert "Doe^" not in said[True]
    writers = [AnalysisWriter(report=True, identified=asked) for asked in (False, True)]
    assert len({writer.key(analyzer) for writer in writers}) == 2  # asked later, it is written anew


@pytest.mark.parametrize("content", [b"", b"no DICOM", bytes(128) + b"DICM" + b"\x08\x00\x20\x00DA\xff\xff"])
def test_what_has_no_header_is_told_by_its_digest_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(content)
    assert identity_of(path, "abc") == [("SHA-256", "abc")]
