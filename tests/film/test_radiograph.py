"""Radiographs of arrays, and what importing the module costs."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lunglens.errors import UnreadableImageError
from lunglens.film.radiograph import radiograph_from_array
from tests.support.dicom_files import gradient

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=64, max_side=70)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([np.uint8, np.int16, np.uint16, np.int32]).flatmap(lambda kind: hnp.arrays(kind, shapes)))
def test_integer_arrays_keep_their_values(array: np.ndarray) -> None:
    found = radiograph_from_array(array)
    low, high = float(array.min()), float(array.max())
    expected = (array - low) / (high - low) if high > low else np.full(array.shape, high > 0)
    np.testing.assert_allclose(found.pixels, expected, atol=1e-7)
    assert (found.sha256, found.file_format) == ("", "array")


@settings(max_examples=25, deadline=None)
@given(
    st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.float64])
)
def test_a_linear_rescaling_is_the_same_film(factor: float, offset: float, kind: type) -> None:
    film = gradient(64, 64, 200).astype(np.float64)
    if np.issubdtype(kind, np.integer):
        factor, offset = float(int(factor % 250) + 1), float(int(abs(offset)) % 50)
        offset = min(offset, np.iinfo(kind).max - 200 * factor)
        assume(offset >= 0)
    rescaled = (factor * film + offset).astype(kind)
    assume(np.ptp(rescaled.astype(np.float64)) > 1e-3 * np.abs(rescaled.astype(np.float64)).max())
    found = radiograph_from_array(rescaled).pixels
    np.testing.assert_allclose(found, film / 200, atol=2e-3 if kind is np.float32 else 1e-6)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, shapes, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_float_arrays_end_in_0_to_1_and_keep_their_order(array: np.ndarray) -> None:
    pixels = radiograph_from_array(array).pixels
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert (np.diff(pixels.ravel()[np.argsort(array.ravel(), kind="stable")]) >= 0).all()


@pytest.mark.parametrize(
    "array",
    [np.full((64, 64), np.nan), np.zeros((64, 63)), np.zeros(64), np.zeros((64, 64, 5)), np.zeros((64, 64), complex)],
)
def test_bad_arrays(array: np.ndarray) -> None:
    with pytest.raises(UnreadableImageError, match=r"^array: "):
        radiograph_from_array(array)


def test_colour_array() -> None:
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[..., 1] = 255
    np.testing.assert_allclose(radiograph_from_array(colour).pixels, 0.587, atol=1e-6)


def test_import_is_light() -> None:
    code = "import sys, lunglens.film.radiograph; print({'pydicom', 'PIL', 'gdcm', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
