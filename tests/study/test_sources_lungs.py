"""Readers of Montgomery and Shenzhen, on made-up trees of their published layouts."""

from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.study.sources.nlm import montgomery, shenzhen
from lunglens.study.sources.registry import Problems
from tests.support.published import by_stem, files, mask_of, said, written

# --- Montgomery


def montgomery_film(home: Path, name: str, reading: str | bytes | None, sides: str = "leftMask rightMask") -> None:
    files(home / "CXR_png" / f"{name}.png", *(home / "ManualMask" / side / f"{name}.png" for side in sides.split()))
    if reading is not None:
        written(home / "ClinicalReadings" / f"{name}.txt", reading)


def test_montgomery_s_readings_give_age_sex_and_finding(tmp_path: Path) -> None:
    home = tmp_path / "MontgomerySet"
    montgomery_film(home, "MCUCXR_0001_0", "Patient's Sex: F \nPatient's Age: 027Y\nnormal")
    montgomery_film(home, "MCUCXR_0108_1", "Patient's Sex: M\r\nPatient's Age: 015Y\r\nRUL cavity,\r\nactive TB\r\n")
    problems: Problems = []
    found = by_stem(montgomery(tmp_path, problems))
    healthy, sick = found["MCUCXR_0001_0"], found["MCUCXR_0108_1"]
    assert (healthy.sex, healthy.age_years, healthy.diagnosis, healthy.label) == ("F", 27, "normal", "normal")
    assert (sick.sex, sick.age_years, sick.diagnosis) == ("M", 15, "RUL cavity, active TB")
    assert (sick.label, sick.exclude, healthy.exclude) == ("tuberculosis", "under 18", None)
    assert problems == []


def test_both_lungs_files_are_one_mask(tmp_path: Path) -> None:
    montgomery_film(tmp_path, "MCUCXR_0001_0", None)
    [row] = montgomery(tmp_path, [])
    sides = [tmp_path / "ManualMask" / side / "MCUCXR_0001_0.png" for side in ("leftMask", "rightMask")]
    assert mask_of(row) == f"{sides[0]}|{sides[1]}"
    assert row.mask_rule == "fields"


def test_a_film_with_one_lung_s_mask_has_none_and_the_folder_is_named(tmp_path: Path) -> None:
    montgomery_film(tmp_path, "MCUCXR_0001_0", None)
    montgomery_film(tmp_path, "MCUCXR_0002_0", None, sides="leftMask")
    problems: Problems = []
    found = by_stem(montgomery(tmp_path, problems))
    assert mask_of(found["MCUCXR_0002_0"]) is None
    assert found["MCUCXR_0002_0"].mask_rule is None
    assert f"{tmp_path / 'ManualMask' / 'rightMask'}: has no mask of MCUCXR_0002_0" in said(problems)


def test_films_of_a_patient_seen_before_are_one_group(tmp_path: Path) -> None:
    about = "Patient's Sex: M\nPatient's Age: 049Y\n"
    montgomery_film(tmp_path, "MCUCXR_0162_1", f"{about}active TB")
    montgomery_film(tmp_path, "MCUCXR_0166_1", f"{about}NO REPORT (same pt as MCUCXR_0162_1)")
    montgomery_film(tmp_path, "MCUCXR_0170_1", f"{about}better (same pt as MCUCXR_0166_1)")
    montgomery_film(tmp_path, "MCUCXR_0171_1", f"{about}(same pt as himself)")
    found = by_stem(montgomery(tmp_path, []))
    assert [found[f"MCUCXR_{number}_1"].group_id for number in ("0162", "0166", "0170", "0171")] == [
        *3 * ["montgomery-0162"],
        "montgomery-0171",
    ]


def test_two_readings_that_name_each_other_end(tmp_path: Path) -> None:
    about = "Patient's Sex: M\nPatient's Age: 049Y\n"
    montgomery_film(tmp_path, "MCUCXR_0001_1", f"{about}TB, same pt as MCUCXR_0002_1")
    montgomery_film(tmp_path, "MCUCXR_0002_1", f"{about}TB, same pt as MCUCXR_0001_1")
    assert len(list(montgomery(tmp_path, []))) == 2


