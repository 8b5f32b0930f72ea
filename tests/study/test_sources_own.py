"""Readers of data sets without a reader of their own: a folder a class, a CSV with a column map, DICOM files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lunglens.errors import ConfigurationError, DataError
from lunglens.study.config.study import OwnSource
from lunglens.study.sources.dicom_header import FilmHeader, read_film_header
from lunglens.study.sources.own import own_reader
from lunglens.study.sources.registry import Problems, Reader
from lunglens.study.sources.words import modality_of, view_of
from tests.support.dicom_files import dataset_of, encoded
from tests.support.published import by_name, files, mask_of, said, text

OURS = {"image": "File", "patient_id": "Patient", "age": "Age", "sex": "Sex", "view": "View", "label": "Class"}
HEADER = "File,Patient,Age,Sex,View,Class"


def class_folders(name: str) -> Reader:
    return own_reader(OwnSource(name=name, kind="class-folders"))


def column_map(name: str, table: str, columns: dict[str, str]) -> Reader:
    return own_reader(OwnSource(name=name, kind="table", table=table, columns=columns))


def dicom_folder(name: str, table: str = "", **columns: str) -> Reader:
    return own_reader(OwnSource(name=name, kind="dicom-folder", table=table, columns=columns))


# --- a folder a class


def test_a_class_s_folder_is_the_finding_and_nothing_else_is_known(tmp_path: Path) -> None:
    files(tmp_path / "COVID-19" / "a.PNG", tmp_path / "Viral Pneumonia" / "a.jpeg", tmp_path / "normal" / "b.dcm")
    files(tmp_path / "normal" / "notes.txt", tmp_path / "normal" / ".hidden.png", tmp_path / "__MACOSX" / "x.png")
    problems: Problems = []
    rows = list(class_folders("mine")(tmp_path, problems))
    assert [(row.diagnosis, row.label) for row in rows] == [
        ("COVID-19", "covid"),
        ("Viral Pneumonia", None),
        ("normal", "normal"),
    ]
    row = rows[0]
    assert (row.source, row.path) == ("mine", str(tmp_path / "COVID-19" / "a.PNG"))
    assert (row.patient_id, row.group_id, row.view, row.modality, row.age_years) == (None, "", None, None, None)
    assert problems == []


def test_images_that_lie_deeper_or_higher_are_counted_not_guessed(tmp_path: Path) -> None:
    files(tmp_path / "covid" / "a.png", tmp_path / "b.png", tmp_path / "normal" / "masks" / "c.png")
    problems: Problems = []
    assert by_name(class_folders("mine")(tmp_path, problems)).keys() == {"a.png"}
    assert said(problems) == f"{tmp_path}: 2 images are not in folder/class/image and are left out, as b.png"


def test_a_folder_without_classes_or_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    files(tmp_path / "a.png")
    with pytest.raises(DataError, match="no images in folders a class"):
        list(class_folders("mine")(tmp_path, []))
    with pytest.raises(DataError, match=r"gone: cannot be read \(No such file or directory\)"):
        list(class_folders("mine")(tmp_path / "gone", []))


# --- a CSV with a column map


def test_a_table_is_read_through_its_map_and_what_it_leaves_out_is_unknown(tmp_path: Path) -> None:
    files(tmp_path / "films" / "a.png", tmp_path / "films" / "b.JPG", tmp_path / "films" / "c.png")
    lines = ["films/a.png,7,061Y,female,LAT,COVID-19", "FILMS/B.png,7,12,m,pa,silicosis", "c,,,,NA,"]
    text(tmp_path / "t.csv", HEADER.upper(), *lines)
    problems: Problems = []
    found = by_name(column_map("mine", "t.csv", OURS)(tmp_path, problems))
    assert {name: (row.patient_id, row.group_id, row.age_years, row.sex) for name, row in found.items()} == {
        "a.png": ("7", "mine-7", 61, "F"),
        "b.JPG": ("7", "mine-7", 12, "M"),
        "c.png": (None, "", None, None),
    }
    assert {name: (row.view, row.label, row.exclude) for name, row in found.items()} == {
        "a.png": ("L", "covid", "view L"),
        "b.JPG": ("PA", "silicosis", "under 18"),
        "c.png": (None, None, None),
    }
    assert (found["a.png"].modality, found["a.png"].diagnosis, mask_of(found["a.png"])) == (None, None, None)
    assert problems == []


def test_a_table_s_folders_may_be_fewer_or_more_than_the_set_s(tmp_path: Path) -> None:
    films = [tmp_path / "data" / "images" / patient / "1.png" for patient in ("p1", "p2")]
    files(*films)
    for before in ("p{}/1.png", "images\\p{}\\1.jpg", "/home/me/set/images/p{}/1.png", "./data/images/p{}/1.png"):
        text(tmp_path / "t.csv", "File", *(before.format(number) for number in (1, 2)))
        rows = list(column_map("mine", "t.csv", {"image": "File"})(tmp_path, []))
        assert [row.path for row in rows] == list(map(str, films)), before


def test_a_film_that_is_missing_is_not_taken_from_another_patient_s_folder(tmp_path: Path) -> None:
    files(tmp_path / "patient2" / "1.png")
    text(tmp_path / "t.csv", "File,Patient", "patient1/1.png,1", "patient2/1.png,2")
    problems: Problems = []
    [row] = column_map("mine", "t.csv", {"image": "File", "patient_id": "Patient"})(tmp_path, problems)
    assert row.patient_id == "2"
    assert said(problems).endswith(
        "row 2, column 'File': 1 of 2 listed images are not here, the first is 'patient1/1.png'"
    )


def test_a_name_that_several_files_have_is_noted_and_left_out(tmp_path: Path) -> None:
    files(*(tmp_path / name for name in ("a/1.png", "b/1.png", "c/2.png", "c/2.jpg")))
    text(tmp_path / "t.csv", "File", "1.png", "c/2", "c/2.jpg")
    problems: Problems = []
    assert by_name(column_map("mine", "t.csv", {"image": "File"})(tmp_path, problems)).keys() == {"2.jpg"}
    assert [(problem.row, problem.column) for problem in problems] == [(2, "File"), (3, "File")]
    either = f"{tmp_path / 'a' / '1.png'} or {tmp_path / 'b' / '1.png'}"
    assert problems[0].message == f"'1.png' may be {either}; write the path in the table"


def test_masks_are_found_and_missing_or_equal_ones_are_noted(tmp_path: Path) -> None:
    files(*(tmp_path / "images" / f"{name}.png" for name in "abcd"), tmp_path / "masks" / "a.png")
    lines = ["images/a.png,masks/a.png", "images/b.png,masks/b.png", "images/c.png,images/c.png", "images/d.png,none"]
    table = text(tmp_path / "t.csv", "File,Mask", *lines)
    problems: Problems = []
    found = by_name(column_map("mine", "t.csv", {"image": "File", "mask": "Mask"})(tmp_path, problems))
    assert {row.mask_rule for row in found.values() if row.masks} == {"fields"}
    assert {name: mask_of(row) for name, row in found.items()} == {
        "a.png": str(tmp_path / "masks" / "a.png"),
        "b.png": None,
        "d.png": None,
    }
    assert [str(problem) for problem in problems] == [
        f"{table}: row 3, column 'Mask': the mask 'masks/b.png' is not here; taken as none",
        f"{table}: row 4, column 'Mask': image and mask are one file, {tmp_path / 'images' / 'c.png'}; left out",
    ]


def test_repeated_missing_and_odd_lines_of_a_table_are_noted_with_their_place(tmp_path: Path) -> None:
    files(tmp_path / "a.png", tmp_path / "b.png")
    lines = ["a.png,1,40,F,PA,covid", "A.PNG,1,40,F,PA,covid", "a.png,2,40,F,PA,normal", "b.png,3,young,x,PA,covid"]
    table = text(tmp_path / "t.csv", HEADER, *lines, ",4,1,F,PA,covid", "../a/b/c.png,4,1,F,PA,covid", "b.png")
    problems: Problems = []
    rows = list(column_map("mine", "t.csv", OURS)(tmp_path, problems))
    assert [(row.patient_id, row.age_years, row.sex) for row in rows] == [("1", 40, "F"), ("3", None, None)]
    assert [str(problem).removeprefix(f"{table}: ") for problem in problems] == [
        "row 8: has 1 cells, the header 6; left out",
        "row 3, column 'File': A.PNG was in row 2 already; left out",
        "row 4, column 'File': a.png was in row 2 already, there with another patient, class; the first is kept",
        "row 5, column 'Age': 'young' is not an age; taken as unknown",
        "row 5, column 'Sex': 'x' is not a sex (F, M, female, male); taken as unknown",
        "row 6, column 'File': 2 of 6 listed images are not here, the first is ''",
    ]


@pytest.mark.parametrize(("encoding", "rows_noted"), [("utf-8", []), ("utf-8-sig", []), ("cp1252", [2])])
def test_a_table_may_be_in_another_encoding(tmp_path: Path, encoding: str, rows_noted: list[int]) -> None:
    files(tmp_path / "a.png")
    text(tmp_path / "t.csv", "File,Befund", "a.png,Überlagerung", encoding=encoding)
    problems: Problems = []
    [row] = column_map("mine", "t.csv", {"image": "file", "diagnosis": "befund"})(tmp_path, problems)
    assert row.diagnosis == "Überlagerung"
    assert [problem.row for problem in problems] == rows_noted


def test_a_map_or_a_table_that_does_not_fit_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="columns of mine: no field doctor; the fields are image, "):
        column_map("mine", "t.csv", {"image": "File", "doctor": "Name"})
    text(tmp_path / "t.csv", "Which,Class", "a.png,covid")
    with pytest.raises(DataError, match=r"t\.csv: no column for image; it has which, class\. Say which: columns ="):
        list(column_map("mine", "t.csv", {"label": "Class"})(tmp_path, []))
    (tmp_path / "t.csv").unlink()
    reader = column_map("mine", "t.csv", OURS)
    with pytest.raises(DataError, match=r"t\.csv: cannot be read \(No such file"):
        list(reader(tmp_path, []))
    text(tmp_path / "t.csv", HEADER.replace("Patient", "Person"))
    with pytest.raises(DataError, match=r"t\.csv: lacks the column\(s\) Patient"):
        list(reader(tmp_path, []))
    for header in ("", HEADER):
        text(tmp_path / "t.csv", header)
        with pytest.raises(DataError, match=r"t\.csv: has no line below its header that can be read"):
            list(column_map("mine", "t.csv", {})(tmp_path, []))
    text(tmp_path / "t.csv", HEADER, encoding="utf-16")
    with pytest.raises(DataError, match=r"t\.csv: cannot be read as CSV: it is UTF-16"):
        list(reader(tmp_path, []))


# --- DICOM files


def dicom(path: Path, preamble: bool = True, **elements: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(dataset_of(np.zeros((16, 16), np.uint8), 8, **elements), preamble))
    return path


def header_of(path: Path) -> FilmHeader:
    found = read_film_header(path, problems := [])
    assert found is not None, said(problems)
    return found


def test_dicom_files_of_any_name_tell_what_their_headers_say(tmp_path: Path) -> None:
    about = {"PatientID": "4711", "PatientSex": "F", "PatientAge": "061Y", "ViewPosition": "PA", "Modality": "DX"}
    dicom(tmp_path / "a" / "IM000001", **about, Manufacturer="Acme", ImagerPixelSpacing=[5, 5])
    dicom(tmp_path / "a" / "lateral.DCM", **(about | {"ViewPosition": "LL"}))
    dicom(tmp_path / "b" / "bare.ima", False, PatientID="4712", PatientAge="011M")
    problems: Problems = []
    found = by_name(dicom_folder("pacs")(tmp_path, problems))
    assert {name: (row.view, row.age_years, row.sex, row.modality, row.exclude) for name, row in found.items()} == {
        "IM000001": ("PA", 61, "F", "X-ray", None),
        "lateral.DCM": ("L", 61, "F", "X-ray", "view L"),
        "bare.ima": (None, pytest.approx(11 / 12), None, "X-ray", "under 18"),
    }
    row = found["IM000001"]
    assert (row.source, row.acquisition) == ("pacs", "Acme, view PA, 5 x 5 mm")
    assert (row.diagnosis, row.label, row.equipment) == ("a", None, None)
    assert problems == []


def test_patients_are_grouped_over_folders_by_a_hash_and_neither_name_nor_number_is_written(tmp_path: Path) -> None:
    for place, patient in (("x/1", " 4711"), ("x/2", "4712"), ("y/1", "4711 ")):
        dicom(tmp_path / place, PatientID=patient, PatientName="Roe^Richard", PatientAge="old")
    problems: Problems = []
    rows = list(dicom_folder("pacs")(tmp_path, problems))
    code = hashlib.sha256(b"4711").hexdigest()[:16]
    assert rows[0].patient_id == rows[2].patient_id == code
    assert rows[0].group_id == rows[2].group_id == f"pacs-{code}" != rows[1].group_id
    written = "".join(map(repr, rows)) + said(problems)
    written = written.replace(str(tmp_path), "")
    assert not any(secret in written for secret in ("4711", "4712", "Roe"))


@pytest.mark.parametrize("patient", ["", "Anonymous", "ANON", "unknown", "n/a", None])
def test_a_placeholder_for_a_patient_s_number_is_no_patient(tmp_path: Path, patient: str | None) -> None:
    dicom(tmp_path / "a.dcm", **({} if patient is None else {"PatientID": patient}))
    [row] = dicom_folder("pacs")(tmp_path, [])
    assert (row.patient_id, row.group_id) == (None, "")


@pytest.mark.parametrize(
    ("elements", "modality", "reason"),
    [
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "CT", "modality CT"),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, None, "its header says modality CT"),
        ({"Modality": "OT"}, None, None),
        ({"Modality": None}, None, None),
        ({"BodyPartExamined": "KNEE"}, "X-ray", "the header gives the body part as KNEE"),
        ({"BodyPartExamined": "CHEST PORT"}, "X-ray", None),
        ({"NumberOfFrames": 30}, "X-ray", "it holds 30 frames"),
    ],
)
def test_what_is_no_chest_film_by_its_header_is_excluded_and_what_is_silent_is_not(
    tmp_path: Path, elements: dict[str, Any], modality: str | None, reason: str | None
) -> None:
    header = header_of(dicom(tmp_path / "a.dcm", **elements))
    assert (header.modality, header.exclude) == (modality, reason)


def test_files_that_are_not_dicom_or_no_pictures_are_noted_and_the_others_read(tmp_path: Path) -> None:
    good = dicom(tmp_path / "good.dcm")
    text(tmp_path / "readme.txt", "nothing here")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "picture.dcm").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
    (tmp_path / "cut.dcm").write_bytes(good.read_bytes()[:200])
    dicom(tmp_path / "report.dcm", Rows=None)
    (tmp_path / "damaged.dcm").write_bytes(
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100\x08\x00\x60\x00CS\x02\x00CR\x08\x00\x05\x00" + b"A" * 300
    )
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    problems: Problems = []
    assert by_name(dicom_folder("pacs")(tmp_path, problems)).keys() == {"good.dcm"}
    told = {Path(problem.file).name: problem.message for problem in problems}
    assert told.keys() == {"readme.txt", "empty.dcm", "picture.dcm", "cut.dcm", "report.dcm", "damaged.dcm", "gone.dcm"}
    assert all(message.endswith("; left out") for message in told.values())
    assert told["picture.dcm"].startswith("is not a DICOM file")
    assert told["damaged.dcm"].startswith("is a damaged DICOM file (")
    assert told["report.dcm"].startswith("is DICOM without a picture")
    assert told["gone.dcm"].startswith("cannot be read (No such file or directory)")


def test_a_folder_without_dicom_is_an_error_that_names_it(tmp_path: Path) -> None:
    files(tmp_path / "a.png")
    with pytest.raises(DataError, match="no DICOM images here; give the folder that holds them"):
        list(dicom_folder("pacs")(tmp_path, []))


# --- words, delimiters, columns


@pytest.mark.parametrize(
    ("words", "view"),
    [
        *((words, "PA") for words in ("pa", "Postero-Anterior", "Posterior Anterior", "PA erect", "frontal PA")),
        *((words, "AP") for words in ("ap", "AP portable", "antero-posterior", "Anterior/Posterior", "AP (bedside)")),
        *((words, "L") for words in ("L", "lat", "LL", "left lateral", "Lateral view")),
        *((words, words) for words in ("Frontal", "Axial", "PA or AP", "AP lordotic", "oblique")),
        *(("AP supine", "AP Supine"), ("ap erect", "AP Erect")),
        (None, None),
    ],
)
def test_a_view_has_many_names(words: str | None, view: str | None) -> None:
    assert view_of(words) == view


def test_a_modality_has_many_names() -> None:
    assert {modality_of(words) for words in ("DX", "cr", "X-Ray", "x ray", "Chest X-ray", "radiograph")} == {"X-ray"}
    assert [modality_of(words) for words in ("OT", "sc", None, "CT", "Computed Tomography", "US")] == [
        None,
        None,
        None,
        "CT",
        "CT",
        "US",
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_s_delimiter_and_usual_columns_are_found_and_the_others_are_carried(
    tmp_path: Path, mark: str, encoding: str
) -> None:
    files(tmp_path / "a.png", tmp_path / "b.png")
    header = ["File Name", "Patient-ID", "Age", "Class", "View Position", "Scanner", "Site, or ward"]
    cells = [["a.png", "007", "61,5", "TB", "Posterior-Anterior", "Acme", "1;2|3,4\t5"]]
    cells += [["b.png", "8", "40", "NORMAL", "AP portable", "", ""]]
    lines = [mark.join(f'"{cell}"' if mark in cell else cell for cell in line) for line in [header, *cells]]
    text(tmp_path / "t.csv", *lines, encoding=encoding)
    problems: Problems = []
    found = by_name(column_map("mine", "t.csv", {})(tmp_path, problems))
    assert {
        name: (row.patient_id, row.age_years, row.diagnosis, row.label, row.view) for name, row in found.items()
    } == {
        "a.png": ("007", 61.5, "TB", None, "PA"),
        "b.png": ("8", 40, "NORMAL", "normal", "AP"),
    }
    assert found["a.png"].extra == {"scanner": "Acme", "site, or ward": "1;2|3,4\t5"}
    assert problems == []


def test_only_the_columns_that_are_named_are_carried_and_mapped_ones_never(tmp_path: Path) -> None:
    files(tmp_path / "a.png")
    text(tmp_path / "t.csv", "File,Scanner,Name,Age", "a.png,Acme,Roe,40")
    source = OwnSource(name="m", kind="table", table="t.csv", columns={"image": "File"}, carry=("Scanner",))
    [row] = own_reader(source)(tmp_path, [])
    assert (row.extra, row.age_years) == ({"scanner": "Acme"}, None)


@pytest.mark.parametrize(
    "column",
    """PatientName|Patient's name|Name|Surname|first_name|Nachname|Birthdate|Date of Birth|DOB|Geburtsdatum|MRN|Subject
    |Accession-Number|E-Mail|Insurance no.""".replace("\n    ", "").split("|"),
)
def test_what_may_say_who_the_patient_is_is_carried_only_where_it_is_named(tmp_path: Path, column: str) -> None:
    files(tmp_path / "a.png")
    table = text(tmp_path / "t.csv", f"File,Scanner,{column}", "a.png,Acme,Roe")
    columns = {"image": "File"}
    problems: Problems = []
    [row] = own_reader(OwnSource(name="m", kind="table", table="t.csv", columns=columns))(tmp_path, problems)
    assert row.extra == {"scanner": "Acme"}
    told = f"not carried, as they may say who the patients are: {column.casefold()}; carry takes them"
    assert said(problems) == f"{table}: {told}"
    source = OwnSource(name="m", kind="table", table="t.csv", columns=columns, carry=(column,))
    [row] = own_reader(source)(tmp_path, problems := [])
    assert (row.extra, problems) == ({column.casefold(): "Roe"}, [])


# --- DICOM files with a table, or in a folder a class


def test_dicom_files_get_their_diagnosis_from_a_table_by_any_key(tmp_path: Path) -> None:
    elements = {"PatientID": "4711", "AccessionNumber": "A1", "SOPInstanceUID": "1.2.3", "PatientAge": "061Y"}
    dicom(tmp_path / "in" / "IM1", **elements)
    dicom(
        tmp_path / "in" / "IM2",
        **(elements | {"PatientID": "4712", "AccessionNumber": "A2", "SOPInstanceUID": "1.2.4"}),
    )
    for key, cell in (
        ("PatientID", "4711"),
        ("Accession Number", "A1"),
        ("SOPInstanceUID", "1.2.3"),
        ("file", "in/IM1"),
    ):
        text(tmp_path / "t.csv", f"{key};Diagnosis;Ward", f"{cell};TB;7", "9;normal;8")
        problems: Problems = []
        found = by_name(dicom_folder("pacs", "t.csv")(tmp_path, problems))
        about = {name: (row.diagnosis, row.age_years, dict(row.extra)) for name, row in found.items()}
        assert about == {"IM1": ("TB", 61, {"ward": "7"}), "IM2": (None, 61, {})}, key
        assert said(problems) == f"{tmp_path / 't.csv'}: has no line of 1 of 2 films; their diagnosis stays unknown"
        assert "4711" not in "".join(map(repr, found.values()))


def test_two_diagnoses_of_one_patient_are_noted_and_a_table_without_a_key_is_an_error(tmp_path: Path) -> None:
    dicom(tmp_path / "IM1", PatientID="4711")
    text(tmp_path / "t.csv", "PatientID,Diagnosis", "4711,TB", "4711,normal")
    problems: Problems = []
    [row] = dicom_folder("pacs", "t.csv")(tmp_path, problems)
    assert row.diagnosis == "TB"
    assert said(problems).endswith("has another diagnosis than row 2; the first is kept")
    text(tmp_path / "t.csv", "Who,Diagnosis", "4711,TB")
    with pytest.raises(DataError, match="no column for sop_instance_uid, image, accession_number, patient_id"):
        list(dicom_folder("pacs", "t.csv")(tmp_path, []))


def test_dicom_files_in_a_folder_a_class_have_its_name_as_diagnosis(tmp_path: Path) -> None:
    dicom(tmp_path / "Normal" / "p1" / "IM1")
    dicom(tmp_path / "IM2")
    found = by_name(dicom_folder("pacs")(tmp_path, []))
    assert {name: (row.diagnosis, row.label) for name, row in found.items()} == {
        "IM1": ("Normal", "normal"),
        "IM2": (None, None),
    }


# --- the three, as a configuration names them


def test_a_configuration_s_own_sources_are_read_by_their_kind(tmp_path: Path) -> None:
    files(tmp_path / "covid" / "a.png")
    text(tmp_path / "t.csv", "File", "a.png")
    classes = OwnSource(name="c", kind="class folders")  # as version 0.1.0 wrote it
    table = OwnSource(name="t", kind="table", table="t.csv", columns={"image": "File"})
    assert [(row.source, row.diagnosis) for row in own_reader(classes)(tmp_path, [])] == [("c", "covid")]
    assert [(row.source, row.diagnosis) for row in own_reader(table)(tmp_path, [])] == [("t", None)]
    dicom(tmp_path / "film")
    assert [row.source for row in own_reader(OwnSource(name="d", kind="dicom-folder"))(tmp_path, [])] == ["d"]
