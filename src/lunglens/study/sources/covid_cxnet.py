"""COVID-CXNet (Haghanifar et al. 2022): metadata.csv + chest_xray_images/covid19/ (or images/).

https://github.com/armiro/COVID-CXNet - a "-" after the number marks a film without abnormality, a "p" a child.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.film.reading.facts import PICTURE_ENDINGS, UNDER_AGE
from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problem, Problems, unfit
from lunglens.study.sources.table import Line, files_below, group, listed, read_table

NAME = "covid-cxnet"
COLUMNS = ["filename", "patient_id", "sex", "age", "view", "label", "pcr_test"]
IMAGE_NAME = re.compile(r"(\d+p?-?)((?:\.(?:png|jpe?g|jfif|webp|tiff?))*)")


def covid_cxnet(folder: Path, problems: Problems) -> Iterator[Row]:
    """Every film there is, all COVID-19 by the set's word; a third has no line in `metadata.csv`.

    Without a line, patient, age, sex and view stay unknown.
    """
    films = _films(folder, problems)
    table, lines = folder / "metadata.csv", dict[str, Line]()
    if table.is_file():
        read = listed(read_table(table, COLUMNS, problems), "filename", films, _key)
        lines = {_key(line["filename"]): line for line, _ in read}
    bare = [path for key, path in films.items() if key not in lines]
    if bare:
        text = f"tells nothing of {len(bare)} of {len(films)} films (patient, age, view), the first is {bare[0].name}"
        problems.append(Problem(str(table), None, None, text if table.is_file() else f"is missing; {text}"))
    for key, path in films.items():
        yield _row(key, path, lines.get(key) or Line({}, table, 0, problems))


def _row(key: str, path: Path, line: Line) -> Row:
    patient, years = line.text("patient_id"), line.age("age")
    return Row(
        path=str(path),
        source=NAME,
        patient_id=patient,
        group_id=group(NAME, patient),
        view=line.text("view"),
        modality="X-ray",
        age_years=years,
        sex=line.sex("sex"),
        diagnosis=line.text("label") or "COVID-19",
        label="covid",
        case_url=line.text("url"),
        acquisition=line.text("location"),
        exclude=_exclusion(key, years, line["pcr_test"].casefold()),
    )


def _exclusion(key: str, years: float | None, pcr: str) -> str | None:
    if "p" in key:
        return UNDER_AGE
    if young := unfit(None, None, years):
        return young
    # Late films of a patient who had been positive are among them; a single line cannot tell.
    if pcr == "negative":
        return "negative PCR"
    return "no abnormality" if key.endswith("-") else None


def _films(folder: Path, problems: Problems) -> dict[str, Path]:
    """Number as published ("757p", "280-") -> file; WebP pictures are noted and left out."""
    places = [folder / "chest_xray_images" / "covid19", folder / "images", folder]
    home = next((place for place in places if place.is_dir()), folder)
    films: dict[str, Path] = {}
    webp = []
    for path in map(Path, files_below(home)):
        if not IMAGE_NAME.fullmatch(path.name.lower()):
            continue
        if _key(path.name) in films:
            text = f"is another picture of the number of {films[_key(path.name)].name}; left out"
            problems.append(Problem(str(path), None, None, text))
        elif path.suffix.lower() in PICTURE_ENDINGS:
            films[_key(path.name)] = path
        elif path.suffix.lower() == ".webp":
            webp.append(path)
    lost = [path for path in webp if _key(path.name) not in films]
    if lost:
        text = (
            f"{len(lost)} pictures are WebP, the first is {lost[0].name}; convert them to PNG beside to have them read"
        )
        problems.append(Problem(str(home), None, None, text))
    if not films:
        raise DataError(f"{home}: no films like 001.jpeg here; give the folder of the COVID-CXNet repository")
    return films


def _key(name: str) -> str:
    """A film's number: copies may have added an ending ("364.jfif.jpg")."""
    match = IMAGE_NAME.fullmatch(name.strip().lower())
    return match[1] if match else name.lower()
