"""Readers of CheXpert and RSNA, on made-up trees of their published layouts."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lunglens.errors import DataError
from lunglens.study.sources.chexpert import COLUMNS, FINDINGS, chexpert
from lunglens.study.sources.nih import nih
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.rsna import rsna
from lunglens.study.sources.rsna_readings import CLASSES, MAPPING, MATCHED, MINED, relabelled
from tests.support.dicom_files import dataset_of, encoded
from tests.support.published import by_stem, files, said, text

HEADER = ",".join(COLUMNS)
TARGETS = "stage_2_train_labels.csv"


def places(problems: Sequence[Problem]) -> list[tuple[str, int | None, str | None]]:
    return [(Path(problem.file).name, problem.row, problem.column) for problem in problems]


# --- CheXpert

LATERAL = "CheXpert-v1.0-small/train/patient00001/study2/view2_lateral.jpg"
FIRST = "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg"
SECOND = "CheXpert-v1.0-small/train/patient00002/study1/view1_frontal.jpg"


def film(path: str, about: str = "Female,68,Frontal,AP", **labels: str) -> str:
    """One line of CheXpert's tables; `labels` by the finding's name with _ for blanks."""
    return ",".join([path, about, *(labels.get(name.replace(" ", "_"), "") for name in FINDINGS)])


def chexpert_tree(root: Path, *lines: str, encoding: str = "utf-8", header: str = HEADER) -> Path:
    """train.csv with `lines`, and the images that they name, as unpacked."""
    files(*(root / line.split(",")[0] for line in lines))
    return text(root / "CheXpert-v1.0-small" / "train.csv", header, *lines, encoding=encoding)


def test_chexpert_s_small_release_is_read_from_above_and_from_inside(tmp_path: Path) -> None:
    chexpert_tree(
        tmp_path,
        film(FIRST, No_Finding="1.0"),
        film(LATERAL, "Female,70,Lateral,", Pneumonia="1.0", Edema="1.0"),
        film(SECOND, "Unknown,,Frontal,PA"),
    )
    valid = "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg"
    files(tmp_path / valid)
    text(tmp_path / "CheXpert-v1.0-small" / "valid.csv", HEADER, film(valid, "Male,73,Frontal,AP", Pneumonia="0.0"))
    problems: Problems = []
    rows = list(chexpert(tmp_path, problems))
    assert [(row.view, row.age_years, row.sex, row.label, row.diagnosis, row.exclude) for row in rows] == [
        ("AP", 68, "F", "normal", "No Finding", None),
        ("L", 70, "F", "pneumonia", "Edema|Pneumonia", "view L"),
        ("PA", None, None, "other", None, None),
        ("AP", 73, "M", "other", None, None),
    ]
    patients = ["patient00001", "patient00001", "patient00002", "patient64541"]
    assert [(row.patient_id, row.group_id) for row in rows] == [(name, f"chexpert-{name}") for name in patients]
    assert rows == list(chexpert(tmp_path / "CheXpert-v1.0-small", []))
    assert problems == []


def test_what_chexpert_calls_uncertain_is_neither_finding_nor_absence(tmp_path: Path) -> None:
    chexpert_tree(tmp_path, film(FIRST, Pneumonia="-1.0", Edema="-1", Cardiomegaly="1", Fracture="0.0"))
    [row] = chexpert(tmp_path, [])
    assert (row.diagnosis, row.uncertain, row.label) == ("Cardiomegaly", "Edema|Pneumonia", "other")


@pytest.mark.parametrize(("cell", "equipment"), [("1.0", True), ("0.0", False), ("-1.0", None), ("", None)])
def test_support_devices_are_equipment_and_a_blank_is_not_none(tmp_path: Path, cell: str, equipment: bool) -> None:
    chexpert_tree(tmp_path, film(FIRST, No_Finding="1.0", Support_Devices=cell))
    [row] = chexpert(tmp_path, [])
    assert row.equipment is equipment
    assert row.label == "normal"


def test_frontal_films_with_a_lateral_projection_are_lateral_and_others_are_noted(tmp_path: Path) -> None:
    about = ["Male,40,Frontal,LL", "Male,40,frontal,rl", "Male,40,FRONTAL,pa", "Male,40,Frontal,", "Male,40,Frontal,XY"]
    paths = [FIRST.replace("study1", f"study{i}") for i in range(1, 7)]
    chexpert_tree(tmp_path, *(film(path, words) for path, words in zip(paths, [*about, "Male,40,,"], strict=True)))
    problems: Problems = []
    assert [row.view for row in chexpert(tmp_path, problems)] == ["L", "L", "PA", "Frontal", "Frontal", None]
    assert said(problems).endswith("row 6, column 'AP/PA': 'XY' is none of AP, PA, LL, RL; taken as unknown")


def test_the_full_release_in_batches_and_a_copy_with_another_ending_are_found(tmp_path: Path) -> None:
    files(tmp_path / "CheXpert-v1.0 batch 2 (train 1)" / "patient00001" / "study1" / "VIEW1_frontal.PNG")
    path = "CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"
    text(tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)" / "train.csv", HEADER, film(path))
    problems: Problems = []
    assert [Path(row.path).name for row in chexpert(tmp_path, problems)] == ["VIEW1_frontal.PNG"]
    assert problems == []


def test_a_film_that_lies_here_twice_is_taken_once_and_noted(tmp_path: Path) -> None:
    chexpert_tree(tmp_path, film(FIRST))
    converted = tmp_path / FIRST.replace(".jpg", ".png")
    files(converted)
    problems: Problems = []
    assert [row.path for row in chexpert(tmp_path, problems)] == [str(tmp_path / FIRST)]
    assert said(problems).startswith(f"{converted}: is {tmp_path / FIRST} again; 1 films are here twice")


def test_two_releases_beside_each_other_are_an_error_that_names_both(tmp_path: Path) -> None:
    for name in ("CheXpert-v1.0", "CheXpert-v1.0-small"):
        text(tmp_path / name / "train.csv", HEADER)
    with pytest.raises(DataError, match=r"v1\.0/train\.csv and .*-small/train\.csv: two releases"):
        list(chexpert(tmp_path, []))


def test_missing_repeated_and_broken_lines_of_chexpert_are_noted_with_their_place(tmp_path: Path) -> None:
    odd = film(SECOND, "woman,ninety,Frontal,AP", Pneumonia="yes")
    table = chexpert_tree(tmp_path, film(FIRST), film(FIRST), film(FIRST, Edema="1.0"), odd, "short,line")
    with table.open("a") as stream:
        stream.write(film(SECOND.replace("00002", "00003")) + "\n")
    problems: Problems = []
    rows = list(chexpert(tmp_path, problems))
    assert [(row.patient_id, row.age_years, row.sex, row.diagnosis) for row in rows] == [
        ("patient00001", 68, "F", None),
        ("patient00002", None, None, None),
    ]
    words = said(problems)
    assert f"{table}: row 6: has 2 cells, the header 19; left out" in words
    assert "row 3, column 'Path': " + FIRST + " was in row 2 already; left out" in words
    assert "row 4, column 'Path': " + FIRST + " was in row 2 already, there with another edema; the first is" in words
    assert "row 5, column 'Age': 'ninety' is not an age" in words
    assert "row 5, column 'Sex': 'woman' is not a sex" in words
    assert "row 5, column 'Pneumonia': 'yes' is not 1 (positive), 0 (negative), -1 (uncertain) or blank" in words
    assert "row 7, column 'Path': 1 of 5 listed images are not here" in words
    assert len(problems) == 7


def test_pneumonia_beside_no_finding_and_a_path_without_a_patient_are_noted(tmp_path: Path) -> None:
    strange = "CheXpert-v1.0-small/train/somebody/study1/view1_frontal.jpg"
    chexpert_tree(tmp_path, film(FIRST, No_Finding="1.0", Pneumonia="1.0"), film(strange))
    problems: Problems = []
    rows = list(chexpert(tmp_path, problems))
    assert [(row.label, row.patient_id, row.group_id) for row in rows] == [
        ("other", "patient00001", "chexpert-patient00001"),
        ("other", None, ""),
    ]
    assert places(problems) == [("train.csv", 2, "Pneumonia"), ("train.csv", 3, "Path")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_chexpert_s_columns_may_be_of_another_case_and_encoding(tmp_path: Path, encoding: str) -> None:
    chexpert_tree(tmp_path, film(FIRST, No_Finding="1.0") + ",né", encoding=encoding, header=f"{HEADER.upper()},Remark")
    problems: Problems = []
    assert [row.label for row in chexpert(tmp_path, problems)] == ["normal"]
    assert places(problems) == ([("train.csv", 2, None)] if encoding == "cp1252" else [])


def test_a_byte_of_windows_1252_after_a_byte_order_mark_and_letters_of_utf8_is_read(tmp_path: Path) -> None:
    table = chexpert_tree(tmp_path, film(FIRST))
    lines = f"\ufeff{HEADER},Remark\n{film(FIRST)},éé".encode() + b"\xe9\n"
    table.write_bytes(lines)
    problems: Problems = []
    assert len(list(chexpert(tmp_path, problems))) == 1
    assert said(problems) == f"{table}: row 2: is not UTF-8; the table is read as Windows-1252"


def test_chexpert_in_utf16_without_a_column_without_tables_or_films_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv and valid\.csv are missing"):
        list(chexpert(tmp_path, []))
    text(tmp_path / "train.csv", HEADER, film(FIRST), encoding="utf-16")
    with pytest.raises(DataError, match=r"train\.csv: cannot be read as CSV: it is UTF-16.* save it as CSV in UTF-8"):
        list(chexpert(tmp_path, []))
    text(tmp_path / "train.csv", HEADER.replace("Support Devices", "Devices"))
    with pytest.raises(DataError, match=r"train\.csv: lacks the column\(s\) Support Devices"):
        list(chexpert(tmp_path, []))
    text(tmp_path / "train.csv", HEADER, film(FIRST))
    with pytest.raises(DataError, match="no images here"):
        list(chexpert(tmp_path, []))


# --- RSNA


def dicom(path: Path, **elements: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"PatientAge": "51", "PatientSex": "F", "ViewPosition": "PA", "PatientID": path.stem} | elements
    path.write_bytes(encoded(dataset_of(np.zeros((4, 4), np.uint8), 8, **about)))
    return path


def rsna_tree(root: Path, classes: Sequence[str], targets: Sequence[str], mapping: Sequence[tuple[str, str]]) -> None:
    for name in {line.split(",")[0].lower() for line in classes}:
        dicom(root / "stage_2_train_images" / f"{name}.dcm")
    text(root / CLASSES, "patientId,class", *classes)
    text(root / TARGETS, "patientId,x,y,width,height,Target", *targets)
    (root / MAPPING).write_text(json.dumps([{"subset_img_id": name, "img_id": nih} for name, nih in mapping]))


def test_rsna_s_lines_a_box_are_one_film_with_the_header_s_age_and_the_patient_of_nih(tmp_path: Path) -> None:
    rsna_tree(
        tmp_path,
        ["A-1,Lung Opacity", "a-1,lung opacity", "b-2,No Lung Opacity / Not Normal", "c-3,Normal"],
        ["a-1,264,152,213,379,1", "a-1,562,152,256,453,1", "b-2,,,,,0", "c-3,,,,,0"],
        [("a-1", "00000007_001.png"), ("b-2", "00000007_014.png"), ("c-3", "00030805_000.png")],
    )
    problems: Problems = []
    found = by_stem(rsna(tmp_path, problems))
    assert {name: (row.label, row.patient_id, row.group_id) for name, row in found.items()} == {
        "a-1": ("pneumonia", "7", "nih-chestxray14-7"),
        "b-2": ("other", "7", "nih-chestxray14-7"),
        "c-3": ("normal", "30805", "nih-chestxray14-30805"),
    }
    row = found["b-2"]
    assert (row.age_years, row.sex, row.view, row.modality, row.exclude) == (51, "F", "PA", "X-ray", None)
    assert row.diagnosis == "No Lung Opacity / Not Normal"
    assert problems == []


def test_without_rsna_s_mapping_patients_are_unknown_because_an_id_is_one_film_s(tmp_path: Path) -> None:
    rsna_tree(tmp_path, ["a,Normal"], ["a,,,,,0"], [])
    (tmp_path / MAPPING).unlink()
    problems: Problems = []
    [row] = rsna(tmp_path, problems)
    assert (row.patient_id, row.group_id) == (None, "")
    assert f"{tmp_path / MAPPING}: is not here" in said(problems)


def test_films_that_only_some_of_rsna_s_files_know_are_noted(tmp_path: Path) -> None:
    rsna_tree(tmp_path, ["a,Normal", "b,Normal"], ["a,,,,,0", "c,,,,,0"], [("b", "00000001_000.png")])
    dicom(tmp_path / "stage_2_train_images" / "c.dcm")
    (tmp_path / "stage_2_train_images" / "b.dcm").unlink()
    problems: Problems = []
    [row] = rsna(tmp_path, problems)
    assert (Path(row.path).stem, row.group_id) == ("a", "")
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in problems] == [
        f"{TARGETS}: row 3, column 'patientId': 1 films have no class, this is the first; left out",
        f"{CLASSES}: row 2, column 'patientId': {MAPPING} lacks 1 films, this is the first; patient unknown",
        f"{CLASSES}: row 3, column 'patientId': 1 of 2 listed images are not here, the first is 'b'",
    ]


def test_contradictions_in_and_between_rsna_s_tables_are_noted(tmp_path: Path) -> None:
    names = "abcd"
    rsna_tree(
        tmp_path,
        ["a,Normal", "a,Lung Opacity", "b,Normal", "c,Pneumonia?", "d,Lung Opacity"],
        ["a,,,,,0", "b,1,1,1,1,1", "c,,,,,0", "d,,,,,x"],
        [(name, "00000001_000.png") for name in names],
    )
    problems: Problems = []
    found = by_stem(rsna(tmp_path, problems))
    assert [(found[name].label, found[name].exclude) for name in names] == [
        ("normal", None),
        ("normal", "tables disagree on the label"),
        (None, None),
        ("pneumonia", None),
    ]
    assert places(problems) == [
        (CLASSES, 3, "class"),
        (TARGETS, 3, "Target"),
        (CLASSES, 5, "class"),
        (TARGETS, 5, "Target"),
    ]
    assert "'Lung Opacity', but 'Normal' in row 2; the first is kept" in said(problems)
    assert "'1' disagrees with the class 'Normal'" in said(problems)
    assert "'x' is not 0 or 1; taken as unknown" in said(problems)


def test_films_that_are_damaged_converted_or_of_an_odd_age_do_not_stop_rsna(tmp_path: Path) -> None:
    names = ["broken", "old", "young", "converted"]
    rsna_tree(
        tmp_path,
        [f"{name},Normal" for name in names],
        [f"{name},,,,,0" for name in names],
        [(name, f"0000000{number}_000.png") for number, name in enumerate(names)],
    )
    images = tmp_path / "stage_2_train_images"
    (images / "broken.dcm").write_bytes(b"<html>404</html>" * 100)
    dicom(images / "old.dcm", PatientAge="148", PatientSex="O")
    dicom(images / "young.dcm", PatientAge="011Y", ViewPosition="AP")
    (images / "converted.dcm").rename(images / "converted.png")
    problems: Problems = []
    found = by_stem(rsna(tmp_path, problems))
    assert {name: (row.age_years, row.sex, row.view, row.exclude) for name, row in found.items()} == {
        "old": (None, None, "PA", None),
        "young": (11, "F", "AP", "under 18"),
        "converted": (None, None, None, None),
    }
    assert f"{images / 'broken.dcm'}: is not a DICOM file; left out" in said(problems)
    assert f"{images / 'old.dcm'}: column 'PatientAge': '148' is not an age; taken as unknown" in said(problems)


# --- what RSNA's radiologists said of NIH's films

NIH_FILMS = {
    "00000001_000": "No Finding",
    "00000001_001": "Pneumonia|Edema",
    "00000002_000": "Pneumonia",
    "00000003_000": "Pneumonia",
    "00000004_000": "Pneumonia",
}
READ = {"00000001_000": "Lung Opacity", "00000001_001": "Normal", "00000002_000": "No Lung Opacity / Not Normal"}


def nih_tree(folder: Path) -> Path:
    files(*(folder / "images" / f"{name}.png" for name in NIH_FILMS))
    header = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position"
    lines = [f"{name}.png,{finding},{int(name[:8])},40,F,PA" for name, finding in NIH_FILMS.items()]
    text(folder / "Data_Entry_2017_v2020.csv", header, *lines)
    return folder


def matched(folder: Path, place: Path) -> None:
    """The classes by NIH's names."""
    text(folder / MATCHED, "Image Index,rsna class", *(f"{name}.PNG,{said_of}" for name, said_of in READ.items()))


