"""Results as a search sees them (QIDO-RS, PS3.18 10.6): records in DICOM JSON, and which of them a query means.

The analysing process writes the records; the process that serves reads no DICOM.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

Record = dict[str, dict[str, Any]]  # tag, eight hexadecimal digits -> vr and Value (PS3.18 F.2)

STUDY, INSTANCES = "study.json", "dicom.json"  # in a film's folder: a record; name of each result -> its record

# What is returned of each, and matched (tables 10.6.3-3 to 10.6.3-5, and descriptions).
_CHARACTERS = "SpecificCharacterSet"
_STUDY = [_CHARACTERS, "StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName"]
_STUDY += ["StudyDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"]
_STUDY += ["StudyID"]
_SERIES = [_CHARACTERS, "SeriesDate", "SeriesTime", "Modality", "SeriesDescription", "StudyInstanceUID"]
_SERIES += ["SeriesInstanceUID", "SeriesNumber"]
_INSTANCE = [*_SERIES, "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated"]
_INSTANCE += ["NumberOfFrames", "AvailableTransferSyntaxUID"]
_ATTRIBUTES = {"study": _STUDY, "series": _SERIES, "instance": _INSTANCE}
_RANGES = ("DA", "TM")


class BadQueryError(ValueError):
    """A query asks by what cannot be matched; the message says which."""


def study_record(source: Dataset, modalities: list[str]) -> Record:
    """Of the film's study as its results have it; modalities: of each result."""
    record: Record = _some(source.to_json_dict(), _STUDY)
    record[tag_of("ModalitiesInStudy")] = {"vr": "CS", "Value": modalities}
    return record


def instance_record(dataset: Dataset) -> Record:
    """All of a result but its pixels: the metadata of PS3.18 10.4.1.1.2; and in which transfer syntax it is kept."""
    record: Record = dataset.to_json_dict(bulk_data_element_handler=lambda _: "")
    record.pop(tag_of("PixelData"), None)
    syntax = {"vr": "UI", "Value": [str(dataset.file_meta.TransferSyntaxUID)]}
    return record | {tag_of("AvailableTransferSyntaxUID"): syntax}


def merged(records: Iterable[Record]) -> Record:
    """One record of a study's, a film each."""
    found = list(records)
    tag = tag_of("ModalitiesInStudy")
    every = [modality for record in found for modality in record[tag]["Value"]]
    count = {"vr": "IS", "Value": [len(every)]}  # a result has a series of its own
    counts = {tag_of(f"NumberOfStudyRelated{what}"): count for what in ("Series", "Instances")}
    return found[0] | {tag: {"vr": "CS", "Value": sorted(set(every))}} | counts


def shown(record: Record, level: str, url: str) -> Record:
    """What a search returns of a result. url: where it is retrieved from."""
    found = record if level == "study" else _some(record, _ATTRIBUTES[level])
    if level == "series":
        found[tag_of("NumberOfSeriesRelatedInstances")] = {"vr": "IS", "Value": [1]}
    else:
        found[tag_of("InstanceAvailability")] = {"vr": "CS", "Value": ["ONLINE"]}
    return dict(sorted((found | {tag_of("RetrieveURL"): {"vr": "UR", "Value": [url]}}).items()))


def value_of(record: Record, keyword: str) -> str:
    """An attribute's one value, as text; "" where it is empty or not there."""
    return next(iter(_texts(record, tag_of(keyword))), "")


def query_of(asked: Mapping[str, str], level: str) -> dict[str, str]:
    """Tag -> what it has to match, of the query's parameters that are attributes.

    Raises:
        BadQueryError: one is not known, or not matched at this level.
    """
    known = {tag_of(keyword) for keyword in (*_STUDY, *_ATTRIBUTES[level])}
    if level != "study":
        known.remove(tag_of("ModalitiesInStudy"))  # results have one each
    query = {}
    for name, value in asked.items():
        tag = name.upper() if re.fullmatch("[0-9A-Fa-f]{8}", name) else tag_of(name)
        if tag not in known:
            raise BadQueryError(f"{name[:64]}: no attribute that {level} results are searched by")
        query[tag] = value
    return query


def matches(record: Record, query: Mapping[str, str]) -> bool:
    """Whether a record is one that a query means (PS3.4 C.2.2.2): single values, lists of UIDs, wildcards, ranges."""
    return all(_matches(_texts(record, tag), dictionary_VR(tag), wanted) for tag, wanted in query.items())


def _matches(values: list[str], vr: str, wanted: str) -> bool:
    if wanted.strip('*"') == "":
        return True
    if vr == "UI":
        return any(value in re.split(r"[,\\]", wanted) for value in values)
    if vr in _RANGES and "-" in wanted:
        low, _, high = (part.strip() for part in wanted.partition("-"))
        return any(value[: len(low)] >= low and value[: len(high)] <= high for value in values)
    # `translate` makes patterns that a client cannot make slow; a bracket is no wildcard in DICOM.
    pattern = re.compile(translate(wanted.replace("[", "[[]")), re.IGNORECASE if vr == "PN" else 0)
    return any(pattern.match(value) for value in values)


def _texts(record: Record, tag: str) -> list[str]:
    values = record.get(tag, {}).get("Value", [])
    return [str(value.get("Alphabetic", "")) if isinstance(value, dict) else str(value) for value in values]


def _some(record: Record, keywords: Iterable[str]) -> Record:
    tags = {tag_of(keyword) for keyword in keywords}
    return {tag: element for tag, element in record.items() if tag in tags}


def tag_of(keyword: str) -> str:
    """Of an attribute as DICOM JSON has it; "" of what is none."""
    tag = tag_for_keyword(keyword)
    return "" if tag is None else f"{tag:08X}"
