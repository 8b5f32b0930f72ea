"""Readers for data sets that have no reader of their own: a folder a class, a table, any DICOM files.

Each function makes a reader like those of the published sets; nothing is assumed that the folder does not say.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lunglens.errors import ConfigurationError, DataError
from lunglens.film.lungs.published_masks import mask_files
from lunglens.study.config.study import OwnSource
from lunglens.study.rows import Row
from lunglens.study.sources.dicom_header import FilmHeader, code_of, read_film_header
from lunglens.study.sources.registry import Problem, Problems, Reader, unfit
from lunglens.study.sources.table import Line, files_below, group, is_film_name, listed, read_table, without_ending
from lunglens.study.sources.words import LABELS, modality_of, view_of

# Our fields -> what columns are usually called, without blanks, hyphens and underscores.
_USUAL = {
    "image": ("image", "file", "filename", "path", "filepath", "imagepath", "imageid", "imagename", "imagefile"),
    "patient_id": ("patientid", "patient", "subject", "subjectid"),
    "view": ("view", "viewposition", "projection"),
    "modality": ("modality",),
    "age": ("age", "patientage", "ageyears"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "diagnosis": ("diagnosis", "finding", "findings", "class", "disease"),
    "label": ("label", "labels"),
    "mask": ("mask", "maskpath"),
    "case_url": ("caseurl", "url"),
    "sop_instance_uid": ("sopinstanceuid", "instanceuid"),
    "accession_number": ("accessionnumber", "accession"),
}
FIELDS = tuple(_USUAL)
# Parts of names of columns that may say who the patient is, written like those above.
_TELLS_WHO = re.compile(
    r"(patient|sur|first|last|middle|given|family|full|maiden|fore|vor|nach|geburts)s?name|^(name|mrn|dob|ssn)s?$"
    r"|birth|geburt|initials|medicalrecord|socialsecurity|insurance|passport|nationalid|nhsnumber|mail|phone|address|anschrift"
)
# By which a line of a table finds its DICOM files; of those that a table has, the first tells them best apart.
_KEYS = ("sop_instance_uid", "image", "accession_number", "patient_id")


def own_reader(source: OwnSource) -> Reader:
    """The reader of a data set that a configuration describes.

    Raises:
        ConfigurationError: it names a field that does not exist.
    """
    if unknown := sorted(source.columns.keys() - _USUAL.keys() - {"finding"}):
        raise ConfigurationError(
            f"columns of {source.name}: no field {', '.join(unknown)}; the fields are {', '.join(FIELDS)}"
        )
    readers = {"class-folders": _class_folders, "table": _table, "dicom-folder": _dicom_folder}
    return lambda folder, problems: readers[source.kind](source, folder, problems)


def own_readers(sources: Iterable[OwnSource]) -> dict[str, Reader]:
    """Name -> reader of the data sets that a configuration describes."""
    return {source.name: own_reader(source) for source in sources}


def _class_folders(source: OwnSource, folder: Path, problems: Problems) -> Iterator[Row]:
    """Films in `folder/<class>/<image>`: the class's folder is the diagnosis, patients are unknown.

    Images that lie elsewhere are counted as a problem, since which of their folders is the class is not said.
    """
    images = [Path(path).relative_to(folder) for path in files_below(folder) if is_film_name(path)]
    classed = [image for image in images if len(image.parts) == 2]
    if not classed:
        raise DataError(f"{folder}: no images in folders a class (folder/class/image); give the folder above them")
    if len(classed) < len(images):
        other = next(image for image in images if len(image.parts) != 2)
        message = f"{len(images) - len(classed)} images are not in folder/class/image and are left out, as {other}"
        problems.append(Problem(str(folder), None, None, message))
    for image in classed:
        yield _of_folder(Row(str(folder / image), source.name, None, ""), image)


def _table(source: OwnSource, folder: Path, problems: Problems) -> Iterator[Row]:
    """Films that the CSV names.

    Images and masks are found by their path below the folder, with or without the same ending; else by the end of that
    path, where only one file has it: the table may leave out folders or put others before them. A label of ours is
    known whatever its case; another stays as it is.
    """
    table = _Table(source, folder, problems)
    image = table.columns.get("image")
    if image is None:
        raise DataError(
            f"{folder / source.table}: no column for image; it has {', '.join(table.names)}. "
            "Say which: columns = { image = ... }"
        )
    find = _finder([Path(path) for path in files_below(folder) if is_film_name(path)], folder)
    clear = [line for line in table.lines if not _ambiguous(line, image, find)]
    images = {str(path): path for line in clear for path in find(line[image])}
    for line, path in listed(clear, image, images, lambda cell: next(map(str, find(cell)), "")):
        row = table.row(line, path, find)
        if any(part.path == row.path for part in row.masks):
            line.problem(table.columns["mask"], f"image and mask are one file, {path}; left out")
        else:
            yield replace(row, exclude=unfit(row.view, row.modality, row.age_years))


def _dicom_folder(source: OwnSource, folder: Path, problems: Problems) -> Iterator[Row]:
    """Films of any folder of DICOM files, whatever their names; the header says what is known of each.

    Diagnoses come from the table, whose lines name SOPInstanceUID, file, AccessionNumber or PatientID; without a table
    the first folder's name is the diagnosis, as with a folder a class. Patients' numbers are replaced by the first 16
    hex digits of their SHA-256, without salt, so that neither names nor numbers land in a manifest
    (`sources.dicom_header`); names of files and folders stay as they are. A file that is not DICOM is a problem, not
    an error.
    """
    paths = [path for path in map(Path, files_below(folder)) if path != folder / source.table]
    table = _Table(source, folder, problems) if source.table else None
    line_of = table.by_film(paths) if table else None
    films = without = 0
    for path in paths:
        header = read_film_header(path, problems)
        if header is None:
            continue
        films += 1
        line = line_of(path, header) if line_of else None
        without += line is None
        row = table.row(line, path) if table and line else Row(str(path), source.name, None, "")
        row = _with_header(row, header, source.name)
        yield row if table else _of_folder(row, path.relative_to(folder))
    if not films:
        raise DataError(f"{folder}: no DICOM images here; give the folder that holds them")
    if table and without:
        text = f"has no line of {without} of {films} films; their diagnosis stays unknown"
        problems.append(Problem(str(folder / source.table), None, None, text))


class _Table:
    """A table of one's own: its lines, which of its columns are ours, and which are carried."""

    def __init__(self, source: OwnSource, folder: Path, problems: Problems) -> None:
        """Read it.

        Raises:
            DataError: it cannot be read, is empty, or lacks a column that the configuration names.
        """
        given = {"diagnosis" if field == "finding" else field: column for field, column in source.columns.items()}
        carried = source.carry or ()
        self.source, self.folder, self.problems = source, folder, problems
        self.lines = read_table(folder / source.table, [*given.values(), *carried], problems)
        if not self.lines:
            raise DataError(f"{folder / source.table}: has no line below its header that can be read; write one a film")
        self.names = list(self.lines[0].cells)
        self.columns = given or _usual_columns(self.names)
        ours = {column.casefold() for column in self.columns.values()}
        rest = [name for name in self.names if name and name not in ours]
        whose = [name for name in rest if _tells_who(name)] if source.carry is None else []
        if whose:
            text = f"not carried, as they may say who the patients are: {', '.join(whose)}; carry takes them"
            problems.append(Problem(str(folder / source.table), None, None, text))
        rest = [name for name in rest if name not in whose]
        self.carried = rest if source.carry is None else [name.casefold() for name in carried]

    def row(self, line: Line, path: Path, find: "_Finder | None" = None) -> Row:
        """What the line says of the film; `find` finds its mask."""
        diagnosis, label = self._text(line, "diagnosis"), self._text(line, "label")
        words = label or diagnosis or ""
        mask = mask_files(_mask(line, self.columns["mask"], find) if find and "mask" in self.columns else None)
        patient = self._text(line, "patient_id")
        return Row(
            path=str(path),
            source=self.source.name,
            patient_id=patient,
            group_id=group(self.source.name, patient),
            view=view_of(self._text(line, "view")),
            modality=modality_of(self._text(line, "modality")),
            age_years=line.age(self.columns["age"]) if "age" in self.columns else None,
            sex=line.sex(self.columns["sex"]) if "sex" in self.columns else None,
            diagnosis=diagnosis,
            label=LABELS.get(words.casefold(), label),
            masks=mask,
            mask_rule=self.source.mask_rule if mask else None,
            case_url=self._text(line, "case_url"),
            extra={name: line[name] for name in self.carried},
        )

    def by_film(self, paths: Sequence[Path]) -> Callable[[Path, FilmHeader], Line | None]:
        """What finds a DICOM file's line, by the key that the table has.

        Raises:
            DataError: it has none.
        """
        key = next((field for field in _KEYS if field in self.columns), None)
        if key is None:
            raise DataError(
                f"{self.folder / self.source.table}: no column for {', '.join(_KEYS)}; it has {', '.join(self.names)}. "
                "Say which: columns = { image = ... }"
            )
        column = self.columns[key]
        if key == "image":
            find = _finder(paths, self.folder)
            clear = [line for line in self.lines if not _ambiguous(line, column, find)]
            files = {path: line for line in reversed(clear) for path in find(line[column])}
            return lambda path, _: files.get(path)
        lines = self._first_of_each(column)
        return lambda _, header: lines.get(_code(header, key) or "")

    def _first_of_each(self, column: str) -> dict[str, Line]:
        """Code -> the first line; a later one that says otherwise of the diagnosis is noted."""
        lines: dict[str, Line] = {}
        for line in self.lines:
            if line.text(column) is not None:
                first = lines.setdefault(code_of(line[column]), line)
                if any(self._text(first, field) != self._text(line, field) for field in ("diagnosis", "label")):
                    line.problem(column, f"has another diagnosis than row {first.row}; the first is kept")
        return lines

    def _text(self, line: Line, field: str) -> str | None:
        return line.text(self.columns[field]) if field in self.columns else None


