"""Upstream data sets in their published layouts, made up in a temporary folder."""

import csv
import tomllib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from lunglens.errors import DataError
from lunglens.study import sources
from lunglens.study.config.training import Split
from lunglens.study.manifest import manifest, split_by_group
from lunglens.study.rows import Row
from lunglens.study.sources import SOURCES, read_sources
from lunglens.study.sources.covid_chestxray import covid_chestxray, label_of
from lunglens.study.sources.hannover import hannover
from lunglens.study.sources.index import COLUMNS, with_index
from lunglens.study.sources.nih import nih
from lunglens.study.sources.nlm import montgomery, shenzhen
from tests.support.phantom import save_png
from tests.support.published import by_name, mask_of

COVID_COLUMNS = ["patientid", "sex", "age", "finding", "view", "modality", "filename"]
NIH_COLUMNS = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
HANNOVER_COLUMNS = ["patient_id", "image_id", "sex", "age", "modality", "projection"]


def images(*paths: Path) -> None:
    for path in paths:
        save_png(np.zeros((4, 4), np.float32), path)


def table(path: Path, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *lines])
    return path


def covid_set(root: Path, lines: Sequence[Sequence[str]]) -> None:
    folder = root / "covid-chestxray-dataset"
    table(folder / "metadata.csv", COVID_COLUMNS, lines)
    images(*(folder / "images" / line[-1] for line in lines))


# --- Montgomery and Shenzhen


def test_montgomery_s_films_have_their_masks_and_labels(tmp_path: Path) -> None:
    folder = tmp_path / "montgomery"
    for name in ("MCUCXR_0001_0.png", "MCUCXR_0104_1.png"):
        images(folder / "CXR_png" / name, folder / "mask" / name)
    found = by_name(montgomery(tmp_path / "montgomery", []))
    sick = found["MCUCXR_0104_1.png"]
    assert (sick.label, sick.patient_id, sick.group_id) == ("tuberculosis", "0104", "montgomery-0104")
    assert mask_of(sick) == str(folder / "mask" / "MCUCXR_0104_1.png")
    assert found["MCUCXR_0001_0.png"].label == "normal"


def test_shenzhen_s_masks_end_in_mask_and_some_are_missing(tmp_path: Path) -> None:
    folder = tmp_path / "shenzhen"
    images(*(folder / "CXR_png" / f"CHNCXR_000{i}_0.png" for i in (1, 2, 3)))
    images(folder / "mask" / "CHNCXR_0001_0_mask.png", folder / "mask" / "CHNCXR_0002_0.png")
    found = by_name(shenzhen(tmp_path / "shenzhen", []))
    masks = {name: Path(mask_of(row)).name if row.masks else None for name, row in found.items()}
    assert masks == {
        "CHNCXR_0001_0.png": "CHNCXR_0001_0_mask.png",
        "CHNCXR_0002_0.png": "CHNCXR_0002_0.png",
        "CHNCXR_0003_0.png": None,
    }


@pytest.mark.parametrize("name", ["chest.png", "MCUCXR_0001_2.png", "MCUCXR_0001.png"])
def test_a_film_whose_name_has_no_finding_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    images(tmp_path / "montgomery" / "CXR_png" / name, tmp_path / "montgomery" / "mask" / name)
    with pytest.raises(DataError, match=name):
        list(montgomery(tmp_path / "montgomery", []))


def test_montgomery_without_masks_is_an_error(tmp_path: Path) -> None:
    images(tmp_path / "montgomery" / "CXR_png" / "MCUCXR_0001_0.png")
    with pytest.raises(DataError, match="mask: no images here"):
        list(montgomery(tmp_path / "montgomery", []))


# --- covid-chestxray-dataset


@pytest.mark.parametrize(
    ("finding", "label"),
    [
        ("COVID-19", "covid"),
        ("Pneumonia/Viral/COVID-19", "covid"),
        ("COVID-19, ARDS", "covid"),
        ("No Finding", "normal"),
        ("Klebsiella", "pneumonia"),
        ("Pneumonia/Viral/SARS", "pneumonia"),
        ("ARDS", "other"),
        ("todo", "other"),
        ("Unknown", "other"),
        (None, "other"),
    ],
)
def test_published_findings_become_labels(finding: str | None, label: str) -> None:
    assert label_of(finding) == label


def test_covid_rows_say_who_why_not_and_how_old(tmp_path: Path) -> None:
    covid_set(
        tmp_path,
        [
            ("1", "F", "60", "COVID-19", "PA", "X-ray", "frontal.png"),
            ("1", "F", "60", "COVID-19", "L", "X-ray", "lateral.png"),
            ("2", "M", "50", "COVID-19", "Axial", "CT", "slice.png"),
            ("3", "", "17", "No Finding", "AP Supine", "X-ray", "young.png"),
            ("4", "", "", "No Finding", "AP", "X-ray", "unknown.png"),
        ],
    )
    found = by_name(covid_chestxray(tmp_path / "covid-chestxray-dataset", []))
    assert {name: row.exclude for name, row in found.items()} == {
        "frontal.png": None,
        "lateral.png": "view L",
        "slice.png": "modality CT",
        "young.png": "under 18",
        "unknown.png": None,
    }
    assert found["frontal.png"].group_id == found["lateral.png"].group_id != found["slice.png"].group_id
    assert (found["unknown.png"].age_years, found["unknown.png"].sex) == (None, None)
    assert found["frontal.png"].age_years == 60


