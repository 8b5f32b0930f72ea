"""The two NLM tuberculosis sets with lung masks: Montgomery County and Shenzhen (Jaeger et al. 2014).

A film's name ends in `_0` (normal) or `_1` (tuberculosis): `CXR_png/MCUCXR_0001_0.png`, `CXR_png/CHNCXR_0001_0.png`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import MaskPart, mask_files
from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problem, Problems, unfit
from lunglens.study.sources.table import Line, group

Masks = dict[str, tuple[MaskPart, ...]]
PREFIXES = {"montgomery": "MCUCXR", "shenzhen": "CHNCXR"}
UNITS = {"y": "Y", "m": "M", "w": "W", "d": "D"}  # yrs, month, days -> the units of `Line.age`
SEXES = {"female": "F", "femal": "F", "f": "F", "male": "M", "m": "M"}  # "femal" stands so in Shenzhen


def montgomery(folder: Path, problems: Problems) -> Iterator[Row]:
    """138 films, `CXR_png/MCUCXR_*.png`, with `ClinicalReadings/*.txt`.

    The masks are in `ManualMask/leftMask` and `rightMask`, a file a lung, or already united in `mask/` or `masks/`.
    """
    return _rows(_home(folder, "MontgomerySet"), "montgomery", problems)


def shenzhen(folder: Path, problems: Problems) -> Iterator[Row]:
    """662 films, `CXR_png/CHNCXR_*.png`, with `ClinicalReadings/*.txt`.

    566 have a mask, published apart: `mask/<name>_mask.png` or `mask/<name>.png`, also in `masks/`.
    """
    return _rows(_home(folder, "ChinaSet_AllFiles"), "shenzhen", problems)


def _home(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder


def _rows(folder: Path, source: str, problems: Problems) -> Iterator[Row]:
    films = _films(folder, source)
    readings = _readings(folder, films, problems)
    masks = _masks(folder, source, films, problems)
    for stem, path in films.items():
        reading = readings.get(stem)
        patient = _patient(stem, readings)
        years = reading.age_years if reading else None
        label = "tuberculosis" if stem.endswith("_1") else "normal"
        mask = masks.get(stem, ())
        yield Row(
            path=str(path),
            source=source,
            patient_id=patient,
            group_id=group(source, patient),
            view="PA",
            modality="X-ray",
            age_years=years,
            sex=reading.sex if reading else None,
            diagnosis=(reading and reading.finding) or label,
            label=label,
            masks=mask,
            mask_rule="fields" if mask else None,
            exclude=unfit("PA", "X-ray", years),
        )


def _films(folder: Path, source: str) -> dict[str, Path]:
    films = {}
    for stem, path in find_images(folder / "CXR_png").items():
        parts = path.stem.split("_")
        if len(parts) != 3 or parts[2] not in {"0", "1"} or parts[0].upper() not in PREFIXES.values():
            example = f"{PREFIXES[source]}_0001_0"
            raise DataError(f"{path}: the name should be like {example} (0 normal, 1 tuberculosis)")
        # Some copies hold both sets in one folder.
        if parts[0].upper() == PREFIXES[source]:
            films[stem] = path
    return films


@dataclass(frozen=True)
class _Reading:
    sex: str | None
    age_years: float | None
    finding: str | None


def _readings(folder: Path, films: Mapping[str, Path], problems: Problems) -> dict[str, _Reading]:
    place = folder / "ClinicalReadings"
    if not place.is_dir():
        problems.append(Problem(str(place), None, None, "is missing; ages, sexes and findings stay unknown"))
        return {}
    files = {path.stem.lower(): path for path in sorted(place.glob("*.[tT][xX][tT]"))}
    missing = [path.name for stem, path in films.items() if stem not in files]
    if missing:
        text = f"{len(missing)} of {len(films)} films have no reading here, the first is {missing[0]}"
        problems.append(Problem(str(place), None, None, text))
    return {stem: _reading(files[stem], stem, problems) for stem in films if stem in files}


def _reading(path: Path, stem: str, problems: Problems) -> _Reading:
    """ "Patient's Sex: F", "Patient's Age: 040Y" and the reading; or "male 45yrs" and the reading."""
    try:
        published = path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        problems.append(Problem(str(path), None, None, f"cannot be read ({error.strerror}); the reading stays unknown"))
        return _Reading(None, None, None)
    lines = [line.strip() for line in published.splitlines() if line.strip()]
    about = [line for line in lines if line.casefold().startswith("patient's ")] or lines[:1]
    text = " ".join(about)
    sex = re.search(r"(?:sex:\s*(\w+)|(female?|male))", text, re.IGNORECASE)
    age = re.search(r"(\d+)\s*([ymwd]?)", text, re.IGNORECASE)
    cell = {"age": f"{int(age[1])}{UNITS[age[2].lower()]}" if age and age[2] else ""}
    line = Line(cell, path, 1, problems)
    if age and not age[2]:
        line.problem("age", f"{age[1]!r} has no unit (years, months or days); taken as unknown")
    if not (sex and age):
        line.problem(None, f"names no {'age' if sex else 'sex' if age else 'sex and no age'}: {text!r}")
    letter = (sex[1] or sex[2]).casefold() if sex else ""
    if letter and letter not in SEXES:
        line.problem("sex", f"{letter.upper()!r} is not a sex (F, M, female, male); taken as unknown")
    finding = " ".join(lines[len(about) :]) or None
    words = (finding or "").casefold()
    if words and (words.rstrip(".e") == "normal" if stem.endswith("_1") else "normal" not in words):
        line.problem(None, f"reads {finding!r}, which the file's name contradicts; the label goes by the name")
    return _Reading(SEXES.get(letter), line.age("age"), finding)


def _patient(stem: str, readings: Mapping[str, _Reading]) -> str:
    """The film's number, or that of the earlier film that its reading names: "same pt as MCUCXR_0162_1"."""
    number, seen = stem.split("_")[1], {stem}
    while stem in readings:
        earlier = re.search(r"same pt as (\w+)", readings[stem].finding or "", re.IGNORECASE)
        stem = earlier[1].lower() if earlier else ""
        if not re.fullmatch(r"[a-z]+_\d+_[01]", stem) or stem in seen:
            break
        seen.add(stem)
        number = stem.split("_")[1]
    return number


def _masks(folder: Path, source: str, films: Mapping[str, Path], problems: Problems) -> Masks:
    united = [folder / name for name in ("mask", "masks") if (folder / name).is_dir()]
    if not united and (folder / "ManualMask").is_dir():
        return _masks_of_each_lung(folder / "ManualMask", films, problems)
    if not united and source == "shenzhen":
        problems.append(Problem(str(folder / "mask"), None, None, "is missing; the lung masks are published apart"))
        return {}
    files = find_images(united[0] if united else folder / "mask")
    named = {stem: files.get(stem) or files.get(f"{stem}_mask") for stem in films}
    return {stem: mask_files(mask) for stem, mask in named.items()}


def _masks_of_each_lung(folder: Path, films: Mapping[str, Path], problems: Problems) -> Masks:
    sides = {name: find_images(folder / name) for name in ("leftMask", "rightMask")}
    for stem in films:
        lacking = [name for name, files in sides.items() if stem not in files]
        if len(lacking) == 1:
            text = f"has no mask of {stem.upper()}, the other lung's folder has; the film is left without a mask"
            problems.append(Problem(str(folder / lacking[0]), None, None, text))
    both = [stem for stem in films if all(stem in files for files in sides.values())]
    return {stem: mask_files(*(files[stem] for files in sides.values())) for stem in both}
