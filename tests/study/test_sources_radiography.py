"""The reader of the COVID-19 Radiography Database, on made-up trees of its published layouts."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook

from lunglens.errors import DataError
from lunglens.study.sources.radiography import radiography
from lunglens.study.sources.registry import Problems
from tests.support.published import by_name, files, mask_of, said

CLASSES = ("COVID", "Normal", "Viral Pneumonia", "Lung_Opacity")
KAGGLE = "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia"
RSNA = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"


def sheet(path: Path, *lines: Sequence[object]) -> Path:
    book = Workbook()
    for line in lines:
        book.worksheets[0].append(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def radiography_tree(home: Path, per_class: int = 1) -> None:
    header = ("FILE NAME", "FORMAT", "SIZE", "URL")
    for name in CLASSES:
        numbers = range(1, per_class + 1)
        files(*(home / name / part / f"{name}-{i}.png" for i in numbers for part in ("images", "masks")))
        url = KAGGLE if name == "Viral Pneumonia" else RSNA
        lines = [(f"{name.upper()}-{i}", "PNG", "256*256", url) for i in numbers]
        sheet(home / f"{name}.metadata.xlsx", header, *lines)


def test_the_fifth_version_has_images_masks_and_origins(tmp_path: Path) -> None:
    home = tmp_path / "COVID-19_Radiography_Dataset"
    radiography_tree(home)
    problems: Problems = []
    found = by_name(radiography(tmp_path, problems))
    assert {name: (row.diagnosis, row.label) for name, row in found.items()} == {
        "COVID-1.png": ("COVID", "covid"),
        "Normal-1.png": ("Normal", "normal"),
        "Viral Pneumonia-1.png": ("Viral Pneumonia", "pneumonia"),
        "Lung_Opacity-1.png": ("Lung_Opacity", "pneumonia"),
    }
    row = found["COVID-1.png"]
    assert row.path == str(home / "COVID" / "images" / "COVID-1.png")
    assert (mask_of(row), row.mask_rule) == (str(home / "COVID" / "masks" / "COVID-1.png"), "fields")
    assert (row.patient_id, row.group_id, row.view, row.acquisition) == (None, "", None, RSNA)
    assert problems == []


def test_pictures_that_come_from_the_children_s_set_are_under_18(tmp_path: Path) -> None:
    radiography_tree(tmp_path)
    assert {row.diagnosis: row.exclude for row in radiography(tmp_path, [])} == {
        "COVID": None,
        "Normal": None,
        "Viral Pneumonia": "under 18",
        "Lung_Opacity": None,
    }


def test_the_first_version_has_other_names_and_no_masks(tmp_path: Path) -> None:
    files(tmp_path / "COVID-19" / "COVID-19 (1).png", tmp_path / "NORMAL" / "NORMAL (1).png")
    files(tmp_path / "Viral Pneumonia" / "Viral Pneumonia (1).png")
    header = ("FILE NAME", "FORMAT", "SIZE", "URL")
    sheet(tmp_path / "COVID-19.metadata.xlsx", header, ("COVID-19(1)", "PNG", "1024*1024", "https://sirm.org"))
    sheet(tmp_path / "NORMAL.metadata.xlsx", header, ("NORMAL(1)", "PNG", "1024*1024", KAGGLE))
    sheet(tmp_path / "Viral Pneumonia.matadata.xlsx", header, ("Viral Pneumonia(1)", "PNG", "1024*1024", KAGGLE))
    problems: Problems = []
    found = list(radiography(tmp_path, problems))
    assert {(row.label, row.exclude, mask_of(row), row.mask_rule) for row in found} == {
        ("covid", None, None, None),
        ("normal", "under 18", None, None),
        ("pneumonia", "under 18", None, None),
    }
    assert problems == []


def test_a_copy_without_folders_goes_by_the_files_names(tmp_path: Path) -> None:
    files(*(tmp_path / "images" / name for name in ("COVID-3.jpg", "covid-19 (7).jpg", "Normal-5.jpg")))
    problems: Problems = []
    labels = {name: row.label for name, row in by_name(radiography(tmp_path, problems)).items()}
    assert labels == {"COVID-3.jpg": "covid", "covid-19 (7).jpg": "covid", "Normal-5.jpg": "normal"}
    assert f"{tmp_path / 'covid.metadata.xlsx'}: is missing" in said(problems)


def test_repeated_and_absent_lines_of_a_workbook_are_noted(tmp_path: Path) -> None:
    files(tmp_path / "COVID" / "images" / "COVID-1.png", tmp_path / "COVID" / "images" / "COVID-4.png")
    lines = [("COVID-1", RSNA), ("covid-1", KAGGLE), (None, None), ("COVID-2", RSNA), ("COVID-3", RSNA)]
    table = sheet(tmp_path / "COVID.metadata.xlsx", ("file name", "Url"), *lines)
    problems: Problems = []
    found = by_name(radiography(tmp_path, problems))
    assert (found["COVID-1.png"].exclude, found["COVID-4.png"].acquisition) == (None, None)
    assert [str(problem) for problem in problems] == [
        f"{table}: row 3, column 'FILE NAME': covid-1 was in row 2 already; left out",
        f"{table}: row 5, column 'FILE NAME': 2 of 3 listed images are not here, the first is 'COVID-2'",
    ]


def test_a_workbook_without_a_column_names_it(tmp_path: Path) -> None:
    files(tmp_path / "COVID" / "images" / "COVID-1.png")
    sheet(tmp_path / "COVID.metadata.xlsx", ("FILE NAME", "FORMAT"), ("COVID-1", "PNG"))
    with pytest.raises(DataError, match=r"COVID\.metadata\.xlsx: lacks the column\(s\) URL"):
        list(radiography(tmp_path, []))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a workbook", b"FILE NAME,URL\n"])
def test_a_file_that_is_no_workbook_is_an_error_with_its_path(tmp_path: Path, content: bytes) -> None:
    files(tmp_path / "COVID" / "images" / "COVID-1.png")
    (tmp_path / "COVID.metadata.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"COVID\.metadata\.xlsx: cannot be read as an xlsx workbook"):
        list(radiography(tmp_path, []))


def test_an_empty_workbook_lacks_its_columns(tmp_path: Path) -> None:
    files(tmp_path / "COVID" / "images" / "COVID-1.png")
    sheet(tmp_path / "COVID.metadata.xlsx")
    with pytest.raises(DataError, match=r"lacks the column\(s\) FILE NAME, URL"):
        list(radiography(tmp_path, []))


def test_another_set_is_not_taken_for_it(tmp_path: Path) -> None:
    files(tmp_path / "images" / "00000001_000.png")
    with pytest.raises(DataError, match="no folder COVID, Normal, Viral Pneumonia or Lung_Opacity"):
        list(radiography(tmp_path, []))


@pytest.mark.data
def test_the_copy_at_hand_is_read(real_data: Path) -> None:
    labels = [row.label for row in radiography(real_data / "covid19-radiography-224", [])]
    assert (labels.count("covid"), labels.count("normal"), len(labels)) == (2553, 3000, 5553)
