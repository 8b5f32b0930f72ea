"""Heat on the film: in its place, and its share in the lungs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from lunglens.film.heatmap import heat_of_activation, heat_of_evidence, heat_share
from lunglens.film.preprocess import resize_mask


def test_the_share_of_the_heat_in_the_region() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[2, 2], heat[6, 6] = 3, 1
    region = np.zeros((8, 8), bool)
    region[:4, :4] = True
    assert heat_share(heat, region) == pytest.approx(0.75)
    assert heat_share(heat, ~region) == pytest.approx(0.25)
    assert heat_share(heat, region & ~region) == 0


def test_even_heat_lies_in_the_region_by_its_area_at_any_size() -> None:
    region = np.zeros((64, 64), bool)
    region[:16] = True
    assert heat_share(np.full((7, 7), 0.3, np.float32), region) == pytest.approx(0.25, abs=1e-4)


def test_negative_heat_does_not_count_against_the_rest() -> None:
    heat = np.array([[2, -5], [0, 2]], np.float32)
    assert heat_share(heat, np.array([[True, True], [False, False]])) == pytest.approx(0.5)


def test_where_there_is_no_heat_there_is_no_share() -> None:
    assert heat_share(np.zeros((4, 4), np.float32), np.ones((16, 16), bool)) is None
    assert heat_share(np.full((4, 4), -1, np.float32), np.ones((16, 16), bool)) is None


def test_heat_goes_back_to_the_place_it_came_from_on_a_film_of_any_shape() -> None:
    heat = np.zeros((16, 16), np.float32)
    heat[12:14, 4:6] = 5  # at (13/16, 5/16) of the view
    box = (32, 64, 96, 128)
    found = heat_of_activation(heat, box, 128).at(300, 200)
    assert found.shape == (300, 200)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert row / 300 == pytest.approx((32 + 64 * 13 / 16) / 128, abs=0.03)
    assert column / 200 == pytest.approx((64 + 64 * 5 / 16) / 128, abs=0.03)


def test_outside_of_what_the_classifier_saw_there_is_no_heat_and_1_is_the_strongest() -> None:
    found = heat_of_activation(np.full((4, 4), 0.02, np.float32), (32, 0, 64, 64), 64).at(128, 128)
    assert not found[:62].any()
    assert found[68:] == pytest.approx(1)
    assert found.max() <= 1
    assert found.min() >= 0


def test_no_heat_stays_none() -> None:
    found = heat_of_activation(np.zeros((4, 4), np.float32), (0, 0, 64, 64), 64).at(50, 60)
    assert found.shape == (50, 60)
    assert not found.any()


def test_evidence_keeps_its_size_and_lies_in_the_region_alone() -> None:
    region = np.zeros((64, 64), bool)
    region[10:50, 12:30] = True
    found = heat_of_evidence(np.full((4, 4), -3, np.float32), region, (8, 8, 56, 40)).at(128, 96)
    lungs = np.zeros((128, 96), bool)
    lungs[20:100, 18:45] = True
    assert found.shape == lungs.shape
    assert np.allclose(found[lungs], -3, atol=1e-5)
    assert not found[~lungs].any()


def test_what_lies_outside_lends_the_region_no_evidence() -> None:
    region = np.zeros((64, 64), bool)
    region[:32] = True
    evidence = np.array([[1, 2], [1000, -1000]], np.float32)
    found = heat_of_evidence(evidence, region, (0, 0, 64, 64)).at(64, 64)
    assert found[:32, 0] == pytest.approx(1, abs=1e-4)
    assert found[:32, 63] == pytest.approx(2, abs=1e-4)
    assert found[:32].min() >= 0.99
    assert found[:32].max() <= 2.01


@given(st.integers(64, 160), st.integers(64, 500), st.integers(64, 500), st.integers(0, 2**16))
def test_evidence_is_that_of_the_whole_film_though_only_its_lungs_are_computed(
    size: int, height: int, width: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    (row, column), (high, wide) = generator.integers(0, size, 2), generator.integers(2, size // 2, 2)
    region = ((y - row) / high) ** 2 + ((x - column) / wide) ** 2 < 1
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    evidence = np.full((4, 4), generator.normal(), np.float32)  # so that what is interpolated is known
    found = heat_of_evidence(evidence, region, box).at(height, width)
    expected = resize_mask(region, height, width)
    assert np.mean((found != 0) != expected) < 0.004  # a mask of bytes may turn the other way at its edge
    inside = ndimage.binary_erosion(expected, iterations=2 + 2 * max(height, width) // size)
    assert found[inside] == pytest.approx(float(evidence[0, 0]), rel=1e-3)