def as_published(folder: Path, place: Path) -> None:
    """RSNA's own table and mapping, which name further films."""
    codes = {f"A-{number}": name for number, name in enumerate(READ)}
    text(place / CLASSES, "patientId,class", *(f"{code},{READ[name]}" for code, name in codes.items()), "b-1,Normal")
    films = [{"subset_img_id": code.lower(), "img_id": f"{name}.png"} for code, name in codes.items()]
    (place / MAPPING).write_text(json.dumps(films))


@pytest.mark.parametrize(
    ("readings", "place"), [(matched, ""), (as_published, "nih-chestxray14"), (as_published, "rsna-pneumonia")]
)
def test_what_radiologists_said_stands_beside_the_mined_label_and_takes_its_place_where_asked(
    tmp_path: Path, readings: Callable[[Path, Path], None], place: str
) -> None:
    folder = nih_tree(tmp_path / "nih-chestxray14")
    readings(folder, tmp_path / place)
    problems: Problems = []
    rows = by_stem(nih(folder, problems))
    assert {name: row.radiologists for name, row in rows.items()} == {name: READ.get(name) for name in NIH_FILMS}
    assert {name: row.diagnosis for name, row in rows.items()} == NIH_FILMS
    again = {name: relabelled(row) for name, row in rows.items()}
    assert {name: (row.label, row.diagnosis, dict(row.extra)) for name, row in again.items()} == {
        "00000001_000": ("pneumonia", "Lung Opacity", {MINED: "No Finding"}),
        "00000001_001": ("normal", "Normal", {MINED: "Pneumonia|Edema"}),
        "00000002_000": ("other", "No Lung Opacity / Not Normal", {MINED: "Pneumonia"}),
        "00000003_000": ("pneumonia", "Pneumonia", {}),
        "00000004_000": ("pneumonia", "Pneumonia", {}),
    }
    assert problems == []


