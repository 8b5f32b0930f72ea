"""All DICOM objects of one finding, and the film's data set that they refer to."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from lunglens.errors import LungLensError
from lunglens.finding import Finding
from lunglens.report.dicom.tidy import tidied

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")


DICOM_FILES = ("lungs.seg.dcm", "heat.seg.dcm", "report.sr.dcm", "panel.sc.dcm")


class NoDicomSourceError(LungLensError):
    """The film is no DICOM file, or lacks the identifiers by which results could join its study."""


@dataclass(frozen=True, eq=False)
class DicomResults:
    """Name ("lungs.seg", "heat.seg", "report.sr", "panel.sc") -> data set, of a film that was analysed or refused."""

    objects: dict[str, Dataset]

    def files(self) -> dict[str, bytes]:
        """File name -> bytes of a DICOM file (PS3.10, explicit little endian)."""
        return {f"{name}.dcm": _file(dataset) for name, dataset in self.objects.items()}


def read_source(path: Path) -> Dataset:
    """The film's attributes without its pixels.

    Raises:
        NoDicomSourceError: it is no DICOM file, or its identifiers are missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            missing = [name for name in _NEEDED if not source.get(name)]
    except Exception as error:  # damaged headers raise anything
        raise NoDicomSourceError(f"{path.name}: no DICOM file: DICOM results need one ({error})") from error
    if missing:
        raise NoDicomSourceError(f"{path.name}: no DICOM results: the film has no {', '.join(missing)}")
    return tidied(source)


def dicom_results(source: Dataset, finding: Finding) -> DicomResults:
    """Segmentations of lungs and heat (if the film was not refused), the structured report, the panel.

    Raises:
        NoDicomSourceError: the film's header cannot be made part of results.
    """
    try:
        return DicomResults(_objects(source, finding))
    except Exception as error:  # of what a header can hold, highdicom refuses more than we know of
        # Without the error's text, which may hold the value.
        raise NoDicomSourceError(f"no DICOM results: the header cannot be used ({type(error).__name__})") from error


def _objects(source: Dataset, finding: Finding) -> dict[str, Dataset]:
    # highdicom takes half a second to import, and comes with the extra `serve`.
    from lunglens.report.dicom.sc import panel_capture
    from lunglens.report.dicom.seg import heat_segmentation, lungs_segmentation
    from lunglens.report.dicom.sr import report

    found: dict[str, Dataset] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom on values of the source that it copies
        if finding.status == "analyzed":
            found["lungs.seg"] = lungs_segmentation(source, finding)
            found["heat.seg"] = heat_segmentation(source, finding)
        found["report.sr"] = report(source, finding)
        found["panel.sc"] = panel_capture(source, finding)
    return found


def _file(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()
