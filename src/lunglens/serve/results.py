"""What the analysing process does for the DICOM node: a film's results as files beside it, whatever the film is."""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

from lunglens.errors import LungLensError, NotAChestRadiographError
from lunglens.files import reason_of, write_bytes
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import NoDicomSourceError, dicom_results, read_source, refusal_results
from lunglens.film.dicom.tidy import Source
from lunglens.film.radiograph import Limits, read_radiograph
from lunglens.serve.worker import FILM, Answer

log = logging.getLogger("lunglens.node")


def write_results(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """Write all DICOM results of `film` into its folder; where it cannot be analysed, a report that says why.

    Returns:
        "analyzed", "refused" (it is no frontal chest film), "failed" (it cannot be read or written of), or "again"
        where the disk is at fault. Of what is not analysed there may be no file: the film's header says too little.
    """
    try:
        source = read_source(folder / FILM)
    except NoDicomSourceError as error:
        return Answer("failed", reason_of(error, folder / FILM))
    study = hashed(source.StudyInstanceUID)
    try:
        status, reason, files = _results(folder / FILM, source, analyzer, limits)
        for name, content in files.items():
            write_bytes(folder / name, content)
    except OSError as error:
        return Answer("again", f"the results cannot be kept ({error.strerror})", study=study)
    return Answer(status, reason, study=study)


def tell(folder: Path, reason: str) -> Answer:
    """Write a report that says that the film was not analysed, and why; only its header is read."""
    try:
        for name, content in _told(read_source(folder / FILM), reason, "unreadable").items():
            write_bytes(folder / name, content)
    except OSError as error:
        return Answer("again", f"the results cannot be kept ({error.strerror})")
    return Answer("done")


def hashed(uid: object) -> str:
    """The first 12 hex digits of the SHA-256 of a UID: who has the UID can find it in the log, who has not cannot."""
    text = str(uid or "").strip(" \0")
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12] if text else ""


def _results(
    film: Path, source: Source, analyzer: Analyzer, limits: Limits
) -> tuple[str, str | None, dict[str, bytes]]:
    """Status, reason and files."""
    try:
        finding = analyzer.analyze(read_radiograph(film, limits))
        return finding.status, finding.reason, dicom_results(source, finding).files()
    except NotAChestRadiographError as error:
        reason = reason_of(error, film)
        return "refused", reason, _told(source, reason, error.code)
    except LungLensError as error:
        reason = reason_of(error, film)
    except MemoryError:
        reason = "not enough memory for this image"
    except OSError:
        raise
    except Exception as error:  # its text may hold what the file says of the patient
        log.error("an analysis has failed: %s", type(error).__name__)
        reason = "it could not be analysed: the program has met what it does not know"
    return "failed", reason, _told(source, reason, "unreadable")


def _told(source: Source, reason: str, code: str) -> dict[str, bytes]:
    """A report on a film without a finding; none where the header does not allow one."""
    with suppress(NoDicomSourceError):
        return refusal_results(source, reason, code=code).files()
    return {}
