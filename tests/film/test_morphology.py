"""What stands in for scipy gives what scipy gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from lunglens.film.morphology import close, grow, label, open_profile, smooth

SQUARE = np.ones((3, 3), bool)
SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30)
MASKS = arrays(bool, SHAPES)
PICTURES = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=20)


@given(MASKS)
def test_regions_are_those_of_scipy_by_whatever_number(mask: np.ndarray) -> None:
    (labels, count), (expected, expected_count) = label(mask), ndimage.label(mask)
    assert (count, labels.max(initial=0)) == (expected_count, expected_count)
    assert np.array_equal(labels > 0, mask)
    assert len(set(zip(labels[mask], expected[mask], strict=True))) == count


def test_what_winds_a_long_way_is_one_region() -> None:
    snake = np.ones((61, 61), bool)  # to and fro: each row hangs together with the next at one end alone
    snake[1::4, :-1] = False
    snake[3::4, 1:] = False
    for mask in (snake, snake.T, snake[::-1]):
        assert label(mask)[1] == ndimage.label(mask)[1] == 1


@given(MASKS, st.integers(0, 9))
def test_growing_is_dilation_so_many_times(mask: np.ndarray, iterations: int) -> None:
    # scipy takes 0 iterations for "until nothing changes".
    expected = ndimage.binary_dilation(mask, SQUARE, iterations=iterations) if iterations else mask
    assert np.array_equal(grow(mask, iterations), expected)


@given(MASKS, st.integers(0, 5))
def test_closing_is_that_of_a_mask_with_room_around_it(mask: np.ndarray, iterations: int) -> None:
    room = np.pad(mask, 7)
    expected = ndimage.binary_closing(room, SQUARE, iterations=iterations) if iterations else room
    assert np.array_equal(close(mask, iterations), expected[7:-7, 7:-7])


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-9, 9)), st.integers(0, 30))
def test_a_profile_is_opened_as_by_scipy(values: np.ndarray, half: int) -> None:
    width = 2 * half + 1
    assert np.array_equal(open_profile(values, width), ndimage.grey_opening(values, width, mode="nearest"))


@given(
    arrays(
        np.float32, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=20), elements=st.floats(0, 1, width=32)
    ),
    st.floats(0.3, 3),
)
def test_smoothing_is_scipy_s_gaussian(pictures: np.ndarray, sigma: float) -> None:
    for beyond, mode in (("symmetric", "reflect"), ("edge", "nearest")):
        expected = ndimage.gaussian_filter(pictures, sigma, mode=mode, axes=(-2, -1))
        assert np.allclose(smooth(pictures, sigma, beyond), expected, atol=1e-5)
