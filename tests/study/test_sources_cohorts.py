"""Readers of Actualmed, Figure 1 and COVID-CXNet, on made-up trees of their published layouts."""

from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.study.sources.covid_cxnet import covid_cxnet
from lunglens.study.sources.covidnet import actualmed, figure1
from lunglens.study.sources.registry import Problems
from tests.support.published import by_name, files, said, text

ACTUALMED = "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality,imagename"
ACTUALMED += ",artifacts/distortion,notes"
FIGURE1 = ACTUALMED.replace(",imagename", "")
CXNET = "filename,patient_id,sex,age,view,label,pcr_test,survival,location,url"


# --- Actualmed


def test_actualmed_s_levels_become_labels_and_doubt(tmp_path: Path) -> None:
    images = ["CR.1.2.840.113564.1.2.png", "DX.1.2.840.113564.1.3.png", "DX.1.2.840.113564.1.4.png"]
    files(*(tmp_path / "images" / name for name in images))
    text(
        tmp_path / "metadata.csv",
        ACTUALMED,
        f'ANON24,,,,COVID-19,,,,AP,X-ray,{images[0]},,", date taken (YYYYMMDD): 20200320"',
        f'ANON56,,,,No finding,,,,PA,X-ray,{images[1]},,"Negative (covid-19 viral infection is excluded)"',
        f'ANON56,,,,,,,,PA,X-ray,{images[2]},,"Inconclusive, date taken (YYYYMMDD): 20200313"',
    )
    problems: Problems = []
    rows = list(actualmed(tmp_path, problems))
    assert [(row.label, row.diagnosis, row.uncertain) for row in rows] == [
        ("covid", "COVID-19", None),
        ("normal", "No finding", None),
        ("other", None, "COVID-19"),
    ]
    assert [row.group_id for row in rows] == ["actualmed-ANON24", "actualmed-ANON56", "actualmed-ANON56"]
    assert (rows[0].view, rows[0].age_years, rows[0].sex, rows[0].exclude) == ("AP", None, None, None)
    assert problems == []


def test_actualmed_s_missing_and_repeated_images_are_noted(tmp_path: Path) -> None:
    files(tmp_path / "images" / "a.PNG")
    table = text(
        tmp_path / "metadata.csv",
        ACTUALMED.upper(),
        "ANON1,,,,COVID-19,,,,AP,X-ray,A.png,,",
        "ANON2,,,,COVID-19,,,,AP,X-ray,a.png,,",
        "ANON3,,,,COVID-19,,,,AP,X-ray,gone.png,,",
        "ANON4,,,,COVID-19",
    )
    problems: Problems = []
    assert [row.patient_id for row in actualmed(tmp_path, problems)] == ["ANON1"]
    assert [(problem.file, problem.row, problem.column) for problem in problems] == [
        (str(table), 5, None),
        (str(table), 3, "imagename"),
        (str(table), 4, "imagename"),
    ]


def test_actualmed_without_its_image_column_names_it(tmp_path: Path) -> None:
    files(tmp_path / "images" / "a.png")
    text(tmp_path / "metadata.csv", FIGURE1, "ANON1,,,,COVID-19,,,,AP,X-ray,,")
    with pytest.raises(DataError, match=r"metadata\.csv: lacks the column\(s\) imagename"):
        list(actualmed(tmp_path, []))


# --- Figure 1