def test_lines_whose_image_is_not_there_are_left_out_and_endings_may_change(tmp_path: Path) -> None:
    covid_set(tmp_path, [("1", "F", "60", "COVID-19", "PA", "X-ray", "Kept.png")])
    folder = tmp_path / "covid-chestxray-dataset"
    lines = [
        (str(i), "F", "60", "COVID-19", "PA", "X-ray", name) for i, name in enumerate(["kept.jpg", "gone.jpg", ""])
    ]
    table(folder / "metadata.csv", COVID_COLUMNS, lines)
    assert [row.path for row in covid_chestxray(tmp_path / "covid-chestxray-dataset", [])] == [
        str(folder / "images" / "Kept.png")
    ]


def test_an_image_that_is_listed_under_two_patients_stays_in_one_group(tmp_path: Path) -> None:
    shared = ("64", "Pneumonia", "PA", "X-ray", "000001-24.png")
    covid_set(tmp_path, [("285", "F", *shared), ("339", "F", *shared)])
    assert len({row.group_id for row in covid_chestxray(tmp_path / "covid-chestxray-dataset", [])}) == 1


def test_an_image_of_an_unknown_patient_is_never_split(tmp_path: Path) -> None:
    covid_set(tmp_path, [("", "F", "60", "COVID-19", "PA", "X-ray", "a.png")])
    with pytest.raises(DataError, match=r"a\.png: no group_id"):
        split_by_group(manifest(covid_chestxray(tmp_path / "covid-chestxray-dataset", [])), Split())


# --- NIH


def test_nih_s_images_may_lie_in_twelve_folders(tmp_path: Path) -> None:
    folder = tmp_path / "nih-chestxray14"
    images(
        folder / "images_001" / "images" / "00000001_000.png",
        folder / "images_002" / "images" / "00000002_000.png",
        folder / "images_012" / "images" / "00000003_000.png",
    )
    table(
        folder / "Data_Entry_2017_v2020.csv",
        NIH_COLUMNS,
        [
            ("00000001_000.png", "No Finding", "1", "57", "M", "PA"),
            ("00000002_000.png", "Infiltration|Pneumonia", "2", "011M", "F", "AP"),
            ("00000003_000.png", "Effusion", "3", "414", "F", "AP"),
            ("00000004_000.png", "No Finding", "4", "57", "M", "PA"),
        ],
    )
    found = by_name(nih(tmp_path / "nih-chestxray14", []))
    assert {name: (row.label, row.exclude) for name, row in found.items()} == {
        "00000001_000.png": ("normal", None),
        "00000002_000.png": ("pneumonia", "under 18"),
        "00000003_000.png": ("other", None),
    }
    assert found["00000003_000.png"].age_years is None  # 414 is no age
    assert found["00000001_000.png"].group_id == "nih-chestxray14-1"


def test_nih_without_its_table_says_so(tmp_path: Path) -> None:
    images(tmp_path / "nih-chestxray14" / "images" / "00000001_000.png")
    with pytest.raises(DataError, match=r"Data_Entry_2017\*\.csv is missing"):
        list(nih(tmp_path / "nih-chestxray14", []))


def test_a_table_without_a_column_names_the_column(tmp_path: Path) -> None:
    images(tmp_path / "nih-chestxray14" / "images" / "00000001_000.png")
    table(tmp_path / "nih-chestxray14" / "Data_Entry_2017.csv", NIH_COLUMNS[:2], [("00000001_000.png", "Mass")])
    with pytest.raises(DataError, match="Patient ID, Patient Age"):
        list(nih(tmp_path / "nih-chestxray14", []))


# --- Hannover


def test_hannover_s_films_are_all_covid(tmp_path: Path) -> None:
    folder = tmp_path / "hannover"
    images(folder / "images" / "0a7faa2a.png", folder / "images" / "1DB1.png")
    lines = [
        ("0", "0a7faa2a", "m", "45", "DX", "pa"),
        ("0", "1db1", "", "", "CR", ""),
        ("1", "gone", "f", "50", "CR", "ap"),
    ]
    table(folder / "data.csv", HANNOVER_COLUMNS, lines)
    found = by_name(hannover(tmp_path / "hannover", []))
    assert found.keys() == {"0a7faa2a.png", "1DB1.png"}
    first, second = found["0a7faa2a.png"], found["1DB1.png"]
    assert (first.view, first.sex, first.age_years, first.label) == ("PA", "M", 45, "covid")
    assert (second.view, second.sex, second.age_years, second.label) == (None, None, None, "covid")
    assert first.group_id == second.group_id == "hannover-0"


# --- the curated index


def index(root: Path, *lines: dict[str, str]) -> None:
    table(root / "classification.csv", COLUMNS, [[line.get(column, "") for column in COLUMNS] for line in lines])


