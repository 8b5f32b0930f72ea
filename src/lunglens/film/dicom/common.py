"""What the DICOM objects share: who made them, their UIDs, their times."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from lunglens.film.about import NOTICE, __version__
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed, Finding, Refused

MANUFACTURER = "LungLens"
MODEL = "LungLens"
SERIAL = "none"  # a program has none; the attribute may not be empty
# Tracking identifiers; those of the lungs with their code.
LEFT = ("left lung", Code("44029006", "SCT", "Left lung structure"))
RIGHT = ("right lung", Code("3341006", "SCT", "Right lung structure"))
CLASSIFIER, FILM, SEVERITY = "classifier", "film", "severity"
# Series numbers, above what devices use.
NUMBERS = {"lungs": 9101, "heat": 9102, "report": 9103, "panel": 9104, "outlines": 9105, "heat over the film": 9106}
_TIMES = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
_NO_DATE = "19000101"  # where the header has none and the standard asks for one


@dataclass(frozen=True)
class Stem:
    """What all UIDs of one film's results grow from: a digest of everything that the results depend on.

    Same film, header, models and version: same UIDs, and the same bytes under them. Anything else: other UIDs.
    """

    digest: str

    def uid(self, *what: str) -> str:
        """The UID of something that these results hold."""
        return str(generate_uid(entropy_srcs=[self.digest, *what]))

    def tracking(self, what: str) -> dict[str, str]:
        """Tracking identifier and UID, the same in segment and report."""
        return {"identifier": what, "uid": self.uid("tracking", what)}

    def instance(self, kind: str) -> dict[str, Any]:
        """Series and instance UIDs and numbers of one kind of object, as highdicom's constructors take them."""
        return {
            "series_instance_uid": self.uid(kind, "series"),
            "sop_instance_uid": self.uid(kind, "instance"),
            "series_number": NUMBERS[kind],
            "instance_number": 1,
        }


def stem_of_finding(source: Source, finding: Analyzed | Refused) -> Stem:
    """The stem of an analysed or gate-refused film's results; the time that the analysis took is no part of it."""
    content = finding.to_dict()
    content.pop("seconds")
    content["film"].pop("sha256")  # another encoding of the same film and header has the same results
    drawn = (finding.lungs, finding.region_square, finding.heat) if isinstance(finding, Analyzed) else ()
    parts = [array.tobytes() for array in (finding.radiograph.pixels, *drawn) if array is not None]
    return _stem(source, json.dumps(content, sort_keys=True).encode(), *parts)


def stem_of_refusal(source: Source, reason: str, code: str) -> Stem:
    """The stem of the report on a film that was refused by its header."""
    return _stem(source, __version__.encode(), code.encode(), reason.encode())


def _stem(source: Source, *parts: bytes) -> Stem:
    digest = hashlib.blake2b(repr([(element.keyword, str(element.value)) for element in source]).encode())
    shown = b"" if source.shown is None else source.shown.to_json().encode()
    for part in (*(note.encode() for note in source.repairs), shown, *parts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Stem(digest.hexdigest())


def made_by() -> dict[str, Any]:
    """The manufacturer's attributes as highdicom's constructors take them."""
    return {"manufacturer": MANUFACTURER, "manufacturer_model_name": MODEL, "software_versions": __version__}


def algorithm(finding: Finding, part: str) -> dict[str, Any]:
    """The model of a part as highdicom's constructors take it."""
    return {
        "name": f"LungLens {finding.models[part]}",
        "version": __version__,
        "family": codes.DCM.ArtificialIntelligence,
    }


def finish(dataset: Dataset, source: Source, words: str) -> None:
    """Name the series, say in it that it is for research, and give it the film's time in place of the clock's.

    The clock would make every repeat another object; the standard has no place for "computed, at any time, from".
    """
    dataset.SeriesDescription = f"LungLens: {words} (research only)"[:64]
    dataset.ContentQualification = "RESEARCH"
    if "PixelData" in dataset:
        dataset.ImageComments = NOTICE
    day, clock = _time_of(source)
    dataset.SeriesDate = dataset.ContentDate = day
    dataset.SeriesTime = dataset.ContentTime = clock
    del dataset.InstanceCreationDate, dataset.InstanceCreationTime
    for item in dataset.get("ContributingEquipmentSequence", []):
        if item.get("ManufacturerModelName") == "highdicom":
            del item.ContributionDateTime


def _time_of(source: Source) -> tuple[str, str]:
    for day, clock in _TIMES:
        if source.get(day):
            return str(source[day].value), str(source.get(clock) or "000000")
    return _NO_DATE, "000000"
