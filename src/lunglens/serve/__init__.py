"""LungLens for other programs and for people who read images: web page, API, DICOM node (extra `serve`, no torch)."""