def test_figure1_s_images_are_named_by_patient_with_a_letter_a_film(tmp_path: Path) -> None:
    files(*(tmp_path / "images" / name for name in ("COVID-00003a.jpg", "COVID-00003b.png", "COVID-00023.jpg")))
    text(
        tmp_path / "metadata.csv",
        FIGURE1,
        "COVID-00003a,8,M,31,,,39,91,AP erect,X-ray,Some from monitor,a made-up note",
        "COVID-00003b,8,M,31,COVID-19,,39,91,,X-ray,,a made-up note",
        "COVID-00023,,,,No finding,,,,,X-ray,,",
    )
    rows = list(figure1(tmp_path, []))
    assert [(row.patient_id, row.group_id) for row in rows] == [
        *2 * [("COVID-00003", "figure1-COVID-00003")],
        ("COVID-00023", "figure1-COVID-00023"),
    ]
    assert [row.label for row in rows] == ["other", "covid", "normal"]
    assert [row.view for row in rows] == ["AP Erect", None, None]
    assert (rows[0].sex, rows[0].age_years, rows[0].acquisition) == ("M", 31, "Some from monitor")


def test_ages_in_words_stay_unknown_and_are_noted(tmp_path: Path) -> None:
    files(*(tmp_path / "images" / f"COVID-0000{i}.jpg" for i in (1, 2, 3)))
    table = text(
        tmp_path / "metadata.csv",
        FIGURE1,
        "COVID-00001,,M,50+,,,,,AP,X-ray,,",
        "COVID-00002,,,early 40s,Pneumonia,,,,lateral,X-ray,,",
        "COVID-00003,,boy,17,,,,,PA,X-ray,,",
    )
    problems: Problems = []
    rows = list(figure1(tmp_path, problems))
    assert [row.age_years for row in rows] == [None, None, 17]
    assert [row.exclude for row in rows] == [None, "view L", "under 18"]
    assert [str(problem).removeprefix(f"{table}: ") for problem in problems] == [
        "row 2, column 'age': '50+' is not an age; taken as unknown",
        "row 3, column 'age': 'early 40s' is not an age; taken as unknown",
        "row 4, column 'sex': 'boy' is not a sex (F, M, female, male); taken as unknown",
    ]


def test_notes_in_another_encoding_do_not_stop_figure1(tmp_path: Path) -> None:
    files(tmp_path / "images" / "COVID-00007.jpg")
    text(tmp_path / "metadata.csv", FIGURE1, "COVID-00007,,,73,,,38+,,,X-ray,,Fever 38° + cough", encoding="cp1252")
    problems: Problems = []
    assert [row.age_years for row in figure1(tmp_path, problems)] == [73]
    assert "row 2: is not UTF-8" in said(problems)


# --- COVID-CXNet


def test_covid_cxnet_s_table_tells_patient_view_and_test(tmp_path: Path) -> None:
    place = tmp_path / "chest_xray_images" / "covid19"
    files(*(place / name for name in ("260.jpg", "364.JFIF", "280-.jpg", "681.jpg", "757p.jpg", "485.png")))
    files(tmp_path / "documents" / "1.png", tmp_path / "chest_xray_images" / "normal" / "1.png")
    text(
        tmp_path / "metadata.csv",
        CXNET,
        "260.jpg,10,female,68,,COVID-19,positive,,Spain,https://example.org/a",
        "364.jfif,55,male,56,AP,COVID-19,positive,,Spain,https://example.org/a",
        "280-.jpg,18,male,67,PA,COVID-19,positive,,Spain,",
        "681.jpg,168,female,68,AP,COVID-19,negative,1,UK,",
        "757p.jpg,214,male,0.03,AP,COVID-19,positive,1,US,",
        "485.png,148,,17,AP,,positive,,Italy,",
    )
    problems: Problems = []
    found = by_name(covid_cxnet(tmp_path, problems))
    assert {name: row.exclude for name, row in found.items()} == {
        "260.jpg": None,
        "280-.jpg": "no abnormality",
        "364.JFIF": None,
        "485.png": "under 18",
        "681.jpg": "negative PCR",
        "757p.jpg": "under 18",
    }
    row = found["364.JFIF"]
    assert (row.patient_id, row.group_id, row.age_years, row.sex, row.view) == ("55", "covid-cxnet-55", 56, "M", "AP")
    assert (row.label, row.diagnosis, row.case_url) == ("covid", "COVID-19", "https://example.org/a")
    assert (found["260.jpg"].view, found["485.png"].diagnosis) == (None, "COVID-19")
    assert problems == []


