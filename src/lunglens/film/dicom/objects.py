"""All DICOM objects of one finding, and the film's data set that they refer to."""

import hashlib
import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from lunglens.errors import LungLensError
from lunglens.film.dicom.common import Stem, stem_of_finding, stem_of_refusal
from lunglens.film.dicom.tidy import READ, Source, raw_value, tidied
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.reading.dicom_file import mended_character_set
from lunglens.film.reading.kinds import looks_like_dicom
from lunglens.film.reading.quiet import quiet


class NoDicomSourceError(LungLensError):
    """The film is no DICOM file, or names no study that results could join."""


@dataclass(frozen=True, eq=False)
class DicomResults:
    """Name (as in DICOM_FILES, without ".dcm") -> data set, of a film that was analysed or refused."""

    objects: dict[str, Dataset]

    def files(self) -> dict[str, bytes]:
        """File name -> bytes of a DICOM file (PS3.10, explicit little endian)."""
        return {f"{name}.dcm": _file(dataset) for name, dataset in self.objects.items()}


def read_source(path: Path) -> Source:
    """What results take over from the film's header, each value made valid or left out.

    Raises:
        NoDicomSourceError: it is no DICOM file, or has no Study Instance UID.
    """
    try:
        with quiet("pydicom", "highdicom"), path.open("rb") as stream:
            if not looks_like_dicom(stream.read(4096)):
                raise NoDicomSourceError(f"{path.name}: no DICOM results: they can only be made of a DICOM film")
            header = _header(path)
            if not raw_value(header, "StudyInstanceUID").strip(b" \0"):
                raise NoDicomSourceError(
                    f"{path.name}: no DICOM results: the film has no StudyInstanceUID, so no study that they could join"
                )
            return tidied(header, lambda: hashlib.sha256(path.read_bytes()).hexdigest())
    except LungLensError:
        raise
    except Exception as error:  # damaged headers raise anything
        raise NoDicomSourceError(f"{path.name}: no DICOM results: the film's header is damaged") from error


def _header(path: Path) -> Dataset:
    only: dict[str, Any] = {"stop_before_pixels": True, "force": True, "specific_tags": list(READ)}
    try:
        return pydicom.dcmread(path, **only)
    except Exception:  # a character set that is none
        return pydicom.dcmread(io.BytesIO(mended_character_set(path.read_bytes())), **only)


def dicom_results(source: Source, finding: Analyzed | Refused) -> DicomResults:
    """Lungs, heat and outlines (if the film was not refused), the panel, the structured report.

    The same film, header, models and version give the same objects, byte for byte.

    Raises:
        NoDicomSourceError: the film's header cannot be made part of results.
    """
    stem = stem_of_finding(source, finding)
    return _made(source, lambda film: _objects(film, finding, stem))


def modalities_of(source: Source, finding: Analyzed | Refused) -> list[str]:
    """Modality of each object that `dicom_results` makes of a finding, without making them."""
    found = ["OT", "SR"]
    if isinstance(finding, Analyzed):
        found += ["SEG", *(["SEG", "OT"] if finding.heat_map is not None else [])]
        found += [] if source.shown is None else ["PR"]
    return found


def refusal_results(source: Source, reason: str, code: str = "not-a-chest-radiograph") -> DicomResults:
    """The structured report alone, on a film that was refused before it was analysed: it says so, and why.

    Args:
        source: of the film.
        reason: in words of a reader.
        code: the reason's machine word: "modality", "frames", "raw-data", "unreadable" or the default;
            others are reported as "other" (codes.py).

    Raises:
        NoDicomSourceError: the film's header cannot be made part of results.
    """
    stem = stem_of_refusal(source, reason, code)
    return _made(source, lambda film: _refusal(film, reason, code, stem))


def _objects(source: Source, finding: Analyzed | Refused, stem: Stem) -> dict[str, Dataset]:
    # highdicom takes half a second to import, and comes with the extra `serve`.
    from lunglens.film.dicom.pr import outlines_state
    from lunglens.film.dicom.sc import heat_capture, panel_capture
    from lunglens.film.dicom.seg import heat_segmentation, lungs_segmentation
    from lunglens.film.dicom.sr import report

    found: dict[str, Dataset] = {}
    if isinstance(finding, Analyzed):
        sides = finding.sides()
        found["lungs.seg"] = lungs_segmentation(source, finding, sides, stem)
        if finding.heat is not None:
            found["heat.seg"] = heat_segmentation(source, finding, finding.heat, stem)
            found["heat.sc"] = heat_capture(source, finding, finding.heat, stem)
        if source.shown is not None:
            found["outlines.pr"] = outlines_state(source, finding, sides, source.shown, stem)
    found["panel.sc"] = panel_capture(source, finding, stem)
    found["report.sr"] = report(source, finding, stem, dict(found))
    return found


def _refusal(source: Source, reason: str, code: str, stem: Stem) -> dict[str, Dataset]:
    from lunglens.film.dicom.sr import refusal_report

    return {"report.sr": refusal_report(source, reason, code, stem)}


def _made(source: Source, make: Callable[[Source], dict[str, Dataset]]) -> DicomResults:
    """Make objects; highdicom knows no private classes and asks more of some others: to it any film is a CR image."""
    try:
        with quiet("pydicom", "highdicom"):
            film = deepcopy(source)
            film.SOPClassUID = ComputedRadiographyImageStorage
            found = make(film)
            for dataset in found.values():
                _name_class(dataset, source)
            return DicomResults(found)
    except Exception as error:  # of what a header can hold, highdicom refuses more than we know of
        # Without the error's text, which may hold the value.
        raise NoDicomSourceError(f"no DICOM results: the header cannot be used ({type(error).__name__})") from error


def _name_class(dataset: Dataset, source: Source) -> None:
    """Set the film's true SOP class wherever the data set refers to the film."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _name_class(item, source)
    if dataset.get("ReferencedSOPInstanceUID") == source.SOPInstanceUID:
        dataset.ReferencedSOPClassUID = source.SOPClassUID


def _file(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()
