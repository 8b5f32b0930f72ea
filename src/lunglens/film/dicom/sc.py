"""Secondary Capture (PS3.3 A.8.1), RGB: the panel, and the heat over the film."""

from dataclasses import replace
from typing import Any

import numpy as np
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from pydicom.valuerep import DS

from lunglens.film.dicom.common import MANUFACTURER, Stem, finish
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.picture.heat import draw_heat
from lunglens.film.picture.panel import draw_panel
from lunglens.film.preprocess import Floats

TITLE = "LungLens"  # never the file's name, which may hold the patient's
_PLAIN = {
    "photometric_interpretation": PhotometricInterpretationValues.RGB,
    "transfer_syntax_uid": ExplicitVRLittleEndian,
}
_JPEG = {
    "photometric_interpretation": PhotometricInterpretationValues.YBR_FULL_422,
    "transfer_syntax_uid": JPEGBaseline8Bit,
}


def panel_capture(source: Source, finding: Analyzed | Refused, stem: Stem) -> SCImage:
    """The panel as a picture that any viewer shows; without the seconds, so that a repeat is the same picture."""
    panel = draw_panel(replace(finding, seconds={}), TITLE).convert("RGB")
    found = _capture(source, panel, stem, "panel", **_PLAIN)
    if isinstance(finding, Refused):
        found.PatientOrientation, found.Laterality = [], ""  # types 2C: nobody knows
    else:
        found.BodyPartExamined = "CHEST"  # unpaired, so there is no Laterality
    return found


def heat_capture(source: Source, finding: Analyzed, heat: Floats, stem: Stem) -> SCImage:
    """The heat over the film, as JPEG: for looking at, and a tenth of the bytes; the heat's values are in the SEG."""
    picture = draw_heat(finding, heat)
    found = _capture(source, picture, stem, "heat over the film", **_JPEG)
    found.BodyPartExamined = "CHEST"
    found.LossyImageCompression, found.LossyImageCompressionMethod = "01", "ISO_10918_1"  # C.7.6.1.1.5
    ratio = 3 * picture.width * picture.height / len(found.PixelData)
    found.LossyImageCompressionRatio = DS(round(ratio, 2))
    return found


def _capture(source: Source, picture: Image.Image, stem: Stem, words: str, **how: Any) -> SCImage:
    found = SCImage.from_ref_dataset(
        source,
        np.asarray(picture, np.uint8),
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),
        manufacturer=MANUFACTURER,
        **how,
        **stem.instance(words),
    )
    found.copy_patient_and_study_information(source)
    finish(found, source, words)
    found.DateOfSecondaryCapture, found.TimeOfSecondaryCapture = found.ContentDate, found.ContentTime
    return found
