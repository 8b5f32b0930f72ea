"""The report's measurement groups: film, classifier's answer and severity (TID 1501), each lung (TID 1410)."""

from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    ImageContentItem,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lunglens.film.about import NOTICE
from lunglens.film.abstention import REASONS
from lunglens.film.dicom.codes import class_code, private, probability_code, refusal
from lunglens.film.dicom.common import CLASSIFIER, FILM, LEFT, RIGHT, SEVERITY, Stem, algorithm
from lunglens.film.dicom.text import printable
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed, Lung, Refused
from lunglens.film.severity import ZONES, Severity
from lunglens.film.statements import SEVERITY_LIMITS, worth

Group = MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations

# CID 242 of PS3.16, and for "cannot tell" the code beside it.
_PRESENT, _ABSENT = Code("52101004", "SCT", "Present"), Code("2667000", "SCT", "Absent")
_UNDETERMINED = codes.DCM.PresenceUndetermined
_PIXELS = Code("{pixels}", "UCUM", "pixels")


def groups(source: Source, finding: Analyzed | Refused, stem: Stem, results: dict[str, Dataset]) -> list[Group]:
    """All that the report says of an analysed or gate-refused film; `results` are its segmentations, by name."""
    film = _film_of(source, finding, stem)
    if isinstance(finding, Refused):
        return [film]
    found: list[Group] = [film, _classifier(source, finding, stem, results.get("heat.seg"))]
    if finding.severity is not None:
        found.append(_severity(source, finding, finding.severity, stem))
    for lung, what, site in ((finding.left, *LEFT), (finding.right, *RIGHT)):
        segment = _segment_of(results["lungs.seg"], site, source)
        if segment is not None:
            found.append(_lung(finding, lung, site, stem.tracking(what), segment))
    return found


def film_group(
    source: Source, judgement: Code, texts: list[tuple[str, str]], tracking: dict[str, str], **more: Any
) -> Group:
    """What was found of the film itself: one judgement as a code, and everything that differs by film as text.

    texts: (private code's value, words). A refused film has this group alone.
    """
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(**tracking),
        qualitative_evaluations=[QualitativeEvaluation(private("gate"), judgement)],
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
        **more,
    )
    _say(group, [*texts, *(("warning", repair) for repair in source.repairs), ("intended-use", NOTICE)])
    return group


def _film_of(source: Source, finding: Analyzed | Refused, stem: Stem) -> Group:
    texts = [("reason", finding.reason)] if isinstance(finding, Refused) else []
    texts += [("warning", warning) for warning in finding.warnings]
    texts += [("note", note) for note in finding.radiograph.notes]
    score = Measurement(private("frontal-score"), round(float(finding.gate_score), 4), codes.UCUM.NoUnits)
    return film_group(
        source,
        refusal(finding.reason_code) if isinstance(finding, Refused) else private("accepted"),
        texts,
        stem.tracking(FILM),
        algorithm_id=AlgorithmIdentification(**algorithm(finding, "lungs")),
        measurements=[score],
    )


