"""Lung masks: pictures, pairs and outlines as one mask, and the masks that others drew on covid-chestxray-dataset."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import DataError
from lunglens.film.lungs.published_masks import MaskPart, mask_files, masks_of, masks_text, read_masks
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import Split
from lunglens.study.manifest import manifest, split_by_group
from lunglens.study.rows import Row
from lunglens.study.sources.lung_masks import (
    GENERAL_BLOCKCHAIN,
    V7,
    WITHOUT_RULE,
    general_blockchain,
    v7,
    with_masks,
    with_masks_beside,
)
from lunglens.study.sources.registry import Problems
from tests.support.published import files, mask_of, said, written

SIZE = 80
STRUCTURE = ["#", "Class", "Filename", "Mask", "Resolution", "Top", "Left", "Width", "Height"]


def mask(path: Path, top: int, left: int, size: int = SIZE, box: int = 20) -> Path:
    """A picture of `size` with a white box at (top, left)."""
    pixels = np.zeros((size, size), np.uint8)
    pixels[top : top + box, left : left + box] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


# --- masks


@pytest.mark.parametrize("ending", ["png", "gif", "tif"])
def test_a_mask_is_the_union_of_its_files(tmp_path: Path, ending: str) -> None:
    left, right = mask(tmp_path / f"left.{ending}", 0, 0), mask(tmp_path / f"right.{ending}", 40, 40)
    lungs = read_masks(mask_files(left, right))
    assert lungs.dtype == bool
    assert (lungs.shape, lungs.sum()) == ((SIZE, SIZE), 800)
    assert (lungs == (read_masks(mask_files(left)) | read_masks(mask_files(right)))).all()


def test_a_single_mask_reads_as_the_picture_does(tmp_path: Path) -> None:
    path = mask(tmp_path / "m.png", 3, 5)
    assert (read_masks(mask_files(path)) == (read_radiograph(path).pixels > 0.5)).all()


def test_v7_s_gray_for_ignore_is_no_lung(tmp_path: Path) -> None:
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[:20], pixels[20:30] = 255, 127
    Image.fromarray(pixels).save(tmp_path / "1676192.png")
    assert read_masks(mask_files(tmp_path / "1676192.png")).sum() == 20 * SIZE


def test_masks_of_different_sizes_are_an_error_that_names_both(tmp_path: Path) -> None:
    left, right = mask(tmp_path / "left.png", 0, 0), mask(tmp_path / "right.png", 0, 0, size=90)
    with pytest.raises(DataError) as caught:
        read_masks(mask_files(left, right))
    assert f"{right}: 90 x 90 px, {left}: 80 x 80 px" in str(caught.value)


@pytest.mark.parametrize("name", ["gone.png", "damaged.png", "damaged.gif", "damaged.json", "list.json", "bare.json"])
def test_a_mask_that_cannot_be_read_is_an_error_with_its_path(tmp_path: Path, name: str) -> None:
    contents = {
        "damaged.png": mask(tmp_path / "whole.png", 0, 0).read_bytes()[:40],
        "damaged.gif": b"GIF89a",
        "damaged.json": b"{",
        "list.json": b"[]",
        "bare.json": b'{"image": {"width": 80}}',
    }
    if name in contents:
        written(tmp_path / name, contents[name])
    with pytest.raises(DataError) as caught:
        read_masks(mask_files(mask(tmp_path / "left.png", 0, 0), tmp_path / name))
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("version", [1, 2])
def test_darwin_s_outlines_are_drawn_without_what_is_ignored(tmp_path: Path, version: int) -> None:
    def outline(left: int, top: int, right: int, bottom: int) -> dict[str, object]:
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        path = [{"x": x, "y": y} for x, y in corners]
        return {"path": path} if version == 1 else {"paths": [path]}

    shapes = [
        {"name": "Ignore", "polygon": outline(12, 12, 15, 15)},
        {"name": "Lung", "polygon": outline(10, 10, 19, 29)},
        {"name": "Lung", "polygon": outline(50, 10, 59, 29)},
        {"name": "COVID-19", "tag": {}},
        {"name": "Heart", "polygon": outline(0, 60, 79, 79)},
    ]
    frame = {"width": 80, "height": 90}
    about = {"image": frame} if version == 1 else {"item": {"slots": [frame]}}
    path = written(tmp_path / "a.json", json.dumps({**about, "annotations": shapes}))
    lungs = read_masks(mask_files(path))
    assert lungs.shape == (90, 80)
    assert lungs.sum() == 2 * 10 * 20 - 4 * 4
    assert not lungs[13, 13]


# --- masks of covid-chestxray-dataset


def covid_rows(*names: str) -> list[Row]:
    return [Row(f"/films/{name}", "covid-chestxray-dataset", "1", "covid-chestxray-dataset-1") for name in names]


def test_pictures_named_as_the_films_become_their_masks(tmp_path: Path) -> None:
    files(tmp_path / "Covid-A.png", tmp_path / "unknown.png")
    with_one, without = with_masks(covid_rows("covid-a.jpeg", "covid-b.jpg"), tmp_path)
    assert (mask_of(with_one), with_one.mask_rule) == (str(tmp_path / "Covid-A.png"), "region")
    assert (mask_of(without), without.mask_rule) == (None, None)


def test_masks_beside_a_data_set_are_its_films_and_v7_s_count_where_both_drew(tmp_path: Path) -> None:
    home = tmp_path / "covid-chestxray-dataset"
    files(*(home / GENERAL_BLOCKCHAIN / f"{name}.png" for name in ("a", "b", "covid-19-pneumonia-12")))
    files(tmp_path / V7 / "B.png", tmp_path / V7 / "covid-19-pneumonia-12.png")
    rows = list(with_masks_beside(covid_rows("a.png", "b.png", "c.png", "covid-19-pneumonia-12.jpg"), home, []))
    assert [row.masks and Path(row.masks[0].path).parent.name for row in rows] == [GENERAL_BLOCKCHAIN, V7, (), V7]
    assert [row.mask_rule for row in rows] == ["region", "region", None, "region"]


def test_masks_of_general_blockchain_that_follow_no_rule_are_left_out(tmp_path: Path) -> None:
    files(*(tmp_path / GENERAL_BLOCKCHAIN / f"{name}.png" for name in ("a", "ARDS", *WITHOUT_RULE)))
    rows = with_masks(covid_rows("a.png", *(f"{name}.jpg" for name in WITHOUT_RULE)), tmp_path / GENERAL_BLOCKCHAIN)
    assert [Path(row.path).stem for row in rows if row.masks] == ["a"]


def test_rows_get_no_masks_but_the_folder_s(tmp_path: Path) -> None:
    files(tmp_path / "b.png")
    rows = [replace(row, masks=(MaskPart("other.png"),), mask_rule="fields") for row in covid_rows("a.png", "b.png")]
    assert [(mask_of(row), row.mask_rule) for row in with_masks(rows, tmp_path)] == [
        (None, None),
        (str(tmp_path / "b.png"), "region"),
    ]


def test_a_folder_without_masks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}: no images here"):
        list(with_masks(covid_rows("a.png"), tmp_path))


def test_v7_s_masks_without_annotations_belong_to_no_film_which_is_noted(tmp_path: Path) -> None:
    files(tmp_path / "all-images-semantic-masks" / "1676192.png")
    problems: Problems = []
    [row] = with_masks(covid_rows("covid-a.jpeg"), tmp_path, problems)
    assert mask_of(row) is None
    assert f"{tmp_path}: none of its 1 masks is named as a film" in said(problems)


def annotation(folder: Path, number: int, film: str, *names: str) -> Path:
    shapes = [{"name": name} for name in names]
    about = {"filename": f"{number}.jpg", "original_filename": film, "width": 80, "height": 80}
    return written(folder / f"{number}.json", json.dumps({"image": about, "annotations": shapes}))


def test_v7_s_numbers_are_resolved_by_its_annotations(tmp_path: Path) -> None:
    places = tmp_path / "annotations" / "all-images"
    annotation(places, 1, "frontal.jpg", "Lung", "Lung", "COVID-19")
    undrawn = annotation(places, 2, "Undrawn.png", "Lung")
    annotation(places, 3, "lateral.png", "View/Lateral")
    broken = written(places / "4.json", "{}")
    drawn = tmp_path / "annotations" / "all-images-semantic-masks" / "1.png"
    files(drawn, drawn.with_name("3.png"))
    problems: Problems = []
    rows = with_masks(covid_rows("frontal.jpg", "undrawn.png", "lateral.png"), tmp_path, problems)
    assert [mask_of(row) for row in rows] == [str(drawn), str(undrawn), None]
    assert [problem.file for problem in problems] == [str(broken)]


def test_annotations_without_lungs_are_an_error(tmp_path: Path) -> None:
    annotation(tmp_path, 1, "a.png", "Heart")
    with pytest.raises(DataError, match="none of its annotations has lungs"):
        list(with_masks(covid_rows("a.png"), tmp_path))


def general_blockchain_tree(root: Path, *lines: Sequence[object]) -> Path:
    rows = [",".join(map(str, line)) for line in (STRUCTURE, *lines)]
    return written(root / "structure.csv", "\n".join(rows) + "\n")


def test_general_blockchain_s_pieces_are_put_in_their_place(tmp_path: Path) -> None:
    mask(tmp_path / "masks" / "f_a.png", 0, 0, size=70, box=70)
    mask(tmp_path / "masks" / "f_b.png", 0, 0, size=70, box=70)
    general_blockchain_tree(
        tmp_path,
        (1, "COVID-19 Left Lung", "Film.one.jpeg", "masks/f_a.png", "200x100", 10, 120, 70, 70),
        (2, "COVID-19 Right Lung", "Film.one.jpeg", "masks/f_b.png", "200x100", 40, 5, 70, 70),
        (3, "COVID-19 Cardiomediastinum", "Film.one.jpeg", "masks/gone.png", "200x100", 0, 0, 70, 70),
    )
    problems: Problems = []
    [row] = with_masks(covid_rows("film.one.png"), tmp_path, problems)
    lungs = read_masks(row.masks)
    expected = np.zeros((100, 200), bool)
    expected[10:80, 120:190] = True
    expected[40:100, 5:75] = True  # a piece that reaches over the edge is cut there
    assert (lungs == expected).all()
    assert row.mask_rule == "region"
    assert problems == []


def test_half_drawn_films_and_broken_lines_are_noted(tmp_path: Path) -> None:
    files(tmp_path / "masks" / "a.png")
    table = general_blockchain_tree(
        tmp_path,
        (1, "COVID-19 Left Lung", "one.jpeg", "masks/a.png", "200x100", 10, 120, 70, 70),
        (2, "COVID-19 Left Lung", "one.jpeg", "masks/a.png", "200x100", 10, 120, 70, 70),
        (3, "COVID-19 Right Lung", "one.jpeg", "masks/gone.png", "200x100", 10, 120, 70, 70),
        (4, "COVID-19 Left Lung", "two.jpeg", "masks/a.png", "large", 10, 120, 70, 70),
        (5, "COVID-19 Right Lung", "two.jpeg", "masks/a.png", "200x100", "top", 120, 70, 70),
    )
    problems: Problems = []
    rows = list(with_masks(covid_rows("one.png", "two.png"), tmp_path, problems))
    assert [mask_of(row) for row in rows] == [None, None]
    assert [str(problem).removeprefix(f"{table}: ") for problem in problems] == [
        "row 3, column 'Class': one.jpeg has another COVID-19 Left Lung; the first is kept",
        "row 4, column 'Mask': masks/gone.png is not here",
        "row 5, column 'Resolution': 'large' is not like 943x751",
        "row 6, column 'Top': 'top' is not a number; taken as unknown",
        "column 'Class': one has no mask of covid-19 right lung; left without a mask",
        "column 'Class': two has no mask of covid-19 left lung, covid-19 right lung; left without a mask",
    ]


def test_a_structure_without_a_column_names_it(tmp_path: Path) -> None:
    written(tmp_path / "structure.csv", "Class,Filename\nCOVID-19 Left Lung,a.png\n")
    with pytest.raises(DataError, match=r"structure\.csv: lacks the column\(s\) Mask, Resolution, Top, Left"):
        list(with_masks(covid_rows("a.png"), tmp_path))


def test_the_mask_sets_own_films_have_no_patients_so_they_cannot_be_split(tmp_path: Path) -> None:
    files(tmp_path / "images" / "one.jpg", tmp_path / "images" / "two.jpg")
    annotation(tmp_path / "releases" / "all-images" / "annotations", 1, "one.jpg", "Lung")
    rows = list(v7(tmp_path, []))
    assert [bool(row.masks) for row in rows] == [True, False]
    with pytest.raises(DataError, match="no group_id"):
        split_by_group(manifest(rows), Split())


def test_masks_without_films_say_where_they_belong(tmp_path: Path) -> None:
    general_blockchain_tree(tmp_path)
    with pytest.raises(DataError, match="masks alone belong beside covid-chestxray-dataset"):
        list(general_blockchain(tmp_path, []))


# --- the copies at hand


@pytest.mark.data
def test_the_masks_at_hand_belong_to_films(real_data: Path) -> None:
    folder = real_data / "covid-chestxray-dataset"
    rows = [Row(str(path), "covid-chestxray-dataset", None, "") for path in (folder / "images").iterdir()]
    counts = {
        name: sum(bool(row.masks) for row in with_masks(rows, folder / name))
        for name in ("lung-masks-v7", "lung-masks-generalblockchain")
    }
    assert counts == {"lung-masks-v7": 426, "lung-masks-generalblockchain": 91}


def test_parts_of_a_mask_come_back_from_a_table_s_cell_and_old_cells_are_read(tmp_path: Path) -> None:
    parts = (MaskPart("a.png"), MaskPart("ß|b.png", 40, 12, 800, 600))
    assert masks_of(masks_text(parts) or "") == parts
    assert masks_text(()) is None
    assert masks_of("left.png|right.png", tmp_path) == mask_files(tmp_path / "left.png", tmp_path / "right.png")
    with pytest.raises(DataError, match="names no lung masks"):
        masks_of("[1]")