def test_a_class_that_radiologists_did_not_have_is_noted_and_unknown(tmp_path: Path) -> None:
    folder = nih_tree(tmp_path)
    text(folder / MATCHED, "Image Index,rsna class", "00000001_000.png,Opaque", "00000001_001.png,NORMAL")
    problems: Problems = []
    rows = by_stem(nih(folder, problems))
    assert (rows["00000001_000"].radiologists, relabelled(rows["00000001_001"]).label) == (None, "normal")
    assert places(problems) == [(MATCHED, 2, "rsna class")]


@pytest.mark.data
def test_the_classes_at_hand_correct_what_was_mined(real_data: Path) -> None:
    read = [row for row in nih(real_data / "nih-chestxray14", []) if row.radiologists]
    assert Counter((row.label, relabelled(row).label) for row in read) == {
        ("pneumonia", "pneumonia"): 124,
        ("pneumonia", "other"): 106,
        ("pneumonia", "normal"): 57,
        ("normal", "normal"): 19,
        ("normal", "other"): 29,
        ("normal", "pneumonia"): 5,
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CLASSES, "patientId,kind\na,Normal\n", r"class_info\.csv: lacks the column\(s\) class"),
        (CLASSES, None, r"class_info\.csv: cannot be read \(No such file"),
        (TARGETS, "patientId\na\n", r"train_labels\.csv: lacks the column\(s\) Target"),
        (MAPPING, "[{}]", r"mappings_2018\.json: is not RSNA's mapping file \(KeyError"),
        (MAPPING, "not json", r"mappings_2018\.json: is not RSNA's mapping file \(JSONDecodeError"),
    ],
)
def test_a_file_of_rsna_that_is_missing_or_another_one_is_named(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    rsna_tree(tmp_path, ["a,Normal"], ["a,,,,,0"], [("a", "00000001_000.png")])
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(rsna(tmp_path, []))
