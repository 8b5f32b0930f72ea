"""Readers of OpenIST and of Kermany's children, on made-up trees of their published layouts."""

from collections import Counter
from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.study.manifest import manifest
from lunglens.study.rows import Row
from lunglens.study.sources.kermany import kermany, kermany_v7
from lunglens.study.sources.openist import openist
from lunglens.study.sources.registry import Problems
from tests.study.test_criteria import reasons
from tests.support.published import by_name, files, mask_of, said, text

# --- OpenIST


def test_the_repository_s_films_have_the_mask_whose_name_ends_in_an_at(tmp_path: Path) -> None:
    home = tmp_path / "Datasets" / "Chest_x-ray"
    files(home / "1-10-500-500-100.jpg", home / "1-10-500-500-100@.png", home / "2-11-500-500-100.jpg")
    files(home / "201-210-500-500-100 (31).jpg", tmp_path / "Sharedfiles" / "Pretrained" / "LungsExample.jpg")
    problems: Problems = []
    found = by_name(openist(tmp_path, problems))
    assert sorted(found) == ["1-10-500-500-100.jpg", "2-11-500-500-100.jpg", "201-210-500-500-100 (31).jpg"]
    row = found["1-10-500-500-100.jpg"]
    assert (mask_of(row), row.mask_rule) == (str(home / "1-10-500-500-100@.png"), "fields")
    assert (row.label, row.view, row.modality, row.patient_id) == ("normal", "PA", "X-ray", None)
    assert (found["2-11-500-500-100.jpg"].masks, found["2-11-500-500-100.jpg"].mask_rule) == ((), None)
    assert len({row.group_id for row in found.values()}) == 3
    assert problems == []


def test_masks_in_a_folder_of_their_own_are_found_and_one_without_a_film_is_noted(tmp_path: Path) -> None:
    files(tmp_path / "images" / "1-10-500-500-100.jpg", tmp_path / "masks" / "1-10-500-500-100.png")
    lost = tmp_path / "masks" / "2-11-500-500-100.png"
    files(lost)
    problems: Problems = []
    [row] = openist(tmp_path, problems)
    assert mask_of(row) == str(tmp_path / "masks" / "1-10-500-500-100.png")
    assert said(problems) == f"{lost}: has no film; 1 masks have none, this is the first; left out"


def test_openist_s_films_are_for_tests_only(tmp_path: Path) -> None:
    files(tmp_path / "1-10-500-500-100.jpg")
    [reason], _ = reasons("unfit", manifest(openist(tmp_path, [])))
    assert reason.startswith("test only")


# --- Kermany

NAMES = {
    "train/PNEUMONIA/person1_bacteria_1.jpeg": ("person1", "bacterial pneumonia", "pneumonia"),
    "test/PNEUMONIA/person1_virus_6.jpeg": ("person1", "viral pneumonia", "pneumonia"),
    "train/NORMAL/IM-0115-0001.jpeg": ("im-0115", "normal", "normal"),
    "train/NORMAL/IM-0115-0001-0002.jpeg": ("im-0115", "normal", "normal"),
    "val/NORMAL/NORMAL2-IM-0115-0001.jpeg": ("normal2-im-0115", "normal", "normal"),
    "train/PNEUMONIA/BACTERIA-1008087-0001.jpeg": ("1008087", "bacterial pneumonia", "pneumonia"),
    "train/NORMAL/NORMAL-1003233-0001.jpeg": ("1003233", "normal", "normal"),
}


@pytest.fixture
def children(tmp_path: Path) -> Path:
    """Kaggle's archive, which holds itself once more."""
    home = tmp_path / "kermany"
    files(*(home / "chest_xray" / place / name for name in NAMES for place in ("", "chest_xray")))
    files(home / "chest_xray" / "__MACOSX" / "._person1_bacteria_1.jpeg")
    return home


def test_the_name_of_a_child_s_film_tells_child_and_cause(children: Path) -> None:
    problems: Problems = []
    rows = by_name(kermany(children, problems))
    found = {name: (row.patient_id, row.diagnosis, row.label) for name, row in rows.items()}
    assert found == {Path(name).name: told for name, told in NAMES.items()}
    assert {(row.view, row.age_years, row.exclude, row.mask_rule) for row in rows.values()} == {
        ("AP", None, "under 18", None)
    }
    assert problems == []


def test_children_are_no_adults_to_the_criterion_on_age(children: Path) -> None:
    table = manifest(kermany(children, []))
    found, unknown = reasons("age", table)
    assert (set(found), unknown) == ({"under 18"}, 0)
    assert reasons("age", table, min_years=1) == ([""] * len(table), len(table))


@pytest.mark.parametrize("place", [".", ".."])
def test_v7_s_masks_in_or_beside_the_set_are_the_children_s(children: Path, place: str) -> None:
    files(children / place / "lung-masks-v7" / "person1_bacteria_1.png")
    masked = [row for row in kermany(children, []) if row.masks]
    assert [(Path(row.path).name, row.mask_rule) for row in masked] == [("person1_bacteria_1.jpeg", "region")]


def test_the_films_that_v7_drew_on_come_with_masks_and_sizes(tmp_path: Path) -> None:
    files(tmp_path / "images" / "person1_bacteria_1.jpg", tmp_path / "images" / "IM-0115-0001.jpg")
    files(tmp_path / "images" / "thumbnail.jpg", tmp_path / "masks" / "person1_bacteria_1.png")
    text(
        tmp_path / "pairs.csv",
        "image,mask,original_width,original_height",
        "kermany-v7/images/person1_bacteria_1.jpg,kermany-v7/masks/person1_bacteria_1.png,1396,1024",
    )
    problems: Problems = []
    found = by_name(kermany_v7(tmp_path, problems))
    sick, healthy = found["person1_bacteria_1.jpg"], found["IM-0115-0001.jpg"]
    assert (sick.mask_rule, sick.original_width_px, sick.original_height_px) == ("region", 1396, 1024)
    assert (healthy.masks, healthy.original_width_px) == ((), None)
    assert sick.group_id == "kermany-person1"  # the same child in both of the sets
    assert "thumbnail.jpg: is named as no film of the set" in said(problems)


@pytest.mark.parametrize("read", [kermany, kermany_v7, openist])
def test_a_folder_without_such_films_says_what_they_are_like(tmp_path: Path, read: object) -> None:
    files(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match=r"no films like .*give the folder|no films like .*is this the data set"):
        list(read(tmp_path, []))  # type: ignore[operator]


@pytest.mark.data
def test_the_copies_at_hand_are_whole(real_data: Path) -> None:
    def counts(rows: list[Row]) -> Counter[tuple[str | None, str | None]]:
        return Counter((row.label, row.mask_rule) for row in rows)

    assert counts(list(openist(real_data / "openist", []))) == {("normal", "fields"): 274}
    films = list(kermany_v7(real_data / "kermany-v7", []))
    assert counts(films) == {("pneumonia", "region"): 300, ("normal", "region"): 100}
    assert len({row.group_id for row in films}) == 373