@pytest.mark.parametrize(
    ("reading", "column", "message"),
    [
        ("Patient's Sex: O\nPatient's Age: 005Y\nnormal", "sex", "'O' is not a sex"),
        ("Patient's Sex: F\nPatient's Age: 230Y\nnormal", "age", "'230Y' is not an age"),
        ("Patient's Sex: F\nnormal", None, "names no age"),
        ("", None, "names no sex and no age"),
        (b"\xff\xfe\x00\x01", None, "names no sex and no age"),
        ("Patient's Sex: F\nPatient's Age: 040Y\nactive TB", None, "which the file's name contradicts"),
    ],
)
def test_what_a_reading_lacks_is_noted_with_its_file(
    tmp_path: Path, reading: str | bytes, column: str | None, message: str
) -> None:
    montgomery_film(tmp_path, "MCUCXR_0080_0", reading)
    problems: Problems = []
    [row] = montgomery(tmp_path, problems)
    assert row.label == "normal"
    [problem] = problems
    assert problem.file == str(tmp_path / "ClinicalReadings" / "MCUCXR_0080_0.txt")
    assert (problem.row, problem.column) == (1, column)
    assert message in problem.message


def test_a_reading_that_cannot_be_opened_does_not_stop_the_others(tmp_path: Path) -> None:
    montgomery_film(tmp_path, "MCUCXR_0001_0", None)
    montgomery_film(tmp_path, "MCUCXR_0002_0", "Patient's Sex: F\nPatient's Age: 040Y\nnormal")
    (tmp_path / "ClinicalReadings" / "MCUCXR_0001_0.txt").mkdir()
    problems: Problems = []
    assert [row.age_years for row in montgomery(tmp_path, problems)] == [None, 40]
    assert "MCUCXR_0001_0.txt: cannot be read (Is a directory)" in said(problems)


def test_films_without_a_reading_are_counted(tmp_path: Path) -> None:
    montgomery_film(tmp_path, "MCUCXR_0001_0", "Patient's Sex: F\nPatient's Age: 027Y\nnormal")
    montgomery_film(tmp_path, "MCUCXR_0002_0", None)
    problems: Problems = []
    found = by_stem(montgomery(tmp_path, problems))
    assert (found["MCUCXR_0002_0"].age_years, found["MCUCXR_0002_0"].diagnosis) == (None, "normal")
    assert "1 of 2 films have no reading here, the first is MCUCXR_0002_0.png" in said(problems)


def test_a_copy_without_readings_keeps_label_group_and_united_mask(tmp_path: Path) -> None:
    files(tmp_path / "CXR_png" / "mcucxr_0104_1.JPG", tmp_path / "mask" / "MCUCXR_0104_1.png")
    problems: Problems = []
    [row] = montgomery(tmp_path, problems)
    assert (row.label, row.group_id, row.patient_id) == ("tuberculosis", "montgomery-0104", "0104")
    assert mask_of(row) == str(tmp_path / "mask" / "MCUCXR_0104_1.png")
    assert said(problems) == f"{tmp_path / 'ClinicalReadings'}: is missing; ages, sexes and findings stay unknown"


def test_montgomery_without_any_masks_is_an_error(tmp_path: Path) -> None:
    files(tmp_path / "CXR_png" / "MCUCXR_0001_0.png")
    with pytest.raises(DataError, match="mask: no images here"):
        list(montgomery(tmp_path, []))


# --- Shenzhen


