"""A classifier that is calibrated and may say "cannot tell": in the answer, JSON, words, DICOM and tables."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lunglens.film.abstention import REASONS, reasons_to_abstain
from lunglens.film.analyzer import Analyzer
from lunglens.film.answer import Answer, moved
from lunglens.film.batch import AnalysisWriter, run_batch
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.finding import Analyzed
from lunglens.film.gate.traits import CHILD, Trait
from lunglens.film.model_package.package import load_package
from lunglens.film.model_package.record import CANNOT_TELL, AnswerSettings
from lunglens.film.picture.layers import layers_of
from lunglens.film.picture.panel import draw_panel
from lunglens.film.radiograph import Radiograph, radiograph_from_array
from lunglens.film.statements import panel_lines
from tests.support.packages import THREE, classifier_package

CALIBRATED: dict[str, Any] = {"calibration": {"temperature": 2.0, "prevalence": 0.5}}
UNSURE: dict[str, Any] = {"promised": 0.9, "possible_from": [0.3, 0.3]}


def settings(**more: Any) -> AnswerSettings:
    names = [{"name": "covid"}, {"name": "not covid"}]
    return AnswerSettings.model_validate({"activation": "sigmoid", "classes": names, "threshold": 0.5, **more})


@given(st.floats(0, 1), st.floats(0.3, 20), st.floats(0.01, 0.99))
def test_what_is_calibrated_keeps_its_side_and_its_sum(said: float, temperature: float, prevalence: float) -> None:
    found = Answer.of(
        settings(calibration={"temperature": temperature, "prevalence": 0.5}), np.float64(said), prevalence
    )
    plain = Answer.of(settings(), np.float64(said))
    assert sum(found.probabilities.values()) == pytest.approx(1)
    if abs(said - 0.5) > 1e-9:
        assert found.decision == plain.decision
    assert plain.at_prevalence is None
    assert found.at_prevalence is not None
    back = moved(found.at_prevalence.probability, prevalence, 0.5)
    assert back == pytest.approx(found.probabilities["covid"], abs=1e-6)


def test_a_temperature_is_of_log_odds() -> None:
    assert Answer.of(settings(**CALIBRATED), np.float64(0.9)).probabilities["covid"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("said", "possible"), [(0.9, ("covid",)), (0.1, ("not covid",)), (0.5, ("covid", "not covid"))]
)
def test_classes_are_possible_from_their_limit_on(said: float, possible: tuple[str, ...]) -> None:
    found = Answer.of(settings(abstention=UNSURE), np.float64(said))
    assert found.possible == possible
    assert found.is_sure == (len(possible) == 1)


def test_where_no_class_is_possible_nothing_is_sure() -> None:
    found = Answer.of(settings(abstention=UNSURE | {"possible_from": [0.8, 0.8]}), np.float64(0.6))
    assert found.possible == ()
    assert not found.is_sure


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"abstention": UNSURE | {"possible_from": [0.3]}}, "a number for each class"),
        ({"classes": [{"name": CANNOT_TELL}, {"name": "other"}]}, "may not be called"),
        ({"calibration": {"temperature": 0.0}}, "greater than 0"),
        ({"calibration": {"temperature": 1.0, "prevalence": 1.0}}, "less than 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        settings(**change)


def film(**facts: Any) -> Radiograph:
    return replace(radiograph_from_array(np.eye(64)), **facts)


@pytest.mark.parametrize(
    ("facts", "more", "reasons"),
    [
        ({}, {}, []),
        ({}, {"doubtful_lungs": True}, ["lungs"]),
        ({}, {"distance": 2.0}, []),
        ({}, {"distance": 2.1}, ["far"]),
        ({"age_years": 17.0}, {}, ["child"]),
        ({"age_years": 18.0}, {"child": True}, []),  # the header knows better
        ({}, {"child": True, "doubtful_lungs": True, "distance": 9.0}, ["lungs", "far", "child"]),
    ],
)
def test_reasons(facts: dict[str, Any], more: dict[str, Any], reasons: list[str]) -> None:
    of = settings(abstention=UNSURE | {"far_above": 2.0})
    traits = {CHILD: Trait(0.9, 0.5)} if more.pop("child", False) else {}
    told = {"doubtful_lungs": False, "distance": None} | more
    answer = Answer.of(of, np.float64(0.9))
    assert list(reasons_to_abstain(of, answer, film(**facts), traits, **told)) == reasons
    unsure = Answer.of(of, np.float64(0.5))
    assert list(reasons_to_abstain(of, unsure, film(**facts), traits, **told)) == ["unsure", *reasons]
    assert list(reasons_to_abstain(settings(), unsure, film(**facts), traits, **told)) == []


def with_package(analyzer: Analyzer, folder: Path, classes: Any, logits: list[float], **answers: Any) -> Analyzer:
    package = load_package(classifier_package(folder, classes, logits, answers=answers), "classification")
    return Analyzer(analyzer.lungs, package, analyzer.orientation, prevalence=0.1)


def test_it_is_said_everywhere(analyzer: Analyzer, rg_folder: Path, tmp_path: Path) -> None:
    path = rg_folder / "RG1_UNCR.dcm"
    torn = with_package(analyzer, tmp_path / "p", ["covid", "not covid"], [0.1], abstention=UNSURE, **CALIBRATED)
    finding = torn.analyze(path)
    assert isinstance(finding, Analyzed)
    assert (finding.decision, finding.withheld) == (CANNOT_TELL, ("unsure",))
    lines = panel_lines(finding)
    assert [line.text for line in lines if line.kind == "decision"] == [CANNOT_TELL, REASONS["unsure"]]
    (worth,) = [line.text for line in lines if line.kind == "worth"]
    assert worth.startswith("Where 10 % of the patients have COVID-19, the probability is 10.")
    (outcome,) = run_batch([path], tmp_path / "out", torn, AnalysisWriter(report=True), lambda _: None)
    written = json.loads((tmp_path / "out" / outcome.result).read_text())
    assert written["decision"] == CANNOT_TELL
    assert written["withheld"] == ["unsure"]
    assert written["possible"] == ["covid", "not covid"]
    assert written["at_prevalence"]["prevalence"] == 0.1
    (row,) = csv.DictReader((tmp_path / "out" / "summary.csv").open(newline=""))
    assert (row["decision"], row["withheld"]) == (CANNOT_TELL, "unsure")
    assert worth in (tmp_path / "out" / "RG1_UNCR.report.html").read_text()
    report = dicom_results(read_source(path), finding).objects["report.sr"]
    said = {element.value for element in report.iterall() if element.keyword in {"CodeMeaning", "TextValue"}}
    assert {"Presence Undetermined", REASONS["unsure"], worth, "Probability of COVID-19, calibrated"} <= said
    assert "Probability of COVID-19 at the balance of training" not in said


def test_of_several_classes_none_is_named(analyzer: Analyzer, rg_folder: Path, tmp_path: Path) -> None:
    path = rg_folder / "RG1_UNCR.dcm"
    limits = {"promised": 0.9, "possible_from": [0.2, 0.2, 0.2]}
    three = with_package(analyzer, tmp_path / "p", THREE, [0.0, 0.2, 0.1], abstention=limits)
    finding = three.analyze(path)
    assert isinstance(finding, Analyzed)
    assert finding.decision == CANNOT_TELL
    assert finding.heat_class.name == "effusion"
    report = str(dicom_results(read_source(path), finding).objects["report.sr"])
    assert "Most probable class" in report
    assert "Undetermined" in report


def test_far_from_training(analyzer: Analyzer, rg_folder: Path, tmp_path: Path) -> None:
    near = with_package(
        analyzer, tmp_path / "p", ["covid", "not covid"], [3.0], abstention=UNSURE | {"far_above": -1.0}
    )
    finding = near.analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(finding, Analyzed)
    assert finding.withheld == ("far",)
    assert finding.record().distance == pytest.approx(finding.distance, abs=1e-6)


def test_a_package_of_before_abstains_from_nothing(analyzer: Analyzer, rg_folder: Path) -> None:
    finding = replace(analyzer, classifier=load_package("hrnet", "classification")).analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(finding, Analyzed)
    assert finding.withheld == ()
    assert not {"withheld", "possible", "at_prevalence", "distance"} & set(finding.to_dict())


def test_doubtful_lungs_have_a_dashed_outline(analyzer: Analyzer, rg_folder: Path) -> None:
    finding = analyzer.analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(finding, Analyzed)
    sure, torn = (replace(finding, withheld=reasons) for reasons in ((), ("lungs",)))
    drawn = [(np.asarray(layers_of(one)["lungs"])[..., 3] > 0).sum() for one in (sure, torn)]
    assert 0.35 < drawn[1] / drawn[0] < 0.65
    assert draw_panel(sure, "film").tobytes() != draw_panel(torn, "film").tobytes()
