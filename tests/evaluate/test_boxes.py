"""Heat against boxes: tables as published, and maps whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.errors import DataError
from lunglens.evaluate.boxes import boxes_agreement, boxes_mask, in_boxes, read_boxes
from tests.support.published import text

LOWER_LEFT = np.array([[0.0, 0.5, 0.25, 0.5]])
SHARE = st.floats(0, 1)


def film(*hot: tuple[int, int], size: int = 8) -> np.ndarray:
    heat = np.zeros((size, size), np.float32)
    for at in hot:
        heat[at] = 1
    return heat


@pytest.fixture
def lungs() -> np.ndarray:
    """Two lungs of 8 x 2 px each."""
    mask = np.zeros((8, 8), bool)
    mask[:, [0, 1, 6, 7]] = True
    return mask


# --- tables


def test_boxes_come_as_shares_of_the_film_by_nih_s_names(tmp_path: Path) -> None:
    table = text(
        tmp_path / "rsna-boxes.csv",
        "Image Index,x,y,width,height",
        "00000061_012.PNG,256.0,512,128,256",
        "00000061_012.png,0,0,1024,1024",
        "00000099_000.png,512,0,512,1",
    )
    found = read_boxes(table)
    assert {name: boxes.tolist() for name, boxes in found.items()} == {
        "00000061_012": [[0.25, 0.5, 0.125, 0.25], [0, 0, 1, 1]],
        "00000099_000": [[0.5, 0, 0.5, 1 / 1024]],
    }


def test_rsna_s_own_table_names_its_codes_and_has_lines_without_a_box(tmp_path: Path) -> None:
    table = text(
        tmp_path / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        "0004,,,,,0",
        "00436515,264.0,152.0,213.0,379.0,1",
    )
    assert list(read_boxes(table)) == ["00436515"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("film,x,y,width,height", "a.png,1,1,1,1"), "needs the columns Image Index or patientId, x, y"),
        (("Image Index,x,y,width", "a.png,1,1,1"), "no table of boxes"),
        (("Image Index,x,y,width,height", "a.png,left,1,1,1"), "no table of boxes"),
        (("Image Index,x,y,width,height", "a.png,1000,1,25,1"), r"a\.png: a box that is not within 1024 px"),
        (("Image Index,x,y,width,height", "a.png,1,-1,25,1"), r"a\.png: a box that is not within 1024 px"),
    ],
)
def test_a_table_that_holds_no_boxes_is_refused_with_what_is_wrong(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_boxes(text(tmp_path / "boxes.csv", *lines))
    with pytest.raises(DataError, match=r"none\.csv: no table of boxes"):
        read_boxes(tmp_path / "none.csv")


@pytest.mark.data
def test_the_boxes_at_hand_read(real_data: Path) -> None:
    found = read_boxes(real_data / "nih-chestxray14" / "rsna-boxes.csv")
    assert (len(found), sum(map(len, found.values()))) == (129, 205)


# --- measures


def test_a_box_is_the_pixels_whose_centres_it_holds() -> None:
    assert np.argwhere(boxes_mask(LOWER_LEFT, 4)).tolist() == [[2, 0], [3, 0]]
    two = boxes_mask(np.array([[0, 0, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5]]), 4)
    assert two.sum() == 4 + 4 - 1
    assert not boxes_mask(np.zeros((0, 4)), 4).any()


def test_evenly_spread_heat_lies_in_the_boxes_as_they_cover_the_lungs(lungs: np.ndarray) -> None:
    share, area, _ = in_boxes(lungs.astype(np.float32), LOWER_LEFT, lungs)
    assert share == area == 0.25


def test_heat_is_counted_over_the_whole_film_and_the_hottest_pixel_hits_or_not(lungs: np.ndarray) -> None:
    assert in_boxes(film((6, 1), (0, 4)), LOWER_LEFT, lungs) == (0.5, 0.25, False)  # of equals the first counts
    assert in_boxes(film((6, 1), (7, 0)), LOWER_LEFT, lungs) == (1.0, 0.25, True)
    assert in_boxes(film((0, 4)), LOWER_LEFT, lungs) == (0.0, 0.25, False)


def test_a_film_without_heat_or_without_lungs_has_no_measure(lungs: np.ndarray) -> None:
    share, area, hit = in_boxes(film(), LOWER_LEFT, lungs)
    assert (np.isnan(share), area, hit) == (True, 0.25, None)
    assert np.isnan(in_boxes(film((6, 1)), LOWER_LEFT, np.zeros((8, 8), bool))[1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SHARE, SHARE, SHARE, SHARE), min_size=1, max_size=3), st.integers(0, 99))
def test_shares_are_shares_and_another_box_takes_nothing_away(boxes: list[tuple[float, ...]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    heat, region = generator.random((5, 5)).astype(np.float32), generator.random((16, 16)) > 0.4
    drawn = np.array(boxes)
    one, all_of_them = in_boxes(heat, drawn[:1], region), in_boxes(heat, drawn, region)
    for less, more in zip(one[:2], all_of_them[:2], strict=True):
        assert 0 <= less <= more + 1e-6 <= 1 + 2e-6
    assert bool(all_of_them[2]) >= bool(one[2])
    assert in_boxes(heat, np.array([[0, 0, 1, 1]]), region) == (pytest.approx(1), 1.0, True)


def test_films_are_summed_up_against_chance_and_those_without_lungs_are_left_out() -> None:
    heat, area = np.array([0.5, 0.3, np.nan, 0.9]), np.array([0.2, 0.3, 0.1, np.nan])
    found = boxes_agreement(heat, area, [True, False, None, True], np.array(["a", "b", "c", "d"]))
    assert (found["n"], found["without_heat"], found["heat_share"], found["area_share"]) == (2, 1, 0.4, 0.25)
    hottest = found["hottest_pixel"]
    assert (hottest["n"], hottest["hits"], hottest["chance"], hottest["above_chance"]) == (2, 0.5, 0.25, 0.25)
    assert found["heat_share_95_ci"] == [0.3, 0.5]


def test_no_film_at_all_gives_no_numbers() -> None:
    found = boxes_agreement(np.empty(0), np.empty(0), [], np.empty(0, str))
    assert (found["n"], found["heat_share"], found["hottest_pixel"]["hits"]) == (0, None, None)