def _tells_who(column: str) -> bool:
    """Whether a column may hold a name, a number or an address of the patient."""
    plain = re.sub(r"[\W_]", "", column)
    return plain in (*_USUAL["patient_id"], *_USUAL["accession_number"]) or bool(_TELLS_WHO.search(plain))


def _usual_columns(names: Sequence[str]) -> dict[str, str]:
    plain = {name.replace(" ", "").replace("_", "").replace("-", ""): name for name in reversed(names)}
    fits = {field: [plain[name] for name in usual if name in plain] for field, usual in _USUAL.items()}
    return {field: columns[0] for field, columns in fits.items() if columns}


def _code(header: FilmHeader, key: str) -> str | None:
    return {"sop_instance_uid": header.instance, "accession_number": header.accession}.get(key, header.patient)


def _of_folder(row: Row, relative: Path) -> Row:
    """The row with its first folder's name as diagnosis."""
    diagnosis = relative.parts[0] if len(relative.parts) > 1 else None
    return replace(row, diagnosis=diagnosis, label=LABELS.get((diagnosis or "").casefold()))


def _with_header(row: Row, header: FilmHeader, source: str) -> Row:
    """The row with what the header says; what that leaves unknown stays as the table has it."""
    patient = header.patient or (code_of(row.patient_id) if row.patient_id else None)
    view, modality = header.view or row.view, header.modality or row.modality
    years = row.age_years if header.age_years is None else header.age_years
    return replace(
        row,
        patient_id=patient,
        group_id=group(source, patient),
        view=view,
        modality=modality,
        age_years=years,
        sex=header.sex or row.sex,
        acquisition=header.acquisition,
        exclude=header.exclude or unfit(view, modality, years),
    )


_Finder = Callable[[str], Sequence[Path]]


def _finder(files: Iterable[Path], folder: Path) -> _Finder:
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


def _mask(line: Line, column: str, find: _Finder) -> Path | None:
    """The mask that the line names; None and a problem where it is not here."""
    if line.text(column) is None or _ambiguous(line, column, find):
        return None
    files = find(line[column])
    if not files:
        line.problem(column, f"the mask {line[column]!r} is not here; taken as none")
    return files[0] if files else None


def _ambiguous(line: Line, column: str, find: _Finder) -> bool:
    files = find(line[column])
    if len(files) > 1:
        line.problem(column, f"{line[column]!r} may be {files[0]} or {files[1]}; write the path in the table")
    return len(files) > 1
