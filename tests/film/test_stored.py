"""The bytes by which a viewer windows a film itself: every stored value, and how bright the reader shows it."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding_record import FindingRecord, GateRecord, OrientationRecord
from lunglens.film.orientation import ALL_ORIENTATIONS, Orientation
from lunglens.film.picture.stored import stored_bytes
from lunglens.film.radiograph import Radiograph, read_radiograph


def record(orientation: Orientation = ALL_ORIENTATIONS[0], *, inverted: bool = False) -> FindingRecord:
    return FindingRecord.model_construct(
        gate=GateRecord(accepted=True, frontal_score=1, polarity_inverted=inverted),
        orientation=OrientationRecord(
            turned_degrees_clockwise=90 * orientation.quarter_turns, mirrored=orientation.mirrored
        ),
    )


def parsed(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Values (H, W), and how bright each pixel is shown by the table."""
    width, height, levels, first, step = struct.unpack_from("<3I2d", content)
    table = np.frombuffer(content, "<f4", levels, 28)
    pixels = np.frombuffer(content, "<u2", width * height, 28 + 4 * levels).reshape(height, width)
    assert len(content) == 28 + 4 * levels + 2 * width * height
    return first + step * pixels.astype(float), table[pixels]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(ALL_ORIENTATIONS),
    st.booleans(),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, np.int32]),
    st.integers(0, 2**32 - 1),
)
def test_values_of_every_kind_come_as_they_are_displayed(
    orientation: Orientation, inverted: bool, kind: type, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    far = 1e6 if np.dtype(kind).itemsize == 4 else 200
    stored = generator.uniform(0, far, (64, 80)).astype(kind)
    span = float(stored.max()) - float(stored.min())
    shown = ((stored - float(stored.min())) / span).astype(np.float32)
    film = Radiograph(np.clip(1.4 * shown - 0.2, 0, 1).astype(np.float32), "", "array", 16, stored=stored)
    values, bright = parsed(stored_bytes(film, record(orientation, inverted=inverted)))
    expected = orientation.apply(stored)
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, atol=0.51 * span / 65535 if span >= 65536 or kind is np.float32 else 0)
    line = orientation.apply(1.4 * shown - 0.2)
    # A level that no pixel of the sample has is read off between its neighbours.
    np.testing.assert_allclose(bright, 1 - line if inverted else line, atol=0.05)


@pytest.mark.parametrize("kind", ["UNCR", "J2KR"])
def test_a_real_film(kind: str, rg_folder: Path, analyzer: Analyzer) -> None:
    path = rg_folder / f"RG1_{kind}.dcm"
    film = read_radiograph(path, keep_stored=True)
    assert read_radiograph(path).stored is None
    assert film.stored is not None
    values, bright = parsed(stored_bytes(film, analyzer.analyze(path).record()))
    np.testing.assert_array_equal(values, film.stored)
    inner = (film.pixels > 0) & (film.pixels < 1)
    np.testing.assert_allclose(bright[inner], film.pixels[inner], atol=1e-3)
    assert (bright[film.pixels >= 1] >= 1 - 1e-3).all()
    assert (bright[film.pixels <= 0] <= 1e-3).all()


def test_a_large_film_comes_thinned_and_one_value_alone_is_shown_too() -> None:
    film = Radiograph(np.zeros((64, 9000), np.float32), "", "array", 8, stored=np.full((64, 9000), 7, np.uint8))
    values, bright = parsed(stored_bytes(film, record()))
    assert values.shape == (22, 3000)
    assert set(values.ravel()) == {7.0}
    assert set(bright.ravel()) == {0.0}
    with pytest.raises(ValueError, match="without its stored values"):
        stored_bytes(Radiograph(film.pixels, "", "array", 8), record())
