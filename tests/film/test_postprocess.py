"""From probability map to lung fields and cutting region."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from lunglens.film.lungs.postprocess import MASK_SIZE, drop_islands, lung_mask, lung_region
from lunglens.film.parameters import Postprocess

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 30)))
SQUARE = np.ones((3, 3), bool)


def boxes(*bounds: tuple[int, int, int, int], size: int = MASK_SIZE) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    for top, left, bottom, right in bounds:
        mask[top:bottom, left:right] = True
    return mask


@given(MASKS)
def test_the_region_is_8_dilations_and_2_closings_as_in_the_paper(mask: np.ndarray) -> None:
    room = np.pad(mask, 20)
    dilated = ndimage.binary_dilation(room, SQUARE, iterations=8)
    expected = ndimage.binary_closing(dilated, SQUARE, iterations=2)[20:-20, 20:-20]
    assert np.array_equal(lung_region(mask, Postprocess()), expected)


@given(MASKS, st.integers(0, 4))
def test_closing_never_takes_away_from_the_mask_not_even_at_the_border(mask: np.ndarray, iterations: int) -> None:
    region = lung_region(mask, Postprocess(dilation_iterations=0, closing_iterations=iterations))
    assert region.shape == mask.shape
    assert (region | ~mask).all()


def test_a_mask_that_fills_the_image_stays_whole() -> None:
    assert lung_region(boxes((0, 0, 40, 40), size=40), Postprocess()).all()


def test_closing_bridges_a_gap_of_four_pixels_and_not_of_five() -> None:
    settings_ = Postprocess(dilation_iterations=0, closing_iterations=2)
    for gap, joined in [(4, 1), (5, 2)]:
        region = lung_region(boxes((10, 10, 30, 20), (10, 20 + gap, 30, 40), size=50), settings_)
        assert ndimage.label(region)[1] == joined


def test_islands_below_the_share_go_and_others_stay() -> None:
    large, enough, small = (10, 10, 30, 30), (40, 40, 48, 45), (60, 60, 66, 66)  # 400, 40 and 36 pixels
    assert np.array_equal(drop_islands(boxes(large, enough, small), 0.1), boxes(large, enough))
    assert np.array_equal(drop_islands(boxes(large, enough, small), 0), boxes(large, enough, small))
    assert np.array_equal(drop_islands(boxes(small), 0.9), boxes(small))


def test_regions_that_touch_at_a_corner_are_two() -> None:
    corner = boxes((0, 0, 20, 20), (20, 20, 22, 22), size=40)
    assert np.array_equal(drop_islands(corner, 0.1), boxes((0, 0, 20, 20), size=40))


@given(MASKS, st.floats(0, 0.99))
def test_islands_only_ever_go_and_the_largest_stays(mask: np.ndarray, share: float) -> None:
    kept = drop_islands(mask, share)
    assert (mask | ~kept).all()
    labels, count = ndimage.label(mask)
    if count:
        areas = np.bincount(labels.ravel())[1:]
        assert kept.sum() == areas[areas >= share * areas.max()].sum()
    else:
        assert not kept.any()


def test_a_map_without_lungs_gives_empty_masks() -> None:
    found = lung_mask(np.full((1, 64, 64), 0.49, np.float32), Postprocess())
    assert found.fields.shape == found.region.shape == found.probability.shape == (512, 512)
    assert not found.fields.any()
    assert not found.region.any()
    assert found.region_area_px == 0


def test_holes_are_filled_and_specks_dropped() -> None:
    probability = boxes((100, 100, 300, 200), (100, 300, 300, 400), (450, 20, 470, 40)).astype(np.float32)
    probability[150:160, 150:160] = 0
    found = lung_mask(probability[None], Postprocess())
    assert np.array_equal(found.fields, boxes((100, 100, 300, 200), (100, 300, 300, 400)))
    assert np.array_equal(found.region, boxes((92, 92, 308, 208), (92, 292, 308, 408)))
    assert found.region_area_px == 2 * 216 * 116


def test_the_network_s_own_region_is_cleaned_as_the_fields_are_and_grown_only_where_asked() -> None:
    fields = boxes((100, 100, 200, 200), (100, 300, 200, 400))
    whole = boxes((100, 100, 300, 200), (100, 300, 300, 400), (450, 20, 470, 40))
    whole[150:160, 150:160] = False
    maps = np.stack([fields, whole]).astype(np.float32)
    as_it_is = Postprocess(region="network", dilation_iterations=0, closing_iterations=0)
    found = lung_mask(maps, as_it_is)
    assert np.array_equal(found.fields, fields)
    assert np.array_equal(found.region, boxes((100, 100, 300, 200), (100, 300, 300, 400)))
    assert np.array_equal(found.probability, maps[0])
    wide = lung_mask(maps * np.float32(0.49), as_it_is.model_copy(update={"region_threshold": 0.4}))
    assert np.array_equal(wide.region, found.region)
    assert not wide.fields.any()
    grown = lung_mask(maps, as_it_is.model_copy(update={"dilation_iterations": 2}))
    assert np.array_equal(grown.region, boxes((98, 98, 302, 202), (98, 298, 302, 402)))
    assert np.array_equal(lung_mask(maps, Postprocess()).region, lung_mask(maps[:1], Postprocess()).region)


def test_a_pixel_at_the_threshold_is_lung() -> None:
    at = np.full((1, 512, 512), 0.5, np.float32)
    assert lung_mask(at, Postprocess(threshold=0.5)).fields.all()
    assert not lung_mask(at, Postprocess(threshold=0.51)).fields.any()


def test_a_small_map_is_brought_to_512_before_it_is_cut() -> None:
    small = boxes((16, 16, 48, 48), size=64).astype(np.float32)
    found = lung_mask(small[None], Postprocess())
    assert found.fields.mean() == pytest.approx((small > 0.5).mean(), abs=0.005)
    grown = np.flatnonzero(found.region.any(1))[0] - np.flatnonzero(found.fields.any(1))[0]
    assert grown == -8


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_a_higher_threshold_or_less_dilation_never_gives_a_larger_area(seed: int, low: float, more: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((64, 64)), 6)
    probability = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    every = {"min_island_fraction": 0.0}
    wide = lung_mask(probability[None], Postprocess(threshold=low, **every))
    strict = lung_mask(probability[None], Postprocess(threshold=low + more, **every))
    narrow = lung_mask(probability[None], Postprocess(threshold=low, dilation_iterations=3, **every))
    assert strict.region_area_px <= wide.region_area_px
    assert narrow.region_area_px <= wide.region_area_px
    assert wide.region_area_px == wide.region.sum() >= wide.fields.sum()
