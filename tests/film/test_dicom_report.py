"""The structured report: no COVID-19 can be read out of a negative or refused film's; it leads to what it speaks of."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom.codes import SCHEME, private_codes
from lunglens.film.dicom.objects import dicom_results, modalities_of, read_source, refusal_results
from lunglens.film.finding import NOTICE, Analyzed, Refused
from lunglens.film.model_package.package import load_package
from lunglens.film.radiograph import radiograph_from_array, read_radiograph
from tests.support.findings import as_refused, covid_answer
from tests.support.phantom import chest
from tests.support.result_films import changed

COMPREHENSIVE = pydicom.uid.ComprehensiveSRStorage
COVID, PRESENT, ABSENT = "840539006", "52101004", "2667000"
REASONS = {
    "blank": "refused-blank",
    "no-lungs": "refused-no-lungs",
    "not-plausible": "refused-area",
    "one-lung": "refused-one-lung",
    "not-frontal": "refused-view",
}
LONG = "the heat does not prefer the lungs to their surroundings: the answer may rest on the outline, and more " * 3


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def negative(film: Path, analyzer: Analyzer) -> Analyzed:
    # Of HRNet, which is not calibrated and always decides; test_abstention.py has the others.
    found = replace(analyzer, classifier=load_package("hrnet", "classification")).analyze(read_radiograph(film))
    assert isinstance(found, Analyzed)
    assert found.decision == "not covid"
    return found


@pytest.fixture(scope="module")
def positive(negative: Analyzed) -> Analyzed:
    """The same film, as if the model had said otherwise."""
    return replace(negative, answer=covid_answer(0.97))


@pytest.fixture(scope="module")
def refused(negative: Analyzed) -> Refused:
    """The same film, as if the gate had refused it."""
    return as_refused(negative, "not-frontal", "does not look like a frontal chest radiograph (score 0.10)")


def reported(film: Path, finding: Analyzed | Refused) -> Dataset:
    """The report, written and read back."""
    return pydicom.dcmread(io.BytesIO(dicom_results(read_source(film), finding).files()["report.sr.dcm"]))


def items(node: Dataset) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", []):
        yield item
        yield from items(item)


def answers(report: Dataset, name: str) -> list[str]:
    """Code values of the CODE items of that name."""
    return [
        item.ConceptCodeSequence[0].CodeValue
        for item in items(report)
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name
    ]


def texts(report: Dataset, name: str) -> list[str]:
    found = [item for item in items(report) if item.ValueType == "TEXT"]
    return [item.TextValue for item in found if item.ConceptNameCodeSequence[0].CodeValue == name]


def numbers(report: Dataset, name: str) -> list[tuple[float, str]]:
    found = [item for item in items(report) if item.ValueType == "NUM"]
    values = [item.MeasuredValueSequence[0] for item in found if item.ConceptNameCodeSequence[0].CodeValue == name]
    return [(float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue) for value in values]


def without_private_codes(report: Dataset) -> list[tuple[str, str]]:
    """What a consumer sees that drops every item with a code it does not know: (name, answer) of coded items."""
    found = []
    for item in items(report):
        codes_ = [*item.get("ConceptNameCodeSequence", []), *item.get("ConceptCodeSequence", [])]
        if item.ValueType == "CODE" and all(code.CodingSchemeDesignator != SCHEME for code in codes_):
            found.append((codes_[0].CodeValue, codes_[1].CodeValue))
    return found


def test_covid_is_a_question_with_a_coded_answer(film: Path, negative: Analyzed, positive: Analyzed) -> None:
    for finding, answer in ((negative, ABSENT), (positive, PRESENT)):
        report = reported(film, finding)
        assert answers(report, COVID) == [answer]
        assert [pair for pair in without_private_codes(report) if COVID in pair] == [(COVID, answer)]
        assert set(answers(report, codes.DCM.Finding.value)) == {"44029006", "3341006"}
        (probability,) = numbers(report, "covid-prob")
        assert probability == (pytest.approx(finding.covid_probability, abs=1e-6), "1")


def test_no_label_of_a_negative_film_s_objects_names_the_disease(film: Path, negative: Analyzed) -> None:
    for name, dataset in dicom_results(read_source(film), negative).objects.items():
        said = [str(element.value) for element in dataset.iterall() if element.VR in ("LO", "SH", "ST", "LT", "CS")]
        if name == "outlines.pr":  # the panel's own words: a sentence, and no label
            said.remove(dataset.GraphicAnnotationSequence[-1].TextObjectSequence[0].UnformattedTextValue)
        naming = {text for text in said if "COVID" in text.upper() and not text.startswith("LungLens covid-")}
        assert naming <= ({"COVID-19", "covid-prob", private_codes()["covid-prob"]} if name == "report.sr" else set())


@pytest.mark.parametrize("code", REASONS)
def test_a_refused_film_says_why_as_code_and_text_and_nothing_of_covid(
    film: Path, negative: Analyzed, code: str
) -> None:
    report = reported(film, as_refused(negative, code, "a reason of the gate"))
    assert answers(report, "gate") == [REASONS[code]]
    assert texts(report, "reason") == ["a reason of the gate"]
    assert texts(report, "intended-use") == [NOTICE]
    assert "COVID" not in str(report).upper().replace("COVID-HRNET", "")
    assert not [pair for pair in without_private_codes(report) if PRESENT in pair or ABSENT in pair]


@pytest.mark.parametrize(
    ("code", "said"),
    [("modality", "refused-modality"), ("raw-data", "refused-raw"), ("of tomorrow", "refused-other")],
)
def test_a_film_refused_by_its_header_has_a_report_too(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "film.dcm").write_bytes(changed(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    found = refusal_results(read_source(tmp_path / "film.dcm"), f"its header says modality CT. {LONG}", code)
    assert list(found.files()) == ["report.sr.dcm"]
    report = found.objects["report.sr"]
    assert answers(report, "gate") == [said]
    assert texts(report, "reason") == [f"its header says modality CT. {LONG}".strip()]
    default = refusal_results(read_source(tmp_path / "film.dcm"), "x").objects["report.sr"]
    assert answers(default, "gate") == ["refused-kind"]
    assert not numbers(report, "frontal-score")


def test_the_gate_names_its_reasons(analyzer: Analyzer) -> None:
    blank = analyzer.analyze(radiograph_from_array(chest(1)[0] * 0 + 0.5))
    assert (blank.status, blank.reason_code) == ("refused", "blank")


def test_warnings_and_notes_are_whole_sentences(film: Path, negative: Analyzed) -> None:
    report = reported(film, replace(negative, warnings=(LONG, "Größe \x07 unklar")))
    assert texts(report, "warning") == [LONG.strip(), "Größe  unklar"]
    assert texts(report, "note") == list(negative.radiograph.notes)


def test_every_private_code_is_in_the_table_with_one_meaning_and_declared(
    film: Path, negative: Analyzed, positive: Analyzed, refused: Refused
) -> None:
    used = set()
    for finding in (negative, positive, refused):
        report = reported(film, finding)
        for element in report.iterall():
            if element.keyword == "CodingSchemeDesignator":
                continue
            if element.VR == "SQ":
                used |= {
                    (item.CodeValue, item.CodeMeaning)
                    for item in element.value
                    if item.get("CodingSchemeDesignator") == SCHEME and "CodeValue" in item
                }
        (scheme,) = report.CodingSchemeIdentificationSequence
        assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeResponsibleOrganization) == (SCHEME, "LungLens")
    assert used <= set(private_codes().items())
    assert all(len(value) <= 16 for value in private_codes())
    assert all(len(meaning) <= 64 for meaning in private_codes().values())
    assert len(set(private_codes().values())) == len(private_codes())


def test_the_documented_codes_are_the_codes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dicom-conformance.md").read_text()
    table = page.partition("| Code | Meaning |")[2].partition("## ")[0]
    documented = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)
    assert documented == list(private_codes().items())


def test_the_modalities_are_known_before_the_objects_are_made(film: Path, negative: Analyzed, refused: Refused) -> None:
    source = read_source(film)
    for finding in (replace(negative, heat_map=None, heat_share_in_lungs=None), negative, refused):
        found = dicom_results(source, finding).objects
        assert sorted(modalities_of(source, finding)) == sorted(dataset.Modality for dataset in found.values())


def test_all_objects_are_evidence_and_in_the_image_library(film: Path, negative: Analyzed) -> None:
    found = dicom_results(read_source(film), negative).objects
    source = pydicom.dcmread(film, stop_before_pixels=True)
    report = found.pop("report.sr")
    expected = {str(source.SOPInstanceUID)} | {str(dataset.SOPInstanceUID) for dataset in found.values()}
    assert {str(instance) for _, _, instance, _ in report.get_evidence(current_procedure_only=True)} == expected
    (library,) = (item for item in items(report) if item.ConceptNameCodeSequence[0].CodeValue == "111028")
    images = [item.ReferencedSOPSequence[0] for item in items(library) if item.ValueType == "IMAGE"]
    states = [state for image in images for state in image.get("ReferencedSOPSequence", [])]
    assert {reference.ReferencedSOPInstanceUID for reference in (*images, *states)} == expected
    assert [state.ReferencedSOPInstanceUID for state in states] == [found["outlines.pr"].SOPInstanceUID]
    assert "ReferencedSOPSequence" in images[0] and images[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_docs_air_md_says_what_the_objects_have(film: Path, negative: Analyzed) -> None:
    found = dicom_results(read_source(film), negative).objects
    report = found["report.sr"]
    assert (report.SOPClassUID, report.ContentTemplateSequence[0].TemplateIdentifier) == (COMPREHENSIVE, "1500")
    groups = [item for item in items(report) if item.ConceptNameCodeSequence[0].CodeValue == "125007"]
    assert {group.ContentTemplateSequence[0].TemplateIdentifier for group in groups} == {"1501", "1410"}
    for group in groups:  # tracking identifier and UID, algorithm name, version and family
        said = {item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence}
        assert {"112039", "112040", "111001", "111003", "111000"} <= said
    for name, dataset in found.items():
        purposes = [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in dataset.ContributingEquipmentSequence]
        assert purposes == (["109102"] if name == "outlines.pr" else ["109101", "109102"])  # none for an algorithm
        for segment in dataset.get("SegmentSequence", []):
            assert segment.TrackingUID and segment.SegmentationAlgorithmIdentificationSequence
    assert not [item for item in items(report) if item.ValueType.startswith("SCOORD")]


def test_each_lung_is_tied_to_its_segment(film: Path, negative: Analyzed) -> None:
    found = dicom_results(read_source(film), negative).objects
    segments = {segment.TrackingUID: segment for segment in found["lungs.seg"].SegmentSequence}
    groups = hd.sr.MeasurementReport.from_sequence([found["report.sr"]]).get_planar_roi_measurement_groups()
    assert len(groups) == len(segments) == 2
    for group, lung in zip(groups, (negative.left, negative.right), strict=True):
        segment = segments[group.tracking_uid]
        assert segment.TrackingID == group.tracking_identifier
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == group.finding_type.value
        (reference,) = group[0].ContentSequence.find(codes.DCM.ReferencedSegmentationFrame)
        target = reference.ReferencedSOPSequence[0]
        assert target.ReferencedSOPInstanceUID == found["lungs.seg"].SOPInstanceUID
        assert target.ReferencedSegmentNumber == segment.SegmentNumber
        assert lung is not None
        assert [measured.value for measured in group.get_measurements(codes.SCT.Area)] == [lung.area_px]
        assert len(segment.RecommendedDisplayCIELabValue) == 3


def test_areas_from_the_detector_s_spacing_say_so(tmp_path: Path, analyzer: Analyzer) -> None:
    for name, said in (("ImagerPixelSpacing", ["detector-plane"] * 2), ("PixelSpacing", [])):
        other = {"PixelSpacing": None, "ImagerPixelSpacing": None, name: [0.6, 0.5]}
        (tmp_path / "film.dcm").write_bytes(changed(**other))
        finding = analyzer.analyze(read_radiograph(tmp_path / "film.dcm"))
        report = reported(tmp_path / "film.dcm", finding)
        assert finding.left is not None and finding.left.area_cm2 is not None
        assert (round(finding.left.area_cm2, 2), "cm2") in numbers(report, codes.SCT.Area.value)
        assert answers(report, codes.SCT.MeasurementMethod.value) == said


def test_the_order_is_named_where_the_film_names_it(film: Path, negative: Analyzed, tmp_path: Path) -> None:
    for accession in ("A17", ""):
        (tmp_path / "film.dcm").write_bytes(changed(AccessionNumber=accession))
        report = reported(tmp_path / "film.dcm", negative)
        orders = [item.AccessionNumber for item in report.get("ReferencedRequestSequence", [])]
        assert orders == ([accession] if accession else [])


def test_it_is_read_as_tid_1500(film: Path, negative: Analyzed, tmp_path: Path) -> None:
    (tmp_path / "sr.dcm").write_bytes(dicom_results(read_source(film), negative).files()["report.sr.dcm"])
    content = hd.sr.srread(tmp_path / "sr.dcm").content
    assert isinstance(content, hd.sr.MeasurementReport)
    assert len(content.get_image_measurement_groups()) == 3
    assert len(content.get_observer_contexts()) == 1
