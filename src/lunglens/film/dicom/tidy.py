"""What results take over from a film's header: a short list, each value valid whatever the header holds.

Nothing else is copied, so that nothing else of a header can spoil the results. docs/dicom-conformance.md has the rules.
"""

from collections.abc import Callable
from functools import partial

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

from lunglens.film.dicom import text
from lunglens.film.dicom.shown import SHOWN, shown

_Rule = Callable[[str], str]
_SH, _LO = text.identifier(16), text.identifier(64)

# What must be there, if only empty (PS3.3 C.7.1.1, C.7.2.1).
_TYPE_2: dict[str, _Rule] = {
    "PatientName": text.person,
    "PatientID": _LO,
    "PatientBirthDate": text.date,
    "PatientSex": text.sex,
    "StudyDate": text.date,
    "StudyTime": text.time,
    "AccessionNumber": _SH,
    "StudyID": _SH,
    "ReferringPhysicianName": text.person,
}
# What is left out where it is empty.
_TYPE_3: dict[str, _Rule] = {
    "IssuerOfPatientID": _LO,
    "PatientAge": text.age,
    "PatientSize": text.decimal,
    "PatientWeight": text.decimal,
    "PatientIdentityRemoved": text.yes_or_no,
    "DeidentificationMethod": text.description,
    "StudyDescription": text.description,
    "Modality": text.code_string,
    "Manufacturer": text.description,
    "ManufacturerModelName": text.description,
    "DeviceSerialNumber": _LO,
    "SoftwareVersions": text.description,
    "InstitutionName": text.description,
    "StationName": _SH,
    "AcquisitionDate": text.date,
    "AcquisitionTime": text.time,
    "ContentDate": text.date,
    "ContentTime": text.time,
    "SeriesDate": text.date,
    "SeriesTime": text.time,
    "PatientOrientation": text.orientation,
    "FrameOfReferenceUID": text.uid,
}
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
COPIED = (*_TYPE_2, *_TYPE_3, *_IDENTIFIERS, "SpecificCharacterSet")
READ = (*COPIED, *SHOWN)


class Source(Dataset):
    """The attributes of a film that results take over, all valid; `repairs` says in words what was not.

    shown: how its gray values are to be shown; None of a colour film.
    """

    repairs: tuple[str, ...] = ()
    shown: Dataset | None = None


def tidied(header: Dataset, digest: Callable[[], str]) -> Source:
    """The copied attributes in UTF-8.

    Args:
        header: as read; it must hold a Study Instance UID.
        digest: gives a hash of the file, from which a missing SOP Instance UID is made.
    """
    encodings = text.encodings_of(raw_value(header, "SpecificCharacterSet").decode("ascii", "replace"))
    found, left_out = Source(), list[str]()
    found.SpecificCharacterSet = "ISO_IR 192"
    for name, rule in (_TYPE_2 | _TYPE_3).items():
        raw = raw_value(header, name)
        said, sure = text.decoded(raw, encodings)
        value = rule(said) if sure or rule not in (_SH, _LO) else ""
        if not value and said.strip(" \0^=\\"):
            left_out.append(name)
        if value or name in _TYPE_2:
            setattr(found, name, value.split("\\") if rule is text.orientation else value)
    _complete(found)
    notes = [_words("not valid in the film's header and left out", left_out)] if left_out else []
    found.repairs = (*notes, *_identify(found, header, digest))
    found.shown = shown(header)
    return found


def _identify(found: Source, header: Dataset, digest: Callable[[], str]) -> list[str]:
    """Set the identifiers; what replaces one follows from it, so that films of one study keep together."""
    replaced = []
    meta = getattr(header, "file_meta", Dataset())
    written = {name: raw_value(header, name) for name in _IDENTIFIERS}
    stand_ins: dict[str, Callable[[], str]] = {
        "StudyInstanceUID": partial(_made_from, written["StudyInstanceUID"].hex(), "study"),
        "SeriesInstanceUID": lambda: _made_from(written["SeriesInstanceUID"].hex(), found.StudyInstanceUID, "series"),
        "SOPInstanceUID": lambda: (
            text.uid(raw_value(meta, "MediaStorageSOPInstanceUID").decode("ascii", "replace"))
            or _made_from(written["SOPInstanceUID"].hex() or digest(), "instance")
        ),
        "SOPClassUID": lambda: (
            text.uid(raw_value(meta, "MediaStorageSOPClassUID").decode("ascii", "replace"))
            or str(ComputedRadiographyImageStorage)
        ),
    }
    for name, stand_in in stand_ins.items():
        value = text.uid(written[name].decode("ascii", "replace"))
        if not value:
            replaced.append(name)
        setattr(found, name, value or stand_in())
    return [_words("missing or not valid in the film's header and replaced", replaced)] if replaced else []


def _made_from(*seeds: str) -> str:
    return str(generate_uid(entropy_srcs=list(seeds)))


def raw_value(header: Dataset, name: str) -> bytes:
    """A value's bytes; b'' where there is none, or where it is no text (a sequence)."""
    tag = tag_for_keyword(name)
    assert tag is not None  # noqa: S101 - our own table
    element = header.get_item(tag)
    value = None if element is None else element.value
    if isinstance(element, RawDataElement) or isinstance(value, bytes):
        return value or b""
    if value is None or isinstance(value, Sequence):
        return b""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join(str(part) for part in parts).encode()


def _complete(found: Source) -> None:
    """De-identified data stay marked as such, which asks for a method (PS3.3 C.7.1.1, type 1C)."""
    if found.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in found:
        found.DeidentificationMethod = "Not stated by the header of the film"


def _words(what: str, names: list[str]) -> str:
    titles = [dictionary_description(name) for name in names]
    return f"{what}: {', '.join(titles)}"
