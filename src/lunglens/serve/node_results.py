"""What the analysing process does for the DICOM node: a film's results as files beside it, whatever the film is."""

from contextlib import suppress
from pathlib import Path

from lunglens.files import write_bytes
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom.objects import NoDicomSourceError, dicom_results, read_source, refusal_results
from lunglens.film.dicom.tidy import Source
from lunglens.film.radiograph import Limits, read_radiograph
from lunglens.serve.facts import hashed
from lunglens.serve.task import FILM, Answer, failure
from lunglens.text import reason_of


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
        answer, files = _results(folder / FILM, source, analyzer, limits)
        for name, content in files.items():
            write_bytes(folder / name, content)
    except OSError as error:
        return Answer("again", f"the results cannot be kept ({error.strerror})", study=study)
    return answer._replace(study=study)


def tell(folder: Path, reason: str) -> Answer:
    """Write a report that says that the film was not analysed, and why; only its header is read."""
    try:
        for name, content in _refusal(read_source(folder / FILM), reason, "unreadable").items():
            write_bytes(folder / name, content)
    except OSError as error:
        return Answer("again", f"the results cannot be kept ({error.strerror})")
    return Answer("done")


def _results(film: Path, source: Source, analyzer: Analyzer, limits: Limits) -> tuple[Answer, dict[str, bytes]]:
    """The answer, and the files that are to be written."""
    try:
        finding = analyzer.analyze(read_radiograph(film, limits))
        return Answer.of(finding), dicom_results(source, finding).files()
    except OSError:
        raise
    except Exception as error:
        answer = failure(error)
        return answer, _refusal(source, answer.reason or "", getattr(error, "code", "unreadable"))


def _refusal(source: Source, reason: str, code: str) -> dict[str, bytes]:
    """A report on a film without a finding; none where the header does not allow one."""
    with suppress(NoDicomSourceError):
        return refusal_results(source, reason, code=code).files()
    return {}
