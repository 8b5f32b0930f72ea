"""The page of a film: what it says, at which prevalence, and that a refused film gets no number."""

from dataclasses import replace
from pathlib import Path

import pytest

from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.model_package.record import MeasuredRow
from lunglens.film.sheet import sheet_html, sheet_of, sheet_pdf
from lunglens.film.sheet.content import predictive_values
from lunglens.film.statements import Line

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
    Line("warning", "Warning", "small & old"),
    Line("notice", "", "Research use only."),
]
PANEL = Path(__file__).parents[2].joinpath("docs", "rg1.panel.png").read_bytes()


def test_bayes() -> None:
    assert predictive_values(0.9, 0.8, 0.1) == (pytest.approx(0.09 / 0.27), pytest.approx(0.72 / 0.73))
    assert predictive_values(1.0, 1.0, 0.5) == (1.0, 1.0)
    assert predictive_values(0.0, 1.0, 0.5) == (None, 0.5)


def test_the_page_says_all_lines_and_the_worth_of_the_answer_at_the_prevalence() -> None:
    text = sheet_html(sheet_of("a <film>", LINES, PANEL, CLASSIFIER, "1.2", 0.1))
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


def test_a_refused_film_gets_no_number() -> None:
    lines = [Line("refusal", "Refused", "no lungs"), Line("notice", "", "Research use only.")]
    sheet = sheet_of("film", lines, PANEL, CLASSIFIER, "1.2")
    assert sheet.meanings == []
    assert "What the answer is worth" not in sheet_html(sheet)
    assert sheet_pdf(sheet).startswith(b"%PDF-")


@pytest.mark.parametrize("prevalence", [0, 1, -0.5, float("nan")])
def test_a_prevalence_is_a_share(prevalence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sheet_of("film", LINES, PANEL, CLASSIFIER, "1.2", prevalence)


def test_the_pdf_is_one_page_and_the_same_each_time() -> None:
    sheet = sheet_of("film", LINES, PANEL, CLASSIFIER, "1.2")
    content = sheet_pdf(sheet)
    assert content == sheet_pdf(sheet)
    assert content.count(b"/Type /Page\n") == 1


def test_a_batch_writes_it(rg_folder: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    done = AnalysisWriter(report=True).write(rg_folder / "RG1_UNCR.dcm", tmp_path / "rg1", analyzer)
    assert done.status == "analyzed"
    assert f"{100 * done.probabilities['covid']:.1f} %" in (tmp_path / "rg1.report.html").read_text()
    assert (tmp_path / "rg1.report.pdf").read_bytes().startswith(b"%PDF-")
    # Another prevalence is another result: a batch does the film again.
    write = AnalysisWriter(report=True)
    assert write.key(analyzer) != write.key(replace(analyzer, prevalence=0.1))