def test_without_an_index_the_rows_stay_as_they_are(tmp_path: Path) -> None:
    rows = [Row(str(tmp_path / "a.png"), "s", "1", "s-1")]
    assert list(with_index(rows, tmp_path, [])) == rows


def test_the_index_ties_images_across_sources_and_excludes_disputed_ones(tmp_path: Path) -> None:
    index(
        tmp_path,
        {"image": "s/a.png", "source": "s", "group_id": "tied"},
        {"image": "s/b.png", "source": "s", "group_id": "", "label_conflict": "covid vs normal"},
        {"image": "s/c.png", "source": "s", "group_id": "c", "cohort": "pediatric 1-5 years"},
        {"image": "s/e.png", "source": "s", "group_id": "e", "label_conflict": "1"},
    )
    rows = [Row(str(tmp_path / "s" / f"{name}.png"), "s", name, f"s-{name}") for name in "abcd"]
    rows.append(Row(str(tmp_path / "s" / "e.png"), "s", "e", "s-e", exclude="view L"))
    found = by_name(with_index(rows, tmp_path, []))
    assert {name: (row.group_id, row.exclude) for name, row in found.items()} == {
        "a.png": ("tied", None),
        "b.png": ("s-b", "sources disagree on the label"),
        "c.png": ("c", "under 18"),
        "d.png": ("s-d", None),
        "e.png": ("e", "view L"),
    }


def test_the_index_describes_sources_without_metadata(tmp_path: Path) -> None:
    extra = {"source": "extra", "group_id": "g1", "age": "70", "sex": "F", "view": "AP", "label": "covid"}
    images(*(tmp_path / "extra" / f"{name}.png" for name in "abcd"))
    index(
        tmp_path,
        {"image": "extra/a.png", **extra, "notes": "PCR positive"},
        {"image": "extra/b.png", **extra, "notes": "first PCR was Negative"},
        {"image": "extra/c.png", **extra, "label": "normal", "notes": "negative PCR"},
        {"image": "extra/d.png", **extra, "notes": "No abnormality seen"},
        {"image": "extra/gone.png", **extra},
        {"image": "s/unseen.png", **extra, "source": "s"},
    )
    found = by_name(with_index([Row(str(tmp_path / "s" / "a.png"), "s", "1", "s-1")], tmp_path, []))
    assert {name: row.exclude for name, row in found.items()} == {
        "a.png": None,
        "b.png": "negative PCR",
        "c.png": None,
        "d.png": "no abnormality",
    }
    row = found["b.png"]
    assert (row.source, row.patient_id, row.age_years, row.view, row.label) == ("extra", None, 70, "AP", "covid")


def test_a_note_of_pcr_and_a_note_of_something_negative_are_not_one(tmp_path: Path) -> None:
    images(tmp_path / "x" / "a.png")
    notes = "PCR positive; culture negative"
    index(tmp_path, {"image": "x/a.png", "source": "x", "group_id": "g", "label": "covid", "notes": notes})
    assert [row.exclude for row in with_index([], tmp_path, [])] == [None]


# --- all of them


def test_every_source_that_is_there_is_read(phantom_root: Path) -> None:
    found = manifest(read_sources(phantom_root))
    assert set(found["source"]) == {"covid-chestxray-dataset", "nih-chestxray14", "montgomery", "shenzhen"}
    assert found["path"].is_unique
    assert (found["masks"].notna() == found["mask_rule"].notna()).all()
    rules = found.dropna(subset="mask_rule").groupby("source")["mask_rule"].unique().map(list)
    assert dict(rules) == {
        "montgomery": ["fields"],
        "shenzhen": ["fields"],
        "covid-chestxray-dataset": ["region"],
    }
    assert all(Path(path).is_file() for path in found["path"])


def test_named_sources_come_without_the_index(tmp_path: Path) -> None:
    images(
        tmp_path / "montgomery" / "CXR_png" / "MCUCXR_0001_0.png",
        tmp_path / "montgomery" / "mask" / "MCUCXR_0001_0.png",
    )
    images(tmp_path / "extra" / "a.png")
    line = {"image": "extra/a.png", "source": "extra", "group_id": "g"}
    index(tmp_path, line)
    assert [row.source for row in read_sources(tmp_path, ("montgomery",))] == ["montgomery"]
    assert [row.source for row in read_sources(tmp_path)] == ["montgomery", "extra"]


def test_the_catalogue_is_of_the_sets_that_can_be_read() -> None:
    catalogue = tomllib.loads(files(sources).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    assert catalogue.keys() == SOURCES.keys()


@pytest.mark.parametrize("names", [("montgomery", "shenzhen"), ("chexpert",), None, ()])
def test_a_source_that_is_not_there_is_named_at_once(tmp_path: Path, names: tuple[str, ...] | None) -> None:
    with pytest.raises(DataError, match="give --data the folder") as caught:
        read_sources(tmp_path, names)
    assert str(tmp_path) in str(caught.value)
    assert all(name in str(caught.value) for name in names or SOURCES)
