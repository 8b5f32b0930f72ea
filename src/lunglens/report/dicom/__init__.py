"""A finding as DICOM objects of its film's study: Segmentation, Comprehensive SR, Secondary Capture (extra `serve`)."""

from lunglens.report.dicom.objects import DicomResults, NoDicomSourceError, dicom_results, read_source

__all__ = ["DicomResults", "NoDicomSourceError", "dicom_results", "read_source"]
