"""What the networks see: the same in training and analysis, whatever the film's size and brightness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lunglens.film.parameters import View
from lunglens.film.preprocess import (
    bounding_box,
    classifier_view,
    film_square,
    rank_equalize,
    resize,
    resize_mask,
    seen,
    stretch,
)
from tests.support.phantom import chest

SHAPES = st.tuples(st.integers(2, 24), st.integers(2, 24))
STEPS = hnp.arrays(np.uint8, SHAPES).map(lambda a: a / 255)


@given(STEPS, st.floats(0.3, 3.0), st.integers(0, 2**32 - 1))
def test_ranks_do_not_change_with_gamma_contrast_and_brightness(film: np.ndarray, gamma: float, seed: int) -> None:
    lungs = np.random.default_rng(seed).random(film.shape) < 0.4
    found = rank_equalize(film, lungs)
    assert np.array_equal(found, rank_equalize(film**gamma, lungs))
    assert np.array_equal(found, rank_equalize(0.2 + 0.5 * film, lungs))
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.dtype == np.float32


@given(STEPS)
def test_ranks_keep_the_order_and_average_one_half_in_the_reference(film: np.ndarray) -> None:
    found = rank_equalize(film, np.ones(film.shape, bool))
    assert found.mean() == pytest.approx(0.5, abs=1e-5)
    order = np.argsort(film, axis=None)
    assert (np.diff(found.ravel()[order]) >= 0).all()


def test_ranks_are_those_among_the_lung_pixels_only() -> None:
    film = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.9]], np.float32)
    lungs = np.array([[False, True, True, True, True, False]])
    assert rank_equalize(film, lungs) == pytest.approx(np.array([[0, 0.125, 0.375, 0.625, 0.875, 1]]))
    assert np.array_equal(rank_equalize(film, ~lungs & lungs), rank_equalize(film, lungs | True))


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)), st.integers(2, 40))
@settings(deadline=None)
def test_the_8_bit_cache_gives_the_film_back_to_the_last_bit(pixels: np.ndarray, size: int) -> None:
    film = film_square(pixels, size)
    cached = np.rint(film * 255).astype(np.uint8)
    assert np.array_equal(cached.astype(np.float32) / np.float32(255), film)
    assert film.dtype == np.float32
    assert film.shape == (size, size)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-50, 50, width=32)))
def test_stretch_gives_0_to_1_and_does_not_depend_on_the_scale(pixels: np.ndarray) -> None:
    found = stretch(pixels)
    assert found.min() >= 0
    assert found.max() <= 1
    assert stretch(pixels * np.float32(4)) == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_film_of_one_value_becomes_black(value: float) -> None:
    found = stretch(np.full((9, 7), value, np.float32))
    assert found.shape == (9, 7)
    assert not found.any()


def test_stretch_ignores_half_a_percent_of_outliers_at_each_end() -> None:
    pixels = np.linspace(0.4, 0.6, 10_000, dtype=np.float32).reshape(100, 100)
    spotted = pixels.copy()
    spotted[0, :20], spotted[-1, -20:] = 0, 1
    assert stretch(spotted) == pytest.approx(stretch(pixels), abs=0.01)


def test_resizing_keeps_a_ramp_and_gives_height_and_width_in_this_order() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (32, 1))
    small = resize(ramp, 8, 16)
    assert small.shape == (8, 16)
    assert (np.diff(small, axis=1) > 0).all()
    assert np.ptp(small, axis=0).max() < 1e-6
    assert resize(ramp, 32, 64) is ramp


def test_making_a_film_smaller_averages_instead_of_picking() -> None:
    board = (np.indices((64, 64)).sum(0) % 2).astype(np.float32)
    assert resize(board, 8, 8) == pytest.approx(np.full((8, 8), 0.5), abs=0.05)


def test_a_mask_keeps_its_area_when_its_size_changes() -> None:
    lungs = chest(0, 200)[1]
    for shape in [(64, 64), (512, 512), (120, 333)]:
        resized = resize_mask(lungs, *shape)
        assert resized.dtype == bool
        assert resized.mean() == pytest.approx(lungs.mean(), abs=0.01)


def test_the_box_goes_around_the_mask_with_its_margin_and_stays_in_the_image() -> None:
    mask = np.zeros((100, 80), bool)
    mask[20:60, 30:50] = True
    assert bounding_box(mask, 0) == (20, 30, 60, 50)
    assert bounding_box(mask, 0.1) == (16, 28, 64, 52)
    assert bounding_box(mask, 5) == (0, 0, 100, 80)


def test_the_box_of_an_empty_mask_is_the_whole_image() -> None:
    assert bounding_box(np.zeros((30, 40), bool), 0.1) == (0, 0, 30, 40)


@given(hnp.arrays(bool, SHAPES), st.floats(0, 0.5))
def test_the_box_holds_every_pixel_of_the_mask(mask: np.ndarray, margin: float) -> None:
    top, left, bottom, right = bounding_box(mask, margin)
    assert mask[top:bottom, left:right].sum() == mask.sum()
    assert 0 <= top < bottom <= mask.shape[0]
    assert 0 <= left < right <= mask.shape[1]


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("equalize", ["none", "lungs"])
def test_the_classifier_s_view_has_its_size_and_steps(crop: bool, equalize: str) -> None:
    view = View(film_size=128, input_size=96, crop=crop, equalize=equalize)
    pixels, lungs = chest(1, 128)
    image, mask, box = classifier_view(film_square(pixels, 128), lungs, view)
    assert image.shape == mask.shape == (96, 96)
    assert (image.dtype, mask.dtype) == (np.float32, bool)
    assert np.array_equal(np.rint(image * 255) / np.float32(255), image)
    assert box == (bounding_box(lungs, view.crop_margin) if crop else (0, 0, 128, 128))
    share = lungs[box[0] : box[2], box[1] : box[3]].mean()
    assert mask.mean() == pytest.approx(share, abs=0.01)


def test_an_equalized_view_is_the_same_for_a_film_of_another_gamma() -> None:
    pixels, lungs = chest(2, 128)
    view = View(film_size=128, input_size=128, equalize="lungs", crop=True)
    plain, _, _ = classifier_view(pixels, lungs, view)
    dark, _, _ = classifier_view(pixels**2, lungs, view)
    assert np.abs(plain - dark).max() <= 1 / 255 + 1e-6
    unequalized = view.model_copy(update={"equalize": "none"})
    there, here = (classifier_view(film, lungs, unequalized)[0] for film in (pixels, pixels**2))
    assert np.abs(there - here).max() > 0.1


def test_a_view_without_lungs_shows_the_whole_film() -> None:
    film = film_square(chest(3, 64)[0], 64)
    view = View(film_size=64, input_size=64, crop=True, equalize="lungs")
    image, mask, box = classifier_view(film, np.zeros((64, 64), bool), view)
    assert box == (0, 0, 64, 64)
    assert not mask.any()
    assert image.std() > 0.1


def test_the_cut_blackens_what_is_not_lung_and_nothing_else() -> None:
    pixels, lungs = chest(4, 64)
    found = seen(pixels, lungs, View())
    assert np.array_equal(found[lungs], pixels[lungs])
    assert not found[~lungs].any()
    assert found.dtype == np.float32
    around = seen(pixels, lungs, View(cut=False, blackout=True))
    assert np.array_equal(found + around, pixels)
    assert around.dtype == np.float32
    assert seen(pixels, lungs, View(cut=False)) is pixels
    with pytest.raises(ValueError, match="nothing to see"):
        View(cut=True, blackout=True)


def test_a_black_square_leaves_the_rim() -> None:
    film = film_square(chest(3, 64)[0], 64)
    view = View(film_size=64, input_size=64, cut=False, rectangle=0.5)
    image, _, _ = classifier_view(film, np.zeros((64, 64), bool), view)
    assert not image[16:48, 16:48].any()
    rim = np.ones((64, 64), bool)
    rim[16:48, 16:48] = False
    assert np.array_equal(image[rim], film[rim])
    assert film[16:48, 16:48].any()  # what was given is left as it is
    with pytest.raises(ValueError, match="rectangle is of the whole film"):
        View(cut=False, rectangle=0.5, crop=True)