def test_shenzhen_s_ages_come_in_years_months_and_days(tmp_path: Path) -> None:
    readings = {
        "CHNCXR_0001_0": "male 45yrs\nnormal",
        "CHNCXR_0002_0": "femal 32yrs \nnormal",
        "CHNCXR_0003_0": "female24yrs\nnormal",
        "CHNCXR_0004_1": "Female , 29yrs  \t\nbilateral secondary PTB\nATB",
        "CHNCXR_0005_0": "male 18month\nnormal",
        "CHNCXR_0006_0": "female 64days\nnormale",
    }
    home = tmp_path / "ChinaSet_AllFiles"
    for name, reading in readings.items():
        files(home / "CXR_png" / f"{name}.png", home / "mask" / f"{name}_mask.png")
        written(home / "ClinicalReadings" / f"{name}.txt", reading)
    problems: Problems = []
    found = by_stem(shenzhen(tmp_path, problems))
    assert [(row.sex, row.exclude) for row in found.values()] == [
        ("M", None),
        ("F", None),
        ("F", None),
        ("F", None),
        ("M", "under 18"),
        ("F", "under 18"),
    ]
    assert [row.age_years for row in found.values()] == pytest.approx([45, 32, 24, 29, 1.5, 64 / 365.25])
    assert found["CHNCXR_0004_1"].diagnosis == "bilateral secondary PTB ATB"
    assert problems == []


def test_an_age_without_a_unit_stays_unknown(tmp_path: Path) -> None:
    files(tmp_path / "CXR_png" / "CHNCXR_0001_0.png", tmp_path / "mask" / "CHNCXR_0001_0.png")
    written(tmp_path / "ClinicalReadings" / "CHNCXR_0001_0.txt", "male 42\nnormal")
    problems: Problems = []
    [row] = shenzhen(tmp_path, problems)
    assert (row.age_years, row.sex) == (None, "M")
    assert "row 1, column 'age': '42' has no unit" in said(problems)


def test_shenzhen_s_masks_end_in_mask_or_not_and_some_are_missing(tmp_path: Path) -> None:
    files(*(tmp_path / "CXR_png" / f"CHNCXR_000{i}_0.png" for i in (1, 2, 3)))
    files(tmp_path / "mask" / "mask" / "CHNCXR_0001_0_mask.png", tmp_path / "mask" / "CHNCXR_0002_0.png")
    found = by_stem(shenzhen(tmp_path, []))
    assert [Path(mask_of(row)).name if row.masks else None for row in found.values()] == [
        "CHNCXR_0001_0_mask.png",
        "CHNCXR_0002_0.png",
        None,
    ]
    assert [row.mask_rule for row in found.values()] == ["fields", "fields", None]


def test_shenzhen_as_nlm_gives_it_has_no_masks_but_is_read(tmp_path: Path) -> None:
    files(tmp_path / "CXR_png" / "CHNCXR_0001_0.png", tmp_path / "Annotations" / "masks" / "CHNCXR_0001_0.png")
    problems: Problems = []
    [row] = shenzhen(tmp_path, problems)
    assert mask_of(row) is None
    assert f"{tmp_path / 'mask'}: is missing; the lung masks are published apart" in said(problems)


def test_one_folder_may_hold_both_sets(tmp_path: Path) -> None:
    names = ["MCUCXR_0001_0", "CHNCXR_0001_0"]
    files(*(tmp_path / folder / f"{name}.png" for name in names for folder in ("CXR_png", "masks")))
    assert [row.source for row in montgomery(tmp_path, [])] == ["montgomery"]
    assert [row.source for row in shenzhen(tmp_path, [])] == ["shenzhen"]


@pytest.mark.parametrize("name", ["chest.png", "CHNCXR_0001_2.png", "CHNCXR_0001.png", "XXXCXR_0001_0.png"])
def test_a_film_whose_name_has_no_finding_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    files(tmp_path / "CXR_png" / name, tmp_path / "mask" / name)
    with pytest.raises(DataError, match=name):
        list(shenzhen(tmp_path, []))


# --- the copies at hand


@pytest.mark.data
def test_the_copies_at_hand_read_as_ever(real_data: Path) -> None:
    for reader, name, films in ((montgomery, "montgomery", 138), (shenzhen, "shenzhen", 566)):
        rows = list(reader(real_data / name, []))
        assert len(rows) == films == len({row.group_id for row in rows})
        assert all(row.masks and Path(mask_of(row)).is_file() for row in rows)
