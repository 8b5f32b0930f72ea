"""A finding as DICOM objects of its film's study: segmentations, presentation state, SR, pictures (extra `serve`)."""

from lunglens.film.dicom.objects import (
    DICOM_FILES,
    DicomResults,
    NoDicomSourceError,
    dicom_results,
    read_source,
    refusal_results,
)

__all__ = ["DICOM_FILES", "DicomResults", "NoDicomSourceError", "dicom_results", "read_source", "refusal_results"]
