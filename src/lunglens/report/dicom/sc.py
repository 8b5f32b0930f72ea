"""Secondary Capture (PS3.3 A.8.1) of the panel, RGB."""

import numpy as np
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from lunglens.finding import Finding
from lunglens.report.dicom.common import MANUFACTURER, describe, uids
from lunglens.report.panel import draw_panel

TITLE = "LungLens"  # never the file's name, which may hold the patient's


def panel_capture(source: Dataset, finding: Finding) -> SCImage:
    """The panel as a picture that any viewer shows."""
    pixels = np.asarray(draw_panel(finding, TITLE).convert("RGB"), np.uint8)
    found = SCImage.from_ref_dataset(
        source,
        pixels,
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),
        manufacturer=MANUFACTURER,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **uids(source, finding, "panel"),
    )
    found.Laterality = ""  # type 2C: both sides are shown
    describe(found, "panel")
    return found
