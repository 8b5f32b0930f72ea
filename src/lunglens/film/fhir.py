"""A finding as FHIR R4 (hl7.org/fhir/R4): a DiagnosticReport and its Observations; nothing of it names the patient."""

import uuid
from collections.abc import Iterator
from typing import Any

from lunglens.film.finding_record import FindingRecord, LungRecord
from lunglens.film.model_package.record import AnswerSettings

SCT, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
_IMAGING = {"system": LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}
_LUNGS = {"right": ("3341006", "Right lung structure"), "left": ("44029006", "Left lung structure")}
_SCHEMES = {"SCT": SCT, "LN": LOINC}
Resource = dict[str, Any]


def fhir_of(record: FindingRecord, answer: AnswerSettings, made: str) -> Resource:
    """A Bundle (collection): Device, Observations, and the report that joins them, all preliminary.

    Args:
        record: of an analyzed or refused film; of a refused one the report has the reason alone.
        answer: what the classifier's package says of its classes.
        made: when, as FHIR writes an instant.
    """
    device = _entry(
        "Device",
        deviceName=[{"name": "LungLens", "type": "manufacturer-name"}],
        version=[{"value": f"LungLens {record.lunglens_version}"}, *({"value": v} for v in record.models.values())],
        note=[{"text": record.notice}],
    )
    shared = {"status": "preliminary", "device": {"reference": device["fullUrl"]}, "effectiveDateTime": made}
    observations = [_entry("Observation", **shared, **parts) for parts in _observed(record, answer)]
    report = _entry(
        "DiagnosticReport",
        status="preliminary",
        code={"coding": [_IMAGING], "text": "Automated reading of a chest radiograph, for research"},
        effectiveDateTime=made,
        issued=made,
        result=[{"reference": one["fullUrl"]} for one in observations],
        conclusion=_conclusion(record, answer),
    )
    return {"resourceType": "Bundle", "type": "collection", "timestamp": made, "entry": [report, device, *observations]}


def _entry(kind: str, **content: Any) -> Resource:
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": {"resourceType": kind} | {k: v for k, v in content.items() if v},
    }


def _observed(record: FindingRecord, answer: AnswerSettings) -> Iterator[Resource]:
    coded = {entry.name: _concept(entry.words, entry.code) for entry in answer.classes}
    for name, probability in (record.probabilities or {}).items():
        yield {
            "code": {"text": f"Probability of {coded[name]['text']}"},
            "valueQuantity": _quantity(probability, "1", ""),
        }
    if record.decision is not None:
        decided = {"code": {"text": "Decision of the classifier"}}
        if record.decision in coded:
            yield decided | {"valueCodeableConcept": coded[record.decision]}
        else:
            yield decided | {"dataAbsentReason": {"text": f"{record.decision}: {', '.join(record.withheld or ())}"}}
    if record.opacity is not None:
        yield {
            "code": {"text": "Probability of any opacity"},
            "valueQuantity": _quantity(record.opacity.probability, "1", ""),
        }
    if record.severity is not None:
        text = "Brixia score, estimated, if it is COVID-19 (0 to 18)"
        yield {"code": {"text": text}, "valueQuantity": _quantity(record.severity.sum, "{score}", "of 18")}
    for side, (code, display) in _LUNGS.items():
        lung: LungRecord | None = getattr(record.lungs, side)
        if lung is not None:
            site = {"coding": [{"system": SCT, "code": code, "display": display}]}
            yield {"code": {"text": "Projected area of the lung"}, "bodySite": site, "valueQuantity": _area(lung)}


def _area(lung: LungRecord) -> Resource:
    if lung.area_cm2 is None:
        return _quantity(lung.area_px, "{pixels}", "pixels")
    return _quantity(lung.area_cm2, "cm2", "cm2")


def _quantity(value: float, code: str, unit: str) -> Resource:
    return {"value": value, "system": UCUM, "code": code} | ({"unit": unit} if unit else {})


def _concept(words: str, code: Any) -> Resource:
    if code is None or code.scheme not in _SCHEMES:
        return {"text": words}
    return {"coding": [{"system": _SCHEMES[code.scheme], "code": code.value, "display": code.meaning}], "text": words}


def _conclusion(record: FindingRecord, answer: AnswerSettings) -> str:
    if record.status == "refused":
        return f"Refused: {record.reason}. {record.notice}"
    words = {entry.name: entry.words for entry in answer.classes}
    said = words.get(record.decision or "", record.decision)
    return f"Called {said}. {' '.join(f'{warning}.' for warning in record.warnings)} {record.notice}"
