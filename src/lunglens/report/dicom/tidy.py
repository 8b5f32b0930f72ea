"""What results copy from a film's header, made conformant: real headers often are not."""

import re
from datetime import datetime

from pydicom.dataset import Dataset

_TYPE_2 = "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber StudyID"
_TYPE_2 += " ReferringPhysicianName"  # may be empty, may not be missing (PS3.3 C.7.1.1, C.7.2.1)
_DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate")
_TIMES = ("StudyTime", "SeriesTime", "ContentTime", "AcquisitionTime")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")


def tidied(source: Dataset) -> Dataset:
    """The same attributes in UTF-8; dates, times and sexes that are none are emptied, what must be there is there."""
    source.decode()
    source.SpecificCharacterSet = "ISO_IR 192"
    for name in _TYPE_2.split():
        if source.get(name) is None:
            setattr(source, name, "")
    for names, is_valid in ((_DATES, _is_date), (_TIMES, _is_time)):
        for name in names:
            if name in source and not is_valid(str(source[name].value or "").strip()):
                setattr(source, name, "")
    if source.PatientSex not in ("M", "F", "O"):
        source.PatientSex = ""
    return source


def _is_date(text: str) -> bool:
    try:
        return not text or (len(text) == 8 and bool(datetime.strptime(text, "%Y%m%d")))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    return not text or _TIME.fullmatch(text) is not None
