"""DICOMweb Store (STOW-RS, PS3.18 10.5): a multipart/related body of DICOM files, and its answer in DICOM JSON."""

import warnings
from email.message import Message
from pathlib import Path
from typing import Any

import pydicom
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

CANNOT_UNDERSTAND = 0xC000
MOST_PARTS = 1000


class NotStowError(Exception):
    """The request is no multipart/related body of DICOM files."""


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/related; type="application/dicom" content type.

    Raises:
        NotStowError: it is of another type, or has no boundary.
    """
    message = Message()
    message["content-type"] = content_type
    boundary, kind = message.get_param("boundary"), message.get_param("type")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise NotStowError('send multipart/related; type="application/dicom"; boundary=...')
    if kind is not None and kind != "application/dicom":
        raise NotStowError(f"parts of type {kind} are not taken, only application/dicom")
    return boundary.encode("latin-1", "replace")


def parts_of(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts' bytes, in order.

    Raises:
        NotStowError: the body is not as its boundary says.
    """
    parts: list[list[bytes]] = []

    def begin() -> None:
        if len(parts) >= MOST_PARTS:
            raise NotStowError(f"more than {MOST_PARTS} parts")
        parts.append([])

    def data(chunk: bytes, start: int, end: int) -> None:
        parts[-1].append(chunk[start:end])

    try:
        parser = MultipartParser(boundary, {"on_part_begin": begin, "on_part_data": data})
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError) as error:
        raise NotStowError(f"the body is no multipart body ({error})") from error
    if not parts:
        raise NotStowError("the body has no part")
    return [b"".join(part) for part in parts]


def instance_of(path: Path) -> dict[str, Any] | None:
    """A stored file's SOP class, instance and study; None where it is no DICOM, or deflated.

    A deflated data set would be inflated whole, without a limit, and in the process that serves.
    """
    names = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return None
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=names)
            found = {name: str(dataset.get(name, "")) for name in names}
    except Exception:  # damaged headers raise anything
        return None
    return found if found["SOPInstanceUID"] else None


def answer(
    stored: list[tuple[dict[str, Any], str]], failed: list[tuple[dict[str, Any], int]], base: str
) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 table I.1-1); stored: instance and id of its analysis."""
    found: dict[str, Any] = {"00081190": {"vr": "UR", "Value": [base]}}
    if stored:
        items = [
            _reference(instance) | {"00081190": {"vr": "UR", "Value": [f"{base}/{id_}"]}} for instance, id_ in stored
        ]
        found["00081199"] = {"vr": "SQ", "Value": items}
    if failed:
        items = [_reference(instance) | {"00081197": {"vr": "US", "Value": [reason]}} for instance, reason in failed]
        found["00081198"] = {"vr": "SQ", "Value": items}
    return found


def _reference(instance: dict[str, Any]) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [instance.get("SOPClassUID", "")]},
        "00081155": {"vr": "UI", "Value": [instance.get("SOPInstanceUID", "")]},
    }
