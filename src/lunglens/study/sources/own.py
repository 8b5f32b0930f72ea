"""Readers for data sets that have no reader of their own: a folder a class, any CSV with a column map, any DICOM files.

Each function makes a reader like those of the published sets; nothing is assumed that the folder does not say.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lunglens.errors import ConfigurationError, DataError
from lunglens.study.config.study import OwnSource
from lunglens.study.manifest import IMAGE_ENDINGS, Row
from lunglens.study.sources.dicom_header import modality_of, read_film_header, view_of
from lunglens.study.sources.registry import Problem, Problems, Reader, unfit
from lunglens.study.sources.table import Line, files_below, group, listed, read_table, without_ending

FIELDS = ("image", "patient_id", "view", "modality", "age", "sex", "finding", "label", "mask", "case_url")
LABELS = {name: name for name in ("covid", "normal", "pneumonia", "tuberculosis", "other")}
LABELS |= {"covid-19": "covid", "covid19": "covid"}


def own_reader(source: OwnSource) -> Reader:
    """The reader of a data set that a configuration describes."""
    if source.kind == "table":
        return column_map(source.name, source.table, source.columns)
    return class_folders(source.name) if source.kind == "class folders" else dicom_folder(source.name)


def class_folders(name: str) -> Reader:
    """A reader of `folder/<class>/<image>`: the class's folder is the finding, patients are unknown.

    Images that lie elsewhere are counted as a problem, since which of their folders is the class is not said.
    """

    def read(folder: Path, problems: Problems) -> Iterator[Row]:
        images = [Path(path).relative_to(folder) for path in files_below(folder) if _is_image(path)]
        classed = [image for image in images if len(image.parts) == 2]
        if not classed:
            raise DataError(f"{folder}: no images in folders a class (folder/class/image); give the folder above them")
        if len(classed) < len(images):
            other = next(image for image in images if len(image.parts) != 2)
            message = f"{len(images) - len(classed)} images are not in folder/class/image and are left out, as {other}"
            problems.append(Problem(str(folder), None, None, message))
        for image in classed:
            finding = image.parts[0]
            label = LABELS.get(finding.lower())
            yield Row(str(folder / image), name, patient_id=None, group_id="", finding=finding, label=label)

    return read


def column_map(name: str, table: str, columns: Mapping[str, str]) -> Reader:
    """A reader of the CSV `table` below the data set's folder.

    Args:
        name: the data set's name.
        table: path of the CSV, relative to the folder.
        columns: our field, one of `FIELDS` (at least `image`) -> the table's column. Images and masks are found by
            their path below the folder, with or without the same ending; else by the end of that path, where only one
            file has it: the table may leave out folders or put others before them. A label of ours is known whatever
            its case; another stays as it is.

    Raises:
        ConfigurationError: `columns` lacks `image` or names a field that does not exist.
    """
    unknown = sorted(columns.keys() - set(FIELDS))
    if unknown or "image" not in columns:
        wrong = f"no field {', '.join(unknown)}" if unknown else "the field 'image' is missing"
        raise ConfigurationError(f"columns of {name}: {wrong}; the fields are {', '.join(FIELDS)}")

    def read(folder: Path, problems: Problems) -> Iterator[Row]:
        lines = read_table(folder / table, list(columns.values()), problems)
        find = _finder([Path(path) for path in files_below(folder) if _is_image(path)], folder)
        clear = [line for line in lines if not _ambiguous(line, columns["image"], find)]
        images = {str(path): path for line in clear for path in find(line[columns["image"]])}
        for line, path in listed(clear, columns["image"], images, lambda cell: next(map(str, find(cell)), "")):
            mask = _mask(line, columns["mask"], find) if "mask" in columns else None
            if mask == path:
                line.problem(columns["mask"], f"image and mask are one file, {path}; left out")
            else:
                yield _row(name, line, path, mask, columns)

    return read


def dicom_folder(name: str) -> Reader:
    """A reader of any folder of DICOM files, whatever their names; the header says what is known of each.

    Patients' numbers are replaced by the first 16 hex digits of their SHA-256, without salt, so that neither names nor
    numbers land in a manifest (`sources.dicom_header`); names of files and folders stay as they are. A file
    that is not DICOM is a problem, not an error.
    """

    def read(folder: Path, problems: Problems) -> Iterator[Row]:
        films = 0
        for path in map(Path, files_below(folder)):
            header = read_film_header(path, problems)
            if header is None:
                continue
            films += 1
            yield Row(
                path=str(path),
                source=name,
                patient_id=header.patient,
                group_id=group(name, header.patient),
                view=header.view,
                modality=header.modality,
                age_years=header.age_years,
                sex=header.sex,
                acquisition=header.acquisition,
                exclude=header.exclude,
            )
        if not films:
            raise DataError(f"{folder}: no DICOM images here; give the folder that holds them")

    return read


def _row(name: str, line: Line, path: Path, mask: Path | None, columns: Mapping[str, str]) -> Row:
    def text(field: str) -> str | None:
        return line.text(columns[field]) if field in columns else None

    view, modality = view_of(text("view")), modality_of(text("modality"))
    years = line.age(columns["age"]) if "age" in columns else None
    patient, label = text("patient_id"), text("label")
    return Row(
        path=str(path),
        source=name,
        patient_id=patient,
        group_id=group(name, patient),
        view=view,
        modality=modality,
        age_years=years,
        sex=line.sex(columns["sex"]) if "sex" in columns else None,
        finding=text("finding"),
        label=LABELS.get(label.lower(), label) if label else None,
        mask_path=str(mask) if mask else None,
        case_url=text("case_url"),
        exclude=unfit(view, modality, years),
    )


Finder = Callable[[str], Sequence[Path]]


def _finder(files: Sequence[Path], folder: Path) -> Finder:
    """What finds the files that a cell may mean: one by its path, else all whose path ends so; only of the folder."""
    exact = {path.relative_to(folder).as_posix(): path for path in files}
    # Two files may differ in nothing but the ending; then a cell with neither ending says too little.
    tails = defaultdict(list)
    for relative, path in exact.items():
        for tail in _tails(without_ending(relative)):
            tails[tail].append(path)
        tails[f"/{without_ending(relative)}"].append(path)

    def find(cell: str) -> Sequence[Path]:
        relative = cell.replace("\\", "/").removeprefix("./")
        if relative in exact:
            return [exact[relative]]
        wanted = [tail for part in _tails(without_ending(relative)) for tail in (f"/{part}", part)]
        if "/" in relative:
            wanted.pop()  # patient1/1.png is not patient2/1.png: what named its folder is not found by name alone
        return next((tails[tail] for tail in wanted if tail in tails), [])

    return find


def _tails(path: str) -> list[str]:
    """a/b/c -> a/b/c, b/c, c."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _mask(line: Line, column: str, find: Finder) -> Path | None:
    """The mask that the line names; None and a problem where it is not here."""
    if line.text(column) is None or _ambiguous(line, column, find):
        return None
    found = find(line[column])
    if not found:
        line.problem(column, f"the mask {line[column]!r} is not here; taken as none")
    return found[0] if found else None


def _ambiguous(line: Line, column: str, find: Finder) -> bool:
    found = find(line[column])
    if len(found) > 1:
        line.problem(column, f"{line[column]!r} may be {found[0]} or {found[1]}; write the path in the table")
    return len(found) > 1


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_ENDINGS)
