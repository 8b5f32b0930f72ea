"""Films whose header speaks against a frontal chest radiograph, or gives impossible facts: the pixels decide."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed, Lung
from lunglens.film.gate.judge import MIN_DOUBTED_SCORE, GateResult, weigh_doubt
from lunglens.film.radiograph import Radiograph, read_radiograph
from lunglens.film.statements import panel_lines
from tests.support.dicom_files import RG1_FOLDER, encoded, rg1
from tests.support.pictures import saved

NO_CM2 = "the header's pixel spacing does not fit a chest film: no areas in cm2"
UNKNOWN_AGE = "PatientAge is not usable and was ignored"


def small(folder: Path, source: Path, **elements: Any) -> Path:
    """Every third pixel of a real film, with other words in its header."""
    dataset = dcmread(source)
    stored = dataset.pixel_array[::3, ::3]
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says of many values here that they are not allowed
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        return saved(folder, encoded(dataset), "film.dcm")


def finding_of(analyzer: Analyzer, folder: Path, **elements: Any) -> Analyzed:
    return analyzer.analyze(read_radiograph(small(folder, rg1("UNCR"), **elements)))


@pytest.fixture(scope="module")
def plain(analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Analyzed:
    """The film with the header that it came with, but for its size."""
    return finding_of(analyzer, tmp_path_factory.mktemp("plain"))


def said(finding: Analyzed) -> str:
    return "\n".join(f"{line.label} {line.text}" for line in panel_lines(finding))


@pytest.mark.parametrize(
    ("elements", "warned", "noted"),
    [
        ({"BodyPartExamined": "T\xd3RAX"}, None, None),
        ({"BodyPartExamined": "TÓRAX".encode().decode("latin-1")}, None, None),
        ({"BodyPartExamined": "PECHO"}, None, None),
        ({"BodyPartExamined": "SKULL"}, "the header gives the body part as SKULL: the pixels decide", None),
        ({"BodyPartExamined": "ABDOMEN"}, "the header gives the body part as ABDOMEN: the pixels decide", None),
        ({"Modality": "MG"}, "the header gives the modality as MG: the pixels decide", None),
        ({"Modality": "RF"}, None, "modality RF: read as a radiograph"),
        ({"ViewPosition": "LL"}, "the header gives the view as LL, and the models are for frontal films", None),
        ({"PixelSpacing": [1, 1]}, NO_CM2, "PixelSpacing is not usable and was ignored"),
        ({"PatientAge": "000Y"}, None, UNKNOWN_AGE),
        ({"PatientAge": "007"}, "patient under 18: the models were trained on adults", None),
    ],
)
def test_a_true_film_is_analyzed_alike_whatever_its_header_says(
    elements: dict[str, Any], warned: str | None, noted: str | None, plain: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    finding = finding_of(analyzer, tmp_path, **elements)
    assert finding.status == "analyzed"
    assert finding.covid_probability == plain.covid_probability
    assert (finding.left, finding.right) == (plain.left, plain.right)
    assert finding.left.share == pytest.approx(0.165, abs=0.0015)
    assert finding.right.share == pytest.approx(0.167, abs=0.0015)
    assert finding.left.area_cm2 is None
    headed = [warning for warning in finding.warnings if warning.startswith(("the header", "patient"))]
    assert len(headed) == (warned is not None)
    assert all(warning.startswith(str(warned)) for warning in headed)
    assert noted is None or noted in finding.radiograph.notes


LEG = RG1_FOLDER / "RG3_UNCR.dcm"


@pytest.mark.parametrize("part", ["EXTREMITY", "CHEST"])
@pytest.mark.parametrize("turns", range(4))
def test_the_leg_stays_refused_by_its_pixels(part: str, turns: int, analyzer: Analyzer, tmp_path: Path) -> None:
    film = read_radiograph(small(tmp_path, LEG, BodyPartExamined=part))
    assert (film.doubt is None) == (part == "CHEST")
    turned = np.ascontiguousarray(np.rot90(film.pixels, turns))
    finding = analyzer.analyze(Radiograph(turned, "", "array", 16, doubt=film.doubt, warnings=film.warnings))
    assert finding.status == "refused"
    assert finding.gate_score < 0.1  # a third of what the gate asks for, and a sixth of what it asks of a doubted film
    assert finding.reason is not None
    assert (film.doubt or "") in finding.reason
    assert finding.to_dict()["reason"] == finding.reason
    assert not any("the pixels decide" in warning for warning in finding.warnings)  # the reason has said it


@pytest.mark.parametrize(
    ("reason", "score", "doubt", "accepted"),
    [
        (None, 0.5, None, True),
        (None, MIN_DOUBTED_SCORE, "D", True),
        (None, MIN_DOUBTED_SCORE - 0.01, "D", False),
        ("R", 0.99, None, False),
        ("R", 0.99, "D", False),
    ],
)
def test_a_doubted_film_needs_a_higher_score(
    reason: str | None, score: float, doubt: str | None, accepted: bool
) -> None:
    gate = weigh_doubt(GateResult(reason is None, reason, score, 0.1, 0.1), doubt)
    assert gate.accepted == accepted == (gate.reason is None)
    assert gate.reason is None or doubt is None or gate.reason.endswith("; D")
    assert reason is None or str(gate.reason).startswith(reason)


def test_areas_in_the_detector_plane_say_so(analyzer: Analyzer, tmp_path: Path) -> None:
    finding = finding_of(analyzer, tmp_path, PixelSpacing=[1, 1], ImagerPixelSpacing=[0.5, 0.5])
    assert finding.left.area_cm2 == pytest.approx(finding.left.area_px * 0.25 / 100)
    assert finding.to_dict()["lungs"]["plane"] == "detector"
    assert finding.to_dict()["film"]["spacing_source"] == "ImagerPixelSpacing"
    assert "in the detector plane, magnified" in said(finding)
    assert NO_CM2 not in finding.warnings


def test_areas_in_the_patient_do_not(analyzer: Analyzer, tmp_path: Path) -> None:
    factor = {"EstimatedRadiographicMagnificationFactor": 1.25}
    finding = finding_of(analyzer, tmp_path, ImagerPixelSpacing=[0.5, 0.5], **factor)
    assert finding.left.area_cm2 == pytest.approx(finding.left.area_px * 0.16 / 100)
    assert finding.to_dict()["lungs"]["plane"] == "patient"
    assert "detector" not in said(finding)


@pytest.mark.parametrize(
    ("pitch", "implausible"), [(0.2, True), (0.4, False), (0.5, False), (0.75, False), (0.85, True)]
)
def test_implausible_lung_areas_warn(pitch: float, implausible: bool, analyzer: Analyzer, tmp_path: Path) -> None:
    finding = finding_of(analyzer, tmp_path, PixelSpacing=[pitch, pitch])
    warned = [warning for warning in finding.warnings if warning.startswith("implausible lung area")]
    assert len(warned) == implausible


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (1000, 1000, None),
        (1000, 1999, None),
        (1000, 2001, "the right one is 2.0 times the other"),
        (5000, 1000, "the left one is 5.0 times the other"),
    ],
)
def test_unequal_lungs_warn(left: int, right: int, words: str | None) -> None:
    from lunglens.film.film_warnings import doubtful_sizes

    warned = list(doubtful_sizes(Lung(0.1, left, None), Lung(0.1, right, None)))
    assert len(warned) == (words is not None)
    assert words is None or words in warned[0]
