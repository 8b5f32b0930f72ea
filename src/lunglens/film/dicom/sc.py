"""Secondary Capture (PS3.3 A.8.1) of the panel, RGB."""

from dataclasses import replace

import numpy as np
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage

from lunglens.film.dicom.common import MANUFACTURER, Stem, finish
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.picture.panel import draw_panel

TITLE = "LungLens"  # never the file's name, which may hold the patient's


def panel_capture(source: Source, finding: Analyzed | Refused, stem: Stem) -> SCImage:
    """The panel as a picture that any viewer shows; without the seconds, so that a repeat is the same picture."""
    pixels = np.asarray(draw_panel(replace(finding, seconds={}), TITLE).convert("RGB"), np.uint8)
    found = SCImage.from_ref_dataset(
        source,
        pixels,
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),
        manufacturer=MANUFACTURER,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **stem.instance("panel"),
    )
    found.copy_patient_and_study_information(source)
    if isinstance(finding, Refused):
        found.PatientOrientation, found.Laterality = [], ""  # types 2C: nobody knows
    else:
        found.BodyPartExamined = "CHEST"  # unpaired, so there is no Laterality
    finish(found, source, "panel")
    found.DateOfSecondaryCapture, found.TimeOfSecondaryCapture = found.ContentDate, found.ContentTime
    return found
