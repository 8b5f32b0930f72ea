"""Segmentation (PS3.3 A.51): left and right lung as binary segments, the heat-map as a fractional one."""

from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.sr.codedict import codes

from lunglens.film.dicom.common import CLASSIFIER, LEFT, MANUFACTURER, RIGHT, SERIAL, Stem, algorithm, finish, made_by
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed
from lunglens.film.picture import colours
from lunglens.film.picture.colours import Colour
from lunglens.film.preprocess import Floats, Mask

STEPS = 255  # of the fractional segment
_HEAT: Colour = (0xED, 0x69, 0x25)  # of the panel's heat scale


def lungs_segmentation(source: Source, finding: Analyzed, lungs: tuple[Mask, Mask], stem: Stem) -> Segmentation:
    """The lungs as the network saw them: segment 1 the patient's left, segment 2 the right, each if it was found.

    lungs: left and right (`Analyzed.sides`).
    """
    left, right = lungs
    sides = ((left, *LEFT, colours.OUTLINE), (right, *RIGHT, colours.AMBER))
    found = [side for side in sides if side[0].any()]
    segments = [
        _segment(
            number,
            what.capitalize(),
            colour,
            stem.tracking(what),
            algorithm(finding, "lungs"),
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=code,
        )
        for number, (_, what, code, colour) in enumerate(found, 1)
    ]
    pixels = np.stack([mask for mask, *_ in found], axis=-1)[None]
    return _segmentation(source, finding, stem, "lungs", pixels, segments, SegmentationTypeValues.BINARY)


def heat_segmentation(source: Source, finding: Analyzed, heat: Floats, stem: Stem) -> Segmentation:
    """What the classifier's answer rests on, on its scale (`Analyzed.heat_full`): no probability, no finding.

    heat: (H, W), 0..1, of the finding.
    """
    scale = "relative" if finding.heat_full is None else f"1 is {finding.heat_full:g} log odds"
    segment = _segment(
        1,
        f"Heat-map of the classifier, {scale}",  # names no disease: negative films have one too
        _HEAT,
        stem.tracking(CLASSIFIER),
        algorithm(finding, "classifier"),
        segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
        segmented_property_type=codes.DCM.VisualExplanation,
    )
    return _segmentation(
        source,
        finding,
        stem,
        "heat",
        heat[None, :, :, None].astype(np.float32),
        [segment],
        SegmentationTypeValues.FRACTIONAL,
        # The standard offers PROBABILITY and OCCUPANCY; a share of the strongest evidence is nearer to the latter.
        fractional_type=SegmentationFractionalTypeValues.OCCUPANCY,
        max_fractional_value=STEPS,
    )


def _segment(
    number: int, label: str, colour: Colour, tracking: dict[str, str], by: dict[str, Any], **what: Any
) -> SegmentDescription:
    return SegmentDescription(
        number,
        label,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(**by, source=MANUFACTURER),
        tracking_id=tracking["identifier"],
        tracking_uid=tracking["uid"],
        display_color=CIELabColor.from_rgb(*colour),
        **what,
    )


def _segmentation(
    source: Source,
    finding: Analyzed,
    stem: Stem,
    kind: str,
    pixels: np.ndarray,
    segments: list[SegmentDescription],
    how: SegmentationTypeValues,
    **more: Any,
) -> Segmentation:
    words = {"lungs": "Lung fields", "heat": "Heat-map of the classifier"}[kind]
    source.Rows, source.Columns = finding.radiograph.pixels.shape  # as decoded: the masks are of that size
    found = Segmentation(
        [source],
        pixels,
        segmentation_type=how,
        segment_descriptions=segments,
        device_serial_number=SERIAL,
        content_description=words,
        content_label=kind.upper(),
        omit_empty_frames=False,
        **made_by(),
        **stem.instance(kind),
        **more,
    )
    _mend(found, source)
    dimensions = stem.uid(kind, "dimensions")
    for item in (*found.DimensionOrganizationSequence, *found.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    finish(found, source, words[0].lower() + words[1:])
    return found


def _mend(found: Segmentation, source: Source) -> None:
    """What highdicom leaves open for films, which have no place in a frame of reference, though perhaps its UID."""
    found.PatientOrientation = source.get("PatientOrientation")  # type 2C: empty where the film does not say
    shared = found.SharedFunctionalGroupsSequence[0]
    if "PixelMeasuresSequence" in shared:
        del shared.PixelMeasuresSequence  # of patient-relative coordinates alone (A.51.5); the film has its own
