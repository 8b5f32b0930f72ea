"""FHIR: valid resources (by HL7's definitions, `fhir.resources`), the same numbers, and no patient."""

import json
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle

import lunglens
from lunglens.film.analyzer import Analyzer
from lunglens.film.fhir import fhir_of
from lunglens.film.radiograph import read_radiograph

MADE = "2026-11-27T00:00:00+00:00"


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "refused"])
def test_a_bundle_is_valid_and_says_what_the_finding_says(name: str, rg_folder: Path, analyzer: Analyzer) -> None:
    film = read_radiograph(rg_folder / "RG1_UNCR.dcm")
    finding = analyzer.analyze(film.pixels * 0 if name == "refused" else film)
    record, answer = finding.record(), analyzer.classifier.parameters.answer
    content = fhir_of(record, answer, MADE)
    bundle = Bundle.model_validate(content)
    report, device, *observations = [entry.resource for entry in bundle.entry]
    assert report.get_resource_type() == "DiagnosticReport"
    assert "Not a medical device" in report.conclusion
    assert device.version[0].value == f"LungLens {lunglens.__version__}"
    said = {one.code.text: one for one in observations}
    if record.status == "refused":
        assert not observations
        assert record.reason and record.reason in report.conclusion
        return
    assert [reference.reference for reference in report.result] == [entry.fullUrl for entry in bundle.entry[2:]]
    assert float(said["Probability of COVID-19"].valueQuantity.value) == record.covid_probability
    words = {entry.name: entry.words for entry in answer.classes}
    decided = said["Decision of the classifier"]
    if record.decision in words:
        assert decided.valueCodeableConcept.text == words[record.decision]
    areas = [float(one.valueQuantity.value) for one in observations if one.code.text == "Projected area of the lung"]
    assert record.lungs.right and record.lungs.left
    assert areas == [record.lungs.right.area_px, record.lungs.left.area_px]
    text = json.dumps(content)
    for secret in ("CompressedSamples", "9RG1", "1.3.6.1.4.1.5962", '"subject"', "Patient"):
        assert secret not in text
