"""A finding as DICOM objects of its film's study: segmentations, presentation state, SR, pictures (extra `serve`)."""

# Here, for whoever makes no such object needs the names alone, without half a second of imports.
DICOM_FILES = ("lungs.seg.dcm", "heat.seg.dcm", "outlines.pr.dcm", "report.sr.dcm", "panel.sc.dcm", "heat.sc.dcm")
