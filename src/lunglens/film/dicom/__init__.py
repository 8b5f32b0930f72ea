"""A finding as DICOM objects of its film's study: Segmentation, Comprehensive SR, Secondary Capture (extra `serve`)."""

from lunglens.film.dicom.objects import (
    DICOM_FILES,
    DicomResults,
    NoDicomSourceError,
    dicom_results,
    modalities_of,
    read_source,
    refusal_results,
)

__all__ = [
    "DICOM_FILES",
    "DicomResults",
    "NoDicomSourceError",
    "dicom_results",
    "modalities_of",
    "read_source",
    "refusal_results",
]
