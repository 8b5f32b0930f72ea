"""What a DICOM file's header says of a film, for data sets that are published as DICOM; pixels are not read."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.film.reading.dicom_file import number, value
from lunglens.film.reading.dicom_header import Header, read_header
from lunglens.film.reading.dicom_kind import refuse_other_kinds
from lunglens.film.reading.kinds import HEAD_BYTES, looks_like_dicom
from lunglens.study.sources.registry import Problem, Problems, unfit
from lunglens.study.sources.table import years_of
from lunglens.study.sources.words import SEXES, UNKNOWN, modality_of, view_of

ELEMENTS = ["Modality", "Manufacturer", "ManufacturerModelName", "PatientID", "PatientSex", "PatientAge"]
ELEMENTS += ["SOPInstanceUID", "AccessionNumber"]
ELEMENTS += ["ViewPosition", "ViewCodeSequence", "Rows", "Columns", "PixelSpacing", "ImagerPixelSpacing"]
ELEMENTS += ["SOPClassUID", "BodyPartExamined", "AnatomicRegionSequence", "NumberOfFrames", "PresentationIntentType"]
# De-identified files often share one of these, which would make all their patients one.
NO_PATIENT = UNKNOWN | {"anonymous", "anonymized", "anonymised", "anon"}


@dataclass(frozen=True)
class FilmHeader:
    """One film; None where the header is silent or makes no sense."""

    patient: str | None = None  # code of the patient's number (`code_of`)
    instance: str | None = None  # of the file's SOPInstanceUID
    accession: str | None = None  # of the examination's AccessionNumber
    view: str | None = None
    modality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    acquisition: str | None = None
    exclude: str | None = None  # why the film is not one for the study, as far as the header tells


def read_film_header(path: Path, problems: Problems) -> FilmHeader | None:
    """Read the few elements of a DICOM file's header that describe the film.

    The patient's number is replaced by the first 16 hex digits of its SHA-256, without salt, so that names and numbers
    never land in a manifest and the same patient has the same id in every folder. That hides an id from a glance, not
    from someone who can try all numbers.

    Returns:
        None, and a problem, where the file is not DICOM, is damaged, or holds no picture.
    """
    try:
        with warnings.catch_warnings():
            # Published sets hold ages without a unit and the like, of which pydicom warns.
            warnings.simplefilter("ignore")
            return _film(_dataset(path), path, problems)
    except UnreadableImageError as error:
        problems.append(Problem(str(path), None, None, f"{error}; left out"))
    except OSError as error:
        problems.append(Problem(str(path), None, None, f"cannot be read ({error.strerror}); left out"))
    except Exception as error:  # pydicom raises almost anything on damaged files
        message = f"is a damaged DICOM file ({type(error).__name__}: {error}); left out"
        problems.append(Problem(str(path), None, None, message))
    return None


def code_of(number: str) -> str:
    """First 16 hex digits of the SHA-256 of a patient's, an examination's or a file's number."""
    return hashlib.sha256(number.strip().encode()).hexdigest()[:16]


def _dataset(path: Path) -> Any:
    from pydicom import dcmread

    with path.open("rb") as stream:
        if not looks_like_dicom(stream.read(HEAD_BYTES)):
            raise UnreadableImageError("is not a DICOM file")
        stream.seek(0)
        dataset = dcmread(stream, force=True, stop_before_pixels=True, specific_tags=[*ELEMENTS])
    if number(dataset, "Rows") is None:
        raise UnreadableImageError("is DICOM without a picture (a directory or a report)")
    return dataset


def _film(dataset: Any, path: Path, problems: Problems) -> FilmHeader:
    header = read_header(dataset)
    view, modality = view_of(header.view), modality_of(header.modality)
    patient, age = _text(dataset, "PatientID"), _text(dataset, "PatientAge")
    years = years_of(age) if age else None
    if age and years is None:
        problems.append(Problem(str(path), None, "PatientAge", f"{age!r} is not an age; taken as unknown"))
    made = (
        _text(dataset, "Manufacturer"),
        _text(dataset, "ManufacturerModelName"),
        f"view {header.view}" if header.view else None,
        f"{header.spacing_mm[0]:g} x {header.spacing_mm[1]:g} mm" if header.spacing_mm else None,
    )
    return FilmHeader(
        patient=code_of(patient) if patient and patient.casefold() not in NO_PATIENT else None,
        instance=_code(dataset, "SOPInstanceUID"),
        accession=_code(dataset, "AccessionNumber"),
        view=view,
        modality=modality,
        age_years=years,
        sex=SEXES.get((header.sex or "").lower()),
        acquisition=", ".join(part for part in made if part) or None,
        exclude=unfit(view, modality, years) or _other_kind(dataset, header),
    )


def _other_kind(dataset: Any, header: Header) -> str | None:
    """What the reader of films refuses (several frames, a CT that says so by its class only), or doubts."""
    try:
        refuse_other_kinds(dataset)
    except NotAChestRadiographError as error:
        return str(error).split(". ")[0]
    return header.doubt


def _code(dataset: Any, keyword: str) -> str | None:
    text = _text(dataset, keyword)
    return code_of(text) if text else None


def _text(dataset: Any, keyword: str) -> str | None:
    element = value(dataset, keyword)
    return str(element).strip() or None if element is not None else None