def _classifier(source: Source, finding: Analyzed, stem: Stem, heat: Dataset | None) -> Group:
    """The classifier's question with its coded answer; no item "Finding", which would stand for "present"."""
    numbers, answers = _answer(finding)
    if finding.opacity is not None:
        numbers.append((private("opacity-prob"), round(finding.opacity.probability, 6)))
        numbers.append((private("opacity-from"), finding.opacity.threshold))
        answers.append(QualitativeEvaluation(private("opacity"), _PRESENT if finding.opacity.is_there else _ABSENT))
    if finding.distance is not None:
        numbers.append((private("distance"), round(finding.distance, 4)))
    if finding.heat_share_in_lungs is not None:
        numbers.append((private("heat-in-lungs"), round(finding.heat_share_in_lungs, 4)))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(**stem.tracking(CLASSIFIER)),
        algorithm_id=AlgorithmIdentification(**algorithm(finding, "classifier")),
        finding_sites=[FindingSite(codes.SCT.Lung)],
        measurements=[Measurement(name, value, codes.UCUM.NoUnits) for name, value in numbers],
        qualitative_evaluations=answers,
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    if heat is not None:
        explained = ImageContentItem(
            codes.DCM.VisualExplanation,
            heat.SOPClassUID,
            heat.SOPInstanceUID,
            referenced_segment_numbers=1,
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
        group[0].ContentSequence.append(explained)
    withheld = [("withheld", REASONS[reason]) for reason in finding.withheld]
    _say(
        group,
        [
            *withheld,
            ("limits", worth(finding.classes[0].words, finding.answer.at_prevalence).text),
            ("intended-use", NOTICE),
        ],
    )
    return group


def _severity(source: Source, finding: Analyzed, severity: Severity, stem: Stem) -> Group:
    """Six zones, each with the lung it lies in, their sum, and the sum's interval."""
    sites = [site for _, site in (RIGHT, LEFT) for _ in range(len(ZONES) // 2)]
    numbers = [
        Measurement(
            private(f"brixia-{zone.lower()}"),
            round(score, 2),
            codes.UCUM.NoUnits,
            finding_sites=[FindingSite(site)],
        )
        for (zone, score), site in zip(severity.zones.items(), sites, strict=True)
    ]
    low, high = severity.interval
    for name, value in (("sum", severity.total), ("low", low), ("high", high)):
        numbers.append(Measurement(private(f"brixia-{name}"), round(value, 2), codes.UCUM.NoUnits))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(**stem.tracking(SEVERITY)),
        algorithm_id=AlgorithmIdentification(**algorithm(finding, "severity")),
        finding_sites=[FindingSite(codes.SCT.Lung)],
        measurements=numbers,
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    _say(group, [("brixia-limits", SEVERITY_LIMITS), ("intended-use", NOTICE)])
    return group


def _answer(finding: Analyzed) -> tuple[list[tuple[Code, float]], list[QualitativeEvaluation]]:
    """Numbers and what they mean: of two classes whether the first one is present, of more which is most probable."""
    of, calibrated = finding.probabilities, finding.answer.is_calibrated
    if finding.answer.threshold is None:
        numbers = [
            (probability_code(entry, calibrated=calibrated), round(of[entry.name], 6)) for entry in finding.classes
        ]
        if finding.withheld:
            return numbers, [QualitativeEvaluation(private("most-probable"), codes.SCT.Undetermined)]
        decided = next(entry for entry in finding.classes if entry.name == finding.decision)
        return numbers, [QualitativeEvaluation(private("most-probable"), class_code(decided))]
    positive = finding.classes[0]
    numbers = [(probability_code(positive, calibrated=calibrated), round(of[positive.name], 6))]
    numbers.append((private("threshold"), finding.answer.threshold))
    presence = _PRESENT if finding.decision == positive.name else _ABSENT
    if finding.withheld:
        presence = _UNDETERMINED
    if (at := finding.answer.at_prevalence) is not None:
        numbers += [(private("prevalence"), at.prevalence), (private("prob-at-prev"), round(at.probability, 6))]
    return numbers, [QualitativeEvaluation(class_code(positive), presence)]


def _lung(
    finding: Analyzed, lung: Lung, site: Code, tracking: dict[str, str], segment: ReferencedSegmentationFrame
) -> Group:
    """One lung's size, tied to its segment by the tracking UID and by reference."""
    areas = [Measurement(codes.SCT.Area, lung.area_px, _PIXELS)]
    if lung.area_cm2 is not None:
        at_detector = finding.radiograph.spacing_plane == "detector"
        method = private("detector-plane") if at_detector else None
        area = Measurement(codes.SCT.Area, round(lung.area_cm2, 2), codes.UCUM.SquareCentimeter, method=method)
        areas.append(area)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(**tracking),
        referenced_segment=segment,
        finding_category=codes.SCT.AnatomicalStructure,
        finding_type=site,
        algorithm_id=AlgorithmIdentification(**algorithm(finding, "lungs")),
        measurements=areas,
    )


def _segment_of(segmentation: Dataset, site: Code, source: Source) -> ReferencedSegmentationFrame | None:
    for segment in segmentation.SegmentSequence:
        if segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == site.value:
            image = SourceImageForSegmentation(source.SOPClassUID, source.SOPInstanceUID)
            classes = segmentation.SOPClassUID, segmentation.SOPInstanceUID
            found = ReferencedSegmentationFrame(*classes, 1, segment.SegmentNumber, image)
            del found[0].ReferencedSOPSequence[0].ReferencedFrameNumber  # the segment says it (PS3.3 C.18.4)
            return found
    return None


def _say(group: Group, texts: list[tuple[str, str]]) -> None:
    """Append whole sentences (TEXT has no limit of 64 characters, as code meanings have)."""
    for name, words in texts:
        said = printable(words) or "(no words)"  # TEXT may not be empty
        item = TextContentItem(private(name), said, relationship_type=RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(item)
