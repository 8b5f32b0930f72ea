"""Segmentation (PS3.3 A.51): left and right lung as binary segments, the heat-map as a fractional one."""

from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from lunglens import __version__
from lunglens.finding import Finding
from lunglens.gate.judge import lung_sides
from lunglens.report.dicom.common import LEFT_LUNG, RIGHT_LUNG, SERIAL, describe, made_by, uids

STEPS = 255  # of the fractional segment
_SPATIAL = codes.SCT.SpatialAndRelationalConcept


def lungs_segmentation(source: Dataset, finding: Finding) -> Segmentation:
    """The lungs as the network saw them: segment 1 the patient's left, segment 2 the right, each if it was found.

    Raises:
        ValueError: the finding has no lungs: its film was refused.
    """
    if finding.lungs is None:
        raise ValueError("a refused film has no lungs to write")
    sides = zip(lung_sides(finding.lungs), ("Left lung", "Right lung"), (LEFT_LUNG, RIGHT_LUNG), strict=True)
    found = [(mask, label, code) for mask, label, code in sides if mask.any()]
    segments = [
        SegmentDescription(
            number,
            label,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=code,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=_algorithm(finding, "lungs"),
        )
        for number, (_, label, code) in enumerate(found, 1)
    ]
    return _segmentation(
        source,
        finding,
        "lungs",
        np.stack([mask for mask, _, _ in found], axis=-1)[None],
        segments,
        segmentation_type=SegmentationTypeValues.BINARY,
    )


def heat_segmentation(source: Dataset, finding: Finding) -> Segmentation:
    """Where the classifier found evidence for COVID-19, relative to the strongest place on this film: no probability.

    Raises:
        ValueError: the finding has no heat-map: its film was refused.
    """
    if finding.heat is None:
        raise ValueError("a refused film has no heat-map to write")
    segment = SegmentDescription(
        1,
        "Evidence for COVID-19, relative",
        segmented_property_category=_SPATIAL,
        segmented_property_type=codes.DCM.VisualExplanation,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm(finding, "classifier"),
    )
    return _segmentation(
        source,
        finding,
        "heat",
        finding.heat[None, :, :, None].astype(np.float32),
        [segment],
        segmentation_type=SegmentationTypeValues.FRACTIONAL,
        # The standard offers PROBABILITY and OCCUPANCY; a share of the strongest evidence is nearer to the latter.
        fractional_type=SegmentationFractionalTypeValues.OCCUPANCY,
        max_fractional_value=STEPS,
    )


def _segmentation(
    source: Dataset, finding: Finding, kind: str, pixels: np.ndarray, segments: list[SegmentDescription], **how: Any
) -> Segmentation:
    found = Segmentation(
        [source],
        pixels,
        segment_descriptions=segments,
        device_serial_number=SERIAL,
        content_description={"lungs": "Lung fields", "heat": "Heat-map of the classifier"}[kind],
        content_label=kind.upper(),
        omit_empty_frames=False,
        **made_by(),
        **uids(source, finding, kind),
        **how,
    )
    _mend(found, source, finding)
    describe(found, {"lungs": "lung fields", "heat": "heat-map"}[kind])
    return found


def _mend(found: Segmentation, source: Dataset, finding: Finding) -> None:
    """What highdicom leaves open for films without a frame of reference."""
    found.PatientOrientation = source.get("PatientOrientation")  # type 2C: empty where the film does not say
    shared = found.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0] if "PixelMeasuresSequence" in shared else None
    if measures is not None and finding.radiograph.spacing_mm is None:
        del shared.PixelMeasuresSequence  # it would say 0 mm
    elif measures is not None:
        measures.PixelSpacing = list(finding.radiograph.spacing_mm or ())


def _algorithm(finding: Finding, model: str) -> AlgorithmIdentificationSequence:
    return AlgorithmIdentificationSequence(
        name=f"LungLens {finding.models[model]}",
        family=codes.DCM.ArtificialIntelligence,
        version=__version__,
        source="LungLens",
    )
