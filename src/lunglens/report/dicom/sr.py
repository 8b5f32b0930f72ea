"""Comprehensive SR by TID 1500 (PS3.16): the probability, lung areas, quality, and by which program and models."""

from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from lunglens import __version__
from lunglens.finding import NOTICE, Finding, Lung
from lunglens.report.dicom.common import LEFT_LUNG, MANUFACTURER, MODEL, RIGHT_LUNG, SCHEME, describe, uids

_PIXELS = Code("{pixels}", "UCUM", "pixels")
_DECISIONS = {
    "covid": Code("covid", SCHEME, "Like COVID-19 films, at the model's threshold"),
    "not covid": Code("not-covid", SCHEME, "Not like COVID-19 films, at the model's threshold"),
}


def report(source: Dataset, finding: Finding) -> ComprehensiveSR:
    """The finding as a structured report; of a refused film it says the reason, and nothing of COVID-19."""
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[MANUFACTURER, __version__]),
            name=f"{MODEL} {__version__}",
            manufacturer_name=MANUFACTURER,
            model_name=MODEL,
        ),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=Code("399208008", "SCT", "Plain chest X-ray"),
        imaging_measurements=_groups(source, finding),
        title=codes.DCM.ImagingMeasurementReport,
    )
    found = ComprehensiveSR(
        evidence=[source],
        content=content[0],
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        **uids(source, finding, "report"),
    )
    found.ManufacturerModelName, found.SoftwareVersions = MODEL, __version__
    describe(found, "measurements")
    return found


def _groups(source: Dataset, finding: Finding) -> list[MeasurementsAndQualitativeEvaluations]:
    images = [SourceImageForMeasurementGroup.from_source_image(source)]
    groups = [_quality(finding, images)]
    if finding.status == "refused":
        return groups
    groups.append(_covid(finding, images))
    for lung, site, words in ((finding.left, LEFT_LUNG, "left lung"), (finding.right, RIGHT_LUNG, "right lung")):
        if lung is not None and lung.area_px:
            groups.append(_lung(finding, lung, site, words, images))
    return groups


def _quality(finding: Finding, images: list[SourceImageForMeasurementGroup]) -> MeasurementsAndQualitativeEvaluations:
    accepted = Code("accepted", SCHEME, "Frontal chest radiograph with both lungs found")
    refused = Code("refused", SCHEME, f"Refused: {finding.reason}"[:64])
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("quality", finding),
        algorithm_id=_algorithm(finding, "lungs"),
        finding_type=Code("film-quality", SCHEME, "Fitness of the film for this analysis"),
        measurements=[
            Measurement(
                Code("frontal-score", SCHEME, "Score of the check for frontal chest radiographs"),
                round(float(finding.gate_score), 4),
                codes.UCUM.NoUnits,
            )
        ],
        qualitative_evaluations=[
            QualitativeEvaluation(
                Code("gate", SCHEME, "Judgement of the film"), refused if finding.status == "refused" else accepted
            ),
            *_warnings(finding),
        ],
        source_images=images,
    )


def _warnings(finding: Finding) -> list[QualitativeEvaluation]:
    return [
        QualitativeEvaluation(Code("warning", SCHEME, "Warning"), Code(f"warning-{number}", SCHEME, _meaning(warning)))
        for number, warning in enumerate(finding.warnings, 1)
    ]


def _meaning(words: str) -> str:
    """At most 64 characters of printable ASCII: Code Meaning is a Long String, in the default character set."""
    plain = words.encode("ascii", "replace").decode().replace("\\", "/")
    return plain if len(plain) <= 64 else f"{plain[:61]}..."


def _covid(finding: Finding, images: list[SourceImageForMeasurementGroup]) -> MeasurementsAndQualitativeEvaluations:
    assert finding.covid_probability is not None and finding.decision is not None  # noqa: S101 - analysed
    measurements = [
        Measurement(
            Code("covid-probability", SCHEME, "Probability of COVID-19 at the balance of training"),
            round(finding.covid_probability, 6),
            codes.UCUM.NoUnits,
        ),
        Measurement(
            Code("threshold", SCHEME, "Threshold of the decision"), float(finding.threshold or 0), codes.UCUM.NoUnits
        ),
    ]
    if finding.heat_share_in_lungs is not None:
        name = Code("heat-in-lungs", SCHEME, "Share of the heat inside the lung region")
        measurements.append(Measurement(name, round(finding.heat_share_in_lungs, 4), codes.UCUM.NoUnits))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("covid", finding),
        algorithm_id=_algorithm(finding, "classifier"),
        finding_type=Code("840539006", "SCT", "COVID-19"),
        finding_sites=[FindingSite(codes.SCT.Lung)],
        measurements=measurements,
        qualitative_evaluations=[
            QualitativeEvaluation(Code("decision", SCHEME, "Decision of the model"), _DECISIONS[finding.decision]),
            QualitativeEvaluation(Code("intended-use", SCHEME, "Intended use"), Code("research", SCHEME, NOTICE)),
        ],
        source_images=images,
    )


def _lung(
    finding: Finding, lung: Lung, site: Code, words: str, images: list[SourceImageForMeasurementGroup]
) -> MeasurementsAndQualitativeEvaluations:
    areas = [Measurement(codes.SCT.Area, lung.area_px, _PIXELS)]
    if lung.area_cm2 is not None:
        areas.append(Measurement(codes.SCT.Area, round(lung.area_cm2, 2), codes.UCUM.SquareCentimeter))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(words, finding),
        algorithm_id=_algorithm(finding, "lungs"),
        finding_type=codes.SCT.AnatomicalStructure,
        finding_sites=[FindingSite(site)],
        measurements=areas,
        source_images=images,
    )


def _tracking(what: str, finding: Finding) -> TrackingIdentifier:
    uid = generate_uid(entropy_srcs=[finding.radiograph.sha256, str(sorted(finding.models.items())), what])
    return TrackingIdentifier(uid=uid, identifier=what)


def _algorithm(finding: Finding, model: str) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=f"LungLens {finding.models[model]}", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