def test_films_without_a_line_have_no_patient_and_are_counted(tmp_path: Path) -> None:
    files(
        tmp_path / "chest_xray_images" / "covid19" / "001.jpeg", tmp_path / "chest_xray_images" / "covid19" / "260.jpg"
    )
    table = text(tmp_path / "metadata.csv", CXNET, "260.jpg,10,female,68,,COVID-19,positive,,Spain,")
    problems: Problems = []
    found = by_name(covid_cxnet(tmp_path, problems))
    assert (found["001.jpeg"].patient_id, found["001.jpeg"].group_id, found["001.jpeg"].label) == (None, "", "covid")
    assert said(problems) == f"{table}: tells nothing of 1 of 2 films (patient, age, view), the first is 001.jpeg"


def test_a_copy_without_the_table_says_so(tmp_path: Path) -> None:
    files(*(tmp_path / "images" / name for name in ("001.jpg", "364.jfif.jpg", "506.webp.jpg", "446p.jpg", "166-.jpg")))
    problems: Problems = []
    rows = list(covid_cxnet(tmp_path, problems))
    assert {(row.patient_id, row.age_years, row.view, row.group_id) for row in rows} == {(None, None, None, "")}
    assert [row.exclude for row in rows] == [None, "no abnormality", None, "under 18", None]
    assert f"{tmp_path / 'metadata.csv'}: is missing; tells nothing of 5 of 5 films" in said(problems)


def test_webp_pictures_are_noted_unless_converted(tmp_path: Path) -> None:
    place = tmp_path / "chest_xray_images" / "covid19"
    files(place / "129.webp", place / "139.webp", place / "139.png", place / "001.jpg", place / "001.png")
    problems: Problems = []
    assert by_name(covid_cxnet(tmp_path, problems)).keys() == {"139.png", "001.jpg"}
    assert f"{place / '001.png'}: is another picture of the number of 001.jpg; left out" in said(problems)
    assert f"{place}: 1 pictures are WebP, the first is 129.webp; convert them to PNG" in said(problems)


def test_repeated_lines_and_absent_films_of_covid_cxnet_are_noted(tmp_path: Path) -> None:
    files(tmp_path / "chest_xray_images" / "covid19" / "260.jpg")
    table = text(
        tmp_path / "metadata.csv",
        CXNET,
        "260.jpg,10,female,68,,COVID-19,positive,,Spain,",
        "260.JPG,11,female,68,,COVID-19,positive,,Spain,",
        "999.jpg,12,female,68,,COVID-19,positive,,Spain,",
    )
    problems: Problems = []
    assert [row.patient_id for row in covid_cxnet(tmp_path, problems)] == ["10"]
    assert [(problem.file, problem.row, problem.column) for problem in problems] == [
        (str(table), 3, "filename"),
        (str(table), 4, "filename"),
    ]


def test_covid_cxnet_without_films_or_columns_is_an_error(tmp_path: Path) -> None:
    files(tmp_path / "images" / "README.md")
    with pytest.raises(DataError, match=r"no films like 001\.jpeg here"):
        list(covid_cxnet(tmp_path, []))
    files(tmp_path / "images" / "001.jpg")
    text(tmp_path / "metadata.csv", "filename,patient_id", "001.jpg,1")
    with pytest.raises(DataError, match=r"metadata\.csv: lacks the column\(s\) sex, age, view, label, pcr_test"):
        list(covid_cxnet(tmp_path, []))


# --- the copy at hand


@pytest.mark.data
def test_the_copy_at_hand_is_read(real_data: Path) -> None:
    cxnet = list(covid_cxnet(real_data / "covid-cxnet", []))
    assert (len(cxnet), {row.label for row in cxnet}) == (743, {"covid"})
