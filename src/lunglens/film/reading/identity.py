"""By what a report finds its film again: only where the user asks for it, for it tells whose film it may be."""

from pathlib import Path
from typing import Any

from lunglens.film.language import say
from lunglens.film.reading.dicom_file import value
from lunglens.film.reading.kinds import looks_like_dicom
from lunglens.film.reading.quiet import quiet


def identity_of(path: Path, sha256: str) -> list[tuple[str, str]]:
    """Label and text: date and accession number of a DICOM film's study, as far as it has them, and its SHA-256."""
    header = _header(path)
    date = str(value(header, "StudyDate") or "").strip() if header is not None else ""
    if len(date) == 8 and date.isdigit():
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    number = str(value(header, "AccessionNumber") or "").strip() if header is not None else ""
    found = [(say("Study date"), date), (say("Accession number"), number), ("SHA-256", sha256)]
    return [(label, text) for label, text in found if text]


def _header(path: Path) -> Any:
    from pydicom import dcmread

    try:
        with quiet("pydicom"), path.open("rb") as stream:
            if not looks_like_dicom(stream.read(4096)):
                return None
            stream.seek(0)
            return dcmread(stream, stop_before_pixels=True, force=True, specific_tags=["StudyDate", "AccessionNumber"])
    except Exception:  # damaged headers raise anything, and the film itself has been read
        return None
