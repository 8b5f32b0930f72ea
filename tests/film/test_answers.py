"""Classifiers of other questions: what they tell apart is what every result says, and COVID is named nowhere."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from lunglens.errors import DataError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter, run_batch
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.finding import Analyzed, Opacity
from lunglens.film.finding_record import FindingRecord, read_finding
from lunglens.film.heatmap import FULL_HEAT
from lunglens.film.model_package.package import load_package
from lunglens.film.picture.panel import MARGIN, TILE, TILE_TOP, draw_panel
from lunglens.film.statements import panel_lines
from tests.support.dciodvfy import errors_of, needs_dciodvfy
from tests.support.packages import classifier_package
from tests.support.result_films import noise

GOLDEN = Path(__file__).parent / "golden"
TUBERCULOSIS = {
    "name": "tuberculosis",
    "words": "pulmonary tuberculosis",
    "code": {"value": "154283005", "scheme": "SCT", "meaning": "Pulmonary tuberculosis"},
}
MEASURED = {
    "rows": [
        {"films": "somebody's films", "n_positive": 9, "n_negative": 9, "sensitivity": 0.9, "specificity": 0.8}
        | {"sensitivity_95_ci": [0.5, 1.0], "specificity_95_ci": [0.4, 1.0]}
    ]
}
THREE = ["pneumonia", "tuberculosis", "normal"]


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def two(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    """Of tuberculosis or not, 0.88 for it."""
    folder = classifier_package(tmp_path_factory.mktemp("p") / "tb", [TUBERCULOSIS, "normal"], [2.0], measured=MEASURED)
    return Analyzer(analyzer.lungs, load_package(folder, "classification"), analyzer.orientation)


@pytest.fixture(scope="module")
def three(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    """Of three classes, the second the most probable."""
    folder = classifier_package(tmp_path_factory.mktemp("p") / "three", THREE, [0.0, 2.0, 1.0])
    return Analyzer(analyzer.lungs, load_package(folder, "classification"), analyzer.orientation)


@pytest.fixture(scope="module")
def without_heat(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    folder = classifier_package(tmp_path_factory.mktemp("p") / "cold", ["a", "b"], [-2.0], heat=False)
    return Analyzer(analyzer.lungs, load_package(folder, "classification"), analyzer.orientation)


def analysed(analyzer: Analyzer, film: Path) -> Analyzed:
    finding = analyzer.analyze(film)
    assert isinstance(finding, Analyzed)
    return finding


def said(finding: Analyzed) -> str:
    return "\n".join(f"{line.label}: {line.text}" for line in panel_lines(finding))


def test_of_two_classes_the_first_is_asked_for(two: Analyzer, film: Path) -> None:
    finding = analysed(two, film)
    assert finding.probabilities == {
        "tuberculosis": pytest.approx(0.88, abs=0.01),
        "normal": pytest.approx(0.12, abs=0.01),
    }
    assert (finding.decision, finding.answer.threshold, finding.covid_probability) == ("tuberculosis", 0.5, None)
    assert "pulmonary tuberculosis probability: 88." in said(finding)
    assert "Decision: tuberculosis" in said(finding)
    assert finding.to_dict()["probabilities"] == {name: round(p, 6) for name, p in finding.probabilities.items()}


def test_of_more_classes_the_most_probable_is_decided_for_and_said_first(three: Analyzer, film: Path) -> None:
    finding = analysed(three, film)
    assert list(finding.probabilities) == THREE
    assert sum(finding.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert (finding.decision, finding.answer.threshold) == ("tuberculosis", None)
    lines = [line.label for line in panel_lines(finding) if line.kind == "probability"]
    assert lines == ["tuberculosis", "normal", "pneumonia"]
    assert "the most probable of 3 classes" in said(finding)
    assert finding.heat_class.name == "tuberculosis"


def test_the_heat_is_that_of_the_class_that_is_decided_for(three: Analyzer, film: Path, tmp_path: Path) -> None:
    warm = analysed(three, film)
    assert warm.heat.max() > 0.9
    assert warm.heat.shape == warm.radiograph.pixels.shape
    folder = classifier_package(tmp_path / "p", THREE, [2.0, 0.0, 0.0])  # for the first, which has no heat
    cold = analysed(Analyzer(three.lungs, load_package(folder, "classification"), three.orientation), film)
    assert (float(np.max(cold.heat)), cold.heat_share_in_lungs) == (0, None)
    assert "no evidence for pneumonia on this film" in said(cold)


def test_a_classifier_without_heat_maps_has_none_and_says_so(without_heat: Analyzer, film: Path) -> None:
    finding = analysed(without_heat, film)
    assert (finding.heat, finding.heat_share_in_lungs) == (None, None)
    assert "this classifier gives no heat-map" in said(finding)
    files = dicom_results(read_source(film), finding).files()
    assert set(files) == {name for name in DICOM_FILES if not name.startswith("heat.")}
    assert draw_panel(finding, "film").size == (1600, 826)


@pytest.fixture(scope="module")
def both(analyzer: Analyzer, film: Path, tmp_path_factory: pytest.TempPathFactory) -> Analyzed:
    """Of a package that pools by the region and tells opacity: 0.27 for tuberculosis, and 0.27 for any opacity."""
    folder = classifier_package(tmp_path_factory.mktemp("p") / "p", [TUBERCULOSIS, "normal"], [-1.0], pool="region")
    return analysed(Analyzer(analyzer.lungs, load_package(folder, "classification"), analyzer.orientation), film)


def test_evidence_of_the_region_has_one_scale_and_lies_in_the_lungs_alone(both: Analyzed, film: Path) -> None:
    finding = both
    # The graph's heat is the image and its mask added up: between 1 and 2 in the region.
    assert finding.heat_full == FULL_HEAT
    assert finding.heat[finding.lungs].min() >= 0.99 / FULL_HEAT
    assert finding.heat.max() <= 2.01 / FULL_HEAT
    assert (finding.heat == 0).mean() == pytest.approx(1 - finding.region_share, abs=0.01)
    assert finding.heat_share_in_lungs == 1
    assert finding.classifier_view.min() >= 0
    assert finding.to_dict()["heat_full_log_odds"] == FULL_HEAT
    assert f"from the lungs alone; {FULL_HEAT * finding.heat.max():.1f} log odds at its strongest" in said(finding)
    assert draw_panel(finding, "film").size == (1600, 826)
    heat = dicom_results(read_source(film), finding).objects["heat.seg"]
    assert heat.SegmentSequence[0].SegmentLabel == f"Heat-map of the classifier, 1 is {FULL_HEAT:g} log odds"


def test_opacity_is_a_second_number_with_a_decision_of_its_own(both: Analyzed, two: Analyzer, film: Path) -> None:
    assert both.opacity == Opacity(pytest.approx(0.27, abs=0.01), 0.4)
    assert not both.opacity.is_there
    there = replace(both, opacity=Opacity(0.91234, 0.4))
    assert "Any opacity: 91.2 %\nOpacity: yes (from 40.0 %); its kind is uncertain" in said(there)
    assert "Opacity: no (from 40.0 %)" in said(both).splitlines()
    record = FindingRecord.model_validate(there.to_dict())
    assert (record.opacity.probability, record.opacity.decision, record.decision) == (0.91234, "yes", "normal")
    drawn = [np.asarray(draw_panel(finding, "film")) for finding in (both, there)]
    assert (drawn[0] != drawn[1]).any(axis=2).nonzero()[1].max() < MARGIN + TILE  # in the answer's column
    report = dicom_results(read_source(film), there).objects["report.sr"]
    assert numbers_of(report)["Probability of any opacity at the balance of training"] == pytest.approx(0.91234)
    assert ("52101004", "SCT", "Present") in codes_of(report)
    assert "opacity" not in said(analysed(two, film)).lower()


def test_many_classes_with_long_words_stay_in_their_column(three: Analyzer, film: Path, tmp_path: Path) -> None:
    names = [f"a class of a long name and number {number} " + "m" * 25 for number in range(9)]
    folder = classifier_package(tmp_path / "many", names, [float(number) for number in range(9)])
    many = Analyzer(three.lungs, load_package(folder, "classification"), three.orientation)
    panel = np.asarray(draw_panel(analysed(many, film), "film"), np.int16)
    gap = panel[TILE_TOP + TILE + 32 : 720, MARGIN + TILE + 2 : MARGIN + TILE + 18]
    assert (gap == panel[5, 5]).all()


def codes_of(report: Dataset) -> list[tuple[str, str, str]]:
    """Every code of a report: value, scheme, meaning."""
    return [
        (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", "")))
        for item in report.iterall()
        if item.VR == "SQ"
        for item in item.value
        if "CodeValue" in item
    ]


def numbers_of(report: Dataset) -> dict[str, float]:
    measured = {}
    for item in report.iterall():
        for inner in item.value if item.VR == "SQ" else ():
            if "MeasuredValueSequence" in inner:
                name = inner.ConceptNameCodeSequence[0].CodeMeaning
                measured[name] = float(inner.MeasuredValueSequence[0].NumericValue)
    return measured


def test_the_report_asks_for_the_coded_class_and_measures_it(two: Analyzer, film: Path) -> None:
    report = dicom_results(read_source(film), analysed(two, film)).objects["report.sr"]
    assert ("154283005", "SCT", "Pulmonary tuberculosis") in codes_of(report)
    assert ("52101004", "SCT", "Present") in codes_of(report)
    assert numbers_of(report)["Probability of pulmonary tuberculosis"] == pytest.approx(0.88, abs=0.01)


def test_the_report_of_more_classes_measures_each_and_names_the_most_probable(three: Analyzer, film: Path) -> None:
    report = dicom_results(read_source(film), analysed(three, film)).objects["report.sr"]
    assert {f"Probability of {name}" for name in THREE} <= set(numbers_of(report))
    asked = [
        item for item in report.iterall() if item.VR == "SQ" for item in item.value if "ConceptCodeSequence" in item
    ]
    answers = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.ConceptCodeSequence[0].CodeMeaning
        for item in asked
        if "ConceptNameCodeSequence" in item
    }
    assert answers["Most probable class"] == "tuberculosis"
    assert not any(value in ("52101004", "2667000") for value, _, _ in codes_of(report))
    private = {value: meaning for value, scheme, meaning in codes_of(report) if scheme == "99LUNGLENS"}
    assert all(len(value) <= 16 for value in private)


@needs_dciodvfy
@pytest.mark.parametrize("which", ["two", "three", "without_heat"])
def test_the_validator_has_no_errors(which: str, film: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    analyzer = request.getfixturevalue(which)
    for name, content in dicom_results(read_source(film), analysed(analyzer, film)).files().items():
        assert errors_of(content, tmp_path) == [], name


def texts_below(folder: Path) -> dict[str, str]:
    """All that the files of a folder say, by file; of PDF and pictures what stands in them as text."""
    return {path.name: path.read_bytes().decode("latin-1") for path in folder.iterdir() if path.suffix != ".png"}


@pytest.mark.parametrize("which", ["two", "three", "without_heat"])
def test_nothing_that_a_batch_writes_names_the_disease_of_the_shipped_model(
    which: str, film: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    analyzer = request.getfixturevalue(which)
    (tmp_path / "noise.dcm").write_bytes(noise())
    films = [film, tmp_path / "noise.dcm"]
    rows = run_batch(films, tmp_path / "out", analyzer, AnalysisWriter(True, 0.1), lambda _: None)
    assert [row.status for row in rows] == ["analyzed", "refused"]
    texts = texts_below(tmp_path / "out")
    assert {name.rpartition(".")[2] for name in texts} >= {"json", "html", "pdf", "csv", "dcm"}
    # What the shipped lungs package says of itself in the header of results is its name, which has no disease in it.
    assert [name for name, text in texts.items() if "covid" in text.lower()] == []


def test_the_summary_has_a_column_a_class(three: Analyzer, film: Path, tmp_path: Path) -> None:
    run_batch([film], tmp_path, three, AnalysisWriter(), lambda _: None)
    (row,) = csv.DictReader((tmp_path / "summary.csv").open(newline=""))
    assert list(row)[:5] == ["path", "status", "p_pneumonia", "p_tuberculosis", "p_normal"]
    written = read_finding(tmp_path / row["result"])
    assert written.probabilities == {name: float(row[f"p_{name}"]) for name in THREE}
    assert written.decision == row["decision"] == "tuberculosis"


def test_of_more_classes_with_covid_both_columns_are_there(analyzer: Analyzer, film: Path, tmp_path: Path) -> None:
    folder = classifier_package(tmp_path / "p", ["normal", "covid", "pneumonia"], [0.0, 1.0, 2.0])
    mixed = Analyzer(analyzer.lungs, load_package(folder, "classification"), analyzer.orientation)
    run_batch([film], tmp_path / "out", mixed, AnalysisWriter(), lambda _: None)
    (row,) = csv.DictReader((tmp_path / "out" / "summary.csv").open(newline=""))
    assert row["covid_probability"] == row["p_covid"] != row["p_normal"]
    assert json.loads((tmp_path / "out" / row["result"]).read_text())["covid_probability"] == float(row["p_covid"])


def test_the_page_reckons_with_the_classes_of_the_package(two: Analyzer, film: Path, tmp_path: Path) -> None:
    run_batch([film], tmp_path, replace(two, prevalence=0.1), AnalysisWriter(report=True), lambda _: None)
    page = (tmp_path / "RG1_UNCR.report.html").read_text()
    assert "10 % of the patients have pulmonary tuberculosis" in page
    assert "“pulmonary tuberculosis” is right in" in page
    assert "“normal” is right in" in page


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("finding-format-*/*.json")), ids=lambda file: file.stem)
def test_findings_of_every_format_are_read(file: Path) -> None:
    record = read_finding(file)
    assert record.path is not None
    if record.status == "refused":
        assert (record.probabilities, record.decision) == (None, None)
        assert record.reason
        return
    assert record.probabilities is not None
    assert sum(record.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert record.decision in record.probabilities
    if record.covid_probability is not None:
        assert record.covid_probability == record.probabilities["covid"]


def test_what_is_written_today_is_the_golden_file(two: Analyzer, film: Path, tmp_path: Path) -> None:
    """Its keys and kinds of values: the numbers change with the last bits of a machine."""
    run_batch([film], tmp_path, two, AnalysisWriter(), lambda _: None)
    golden = json.loads((GOLDEN / "finding-format-2" / "two-classes.json").read_text())
    assert shape_of(json.loads((tmp_path / "RG1_UNCR.json").read_text())) == shape_of(golden)


def shape_of(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items()}
    return type(value).__name__


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace('"format_version": 2', '"format_version": 3'), "finding of format 3"),
        (lambda text: text.replace('"status": "analyzed"', '"status": "perhaps"'), "is no finding"),
        (lambda text: text[:100], "is no finding"),
        (lambda _: "[]", "finding of format None"),
    ],
)
def test_what_is_no_finding_is_refused_by_name(change: Callable[[str], str], complaint: str, tmp_path: Path) -> None:
    text = (GOLDEN / "finding-format-2" / "two-classes.json").read_text()
    (tmp_path / "x.json").write_text(change(text))
    with pytest.raises(DataError, match=complaint) as caught:
        read_finding(tmp_path / "x.json")
    assert "x.json" in str(caught.value)
