"""What the DICOM objects share: who made them, their UIDs, and codes."""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from lunglens import __version__
from lunglens.finding import NOTICE, Finding

MANUFACTURER = "LungLens"
MODEL = "LungLens"
SERIAL = "none"  # a program has none; the attribute may not be empty
SCHEME = "99LUNGLENS"  # private codes, where DICOM, SNOMED CT and UCUM have none
LEFT_LUNG = Code("44029006", "SCT", "Left lung structure")
RIGHT_LUNG = Code("3341006", "SCT", "Right lung structure")
NUMBERS = {"lungs": 9101, "heat": 9102, "report": 9103, "panel": 9104}  # series numbers, above what devices use


def made_by() -> dict[str, Any]:
    """The manufacturer's attributes as highdicom's constructors take them."""
    return {"manufacturer": MANUFACTURER, "manufacturer_model_name": MODEL, "software_versions": __version__}


def uids(source: Dataset, finding: Finding, kind: str) -> dict[str, Any]:
    """Series and instance UIDs and numbers of one kind of object.

    They follow from the film, the models and the version: the same answer sent twice is the same instance.
    """
    seeds = [str(source.SOPInstanceUID), str(sorted(finding.models.items())), __version__, kind]
    return {
        "series_instance_uid": generate_uid(entropy_srcs=[*seeds, "series"]),
        "sop_instance_uid": generate_uid(entropy_srcs=[*seeds, "instance"]),
        "series_number": NUMBERS[kind],
        "instance_number": 1,
    }


def describe(dataset: Dataset, words: str) -> None:
    """Name the series, and say in it that it is for research."""
    dataset.SeriesDescription = f"LungLens: {words} (research only)"[:64]
    dataset.ContentQualification = "RESEARCH"
    if "ImageComments" not in dataset and "PixelData" in dataset:
        dataset.ImageComments = NOTICE
