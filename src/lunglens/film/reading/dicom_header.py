"""The header facts of a DICOM file: age, sex, view, body part, pixel spacing; and what is odd about them.

What a header says is often wrong, so an impossible value counts as none, and a claim that the film is no frontal chest
radiograph is only a doubt: the pixels decide, and the doubt is shown.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from lunglens.film.language import joined, say
from lunglens.film.reading.body_part import is_chest, is_not_frontal, is_silent, readable
from lunglens.film.reading.dicom_file import note, number, value
from lunglens.film.reading.dicom_kind import doubted_kind
from lunglens.film.reading.facts import ADULT_YEARS, UNITS_PER_YEAR
from lunglens.text import ascii_line

_OLDEST_YEARS = 120
_FILM_SIDE_MM = (50.0, 600.0)  # a premature baby's film cut to the chest, and more than the largest detector's 430 mm
_MOST_MAGNIFIED = 2.0
_CHEST_CODES = {
    *("51185008", "816094009", "39607008", "43799004", "72410000", "80891009", "113197003", "56873002"),  # SNOMED CT
    *("416550000", "416775004", "417437006", "416319003", "416152001", "44029006", "3341006"),
    *("T-D3000", "T-28000", "T-D3300", "T-32000", "T-11300", "T-11210"),  # their SNOMED RT forms (PS3.16 L)
}

Plane = Literal["detector", "patient"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Header:
    """What the header says; None where it is silent, or where what it says makes no sense.

    spacing_mm: (between rows, between columns) in mm from the element `spacing_source`. spacing_plane: where it holds;
    at the detector the body shows larger than it is, by the unknown magnification. None where that is not said.
    view, laterality, sex, body_part, modality: as in the header, upper case; None where absent.
    doubt: what speaks against a frontal radiograph of the chest, in words. warnings: what the reader should know.
    """

    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    spacing_plane: Plane | None = None
    view: str | None = None
    laterality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    body_part: str | None = None
    modality: str | None = None
    doubt: str | None = None
    warnings: tuple[str, ...] = ()


def read_header(dataset: Any) -> Header:
    """Read what the header says of the radiograph."""
    warnings: list[str] = []
    part, view, sex = _body_part(dataset), _view(dataset), _text(dataset, "PatientSex")
    age = _age_years(dataset)
    spacing, source, plane = _spacing(dataset, warnings)
    doubt = _doubt(dataset, part, view)
    if age is not None and age < ADULT_YEARS:
        warnings.append(say("patient under {years}: the models were trained on adults", years=ADULT_YEARS))
    return Header(
        spacing_mm=spacing,
        spacing_source=source,
        spacing_plane=plane,
        view=readable(view) or None,
        laterality=_text(dataset, "ImageLaterality") or _text(dataset, "Laterality"),
        age_years=age,
        sex=sex if sex in ("M", "F", "O") else None,
        body_part=readable(part) or None,
        modality=_text(dataset, "Modality"),
        doubt=doubt,
        warnings=tuple(warnings),
    )


def _doubt(dataset: Any, part: bytes, view: bytes) -> str | None:
    doubts = [kind] if (kind := doubted_kind(dataset)) else []
    if not (is_silent(part) or is_chest(part) or _codes(dataset, "AnatomicRegionSequence") & _CHEST_CODES):
        doubts.append(say("the header gives the body part as {part}", part=readable(part)))
    if is_not_frontal(view):
        doubts.append(
            say("the header gives the view as {view}, and the models are for frontal films", view=readable(view))
        )
    return joined("; ", doubts) or None


def _raw(dataset: Any, keyword: str) -> bytes:
    """An element's bytes as they are in the file, all values; b'' where it is absent or no text.

    pydicom decodes a value when it is asked for, which can raise, or lose what it takes for another character set.
    """
    from pydicom.tag import Tag

    element = dataset.get_item(Tag(keyword))
    found = None if element is None or element.VR == "SQ" else element.value
    if isinstance(found, bytes):
        return found
    values = found if isinstance(found, Iterable) and not isinstance(found, str) else [found or ""]
    text = "\\".join(map(str, values))
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _text(dataset: Any, keyword: str) -> str | None:
    found = value(dataset, keyword)
    return ascii_line(str(found)).strip().upper()[:64] or None if found is not None else None


def _codes(dataset: Any, keyword: str) -> set[str]:
    return {str(value(item, "CodeValue")) for item in _items(dataset, keyword)}


def _items(dataset: Any, keyword: str) -> list[Any]:
    try:
        return list(dataset.get(keyword) or ())
    except Exception:  # a damaged sequence can raise anything
        return []


def _meaning(dataset: Any, keyword: str) -> bytes:
    """The Code Meanings of a sequence, as bytes."""
    return b" ".join(_raw(item, "CodeMeaning") for item in _items(dataset, keyword))


def _body_part(dataset: Any) -> bytes:
    """Body Part Examined, or else the Anatomic Region Sequence in words (PS3.3 10.5)."""
    part = _raw(dataset, "BodyPartExamined")
    return _meaning(dataset, "AnatomicRegionSequence") or part if is_silent(part) else part


def _view(dataset: Any) -> bytes:
    view = _raw(dataset, "ViewPosition")
    return view if view.strip(b"\0 ") else _meaning(dataset, "ViewCodeSequence")


def _age_years(dataset: Any) -> float | None:
    """Age in years from an Age String (PS3.5 6.2: nnnD, nnnW, nnnM or nnnY); without a unit, years.

    Zero years is what is written for an unknown age; a newborn's is in days, weeks or months.
    """
    text = _raw(dataset, "PatientAge").strip(b"\0 ").upper()
    match = re.fullmatch(rb"0*(\d{1,3})\s*([DWMY]?)", text)
    if match:
        unit = match[2].decode() or "Y"
        years = int(match[1]) / UNITS_PER_YEAR[unit]
        if 0 < years <= _OLDEST_YEARS or (years == 0 and unit != "Y"):
            return years
    if text:
        note(dataset, say("PatientAge is not usable and was ignored"))
    return None


def _spacing(dataset: Any, warnings: list[str]) -> tuple[tuple[float, float] | None, str | None, Plane | None]:
    """(between rows, between columns) in mm, its element and its plane (PS3.3 10.7.1.3), if it fits a chest film."""
    found = {
        keyword: _pair(dataset, keyword)
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
        if _raw(dataset, keyword).strip(b"\0 ")
    }
    for keyword, pair in found.items():
        if pair is None or not _fits_a_film(dataset, pair):
            note(dataset, say("{keyword} is not usable and was ignored", keyword=keyword))
            continue
        note(dataset, say("pixel spacing from {keyword}", keyword=keyword))
        if keyword == "PixelSpacing":
            detector = found.get("ImagerPixelSpacing")
            detector = detector if detector and _fits_a_film(dataset, detector) else None
            calibrated = value(dataset, "PixelSpacingCalibrationType") or (detector and detector != pair)
            return pair, keyword, "patient" if calibrated else "detector" if detector else None
        factor = number(dataset, "EstimatedRadiographicMagnificationFactor") or 1.0
        if not 1 < factor <= _MOST_MAGNIFIED:
            return pair, keyword, "detector"
        note(
            dataset, say("{keyword} divided by the header's magnification, {factor:g}", keyword=keyword, factor=factor)
        )
        return (pair[0] / factor, pair[1] / factor), keyword, "patient"
    if any(found.values()):
        warnings.append(say("the header's pixel spacing does not fit a chest film: no areas in cm2"))
    return None, None, None


def _pair(dataset: Any, keyword: str) -> tuple[float, float] | None:
    """Two positive numbers; a comma is the decimal point, or else stands between them."""
    text = _raw(dataset, keyword).strip(b"\0 ")
    try:
        row, column = map(float, text.replace(b",", b".").split(b"\\") if b"\\" in text else text.split(b","))
    except ValueError:
        return None
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None


def _fits_a_film(dataset: Any, pair: tuple[float, float]) -> bool:
    """Whether the film then has a chest film's size; 1 mm by 1 mm is what is written for an unknown spacing."""
    sides = [(number(dataset, key) or 0) * pitch for key, pitch in zip(("Rows", "Columns"), pair, strict=True)]
    return pair != (1.0, 1.0) and all(_FILM_SIDE_MM[0] <= side <= _FILM_SIDE_MM[1] for side in sides)
