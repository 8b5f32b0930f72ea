"""Films in the JSRT database's own format: 2048 x 2048 values, no header, higher = darker."""

from pathlib import Path

import numpy as np
import pytest

from lunglens.errors import UnreadableImageError
from lunglens.film.radiograph import Limits, read_radiograph

RAW_FILM = (np.arange(2048 * 2048) % 4096).astype(">u2").tobytes()


def film(folder: Path, content: bytes) -> Path:
    path = folder / "JPCLN001.IMG"
    path.write_bytes(content)
    return path


def test_a_raw_film_is_read_with_dense_parts_bright(tmp_path: Path) -> None:
    values = np.full((2048, 2048), 1000, ">u2")
    values[:1024] = 4095
    values[0, 0] = 0
    read = read_radiograph(film(tmp_path, values.tobytes()))
    assert (read.file_format, read.bits, read.spacing_mm) == ("JSRT", 12, (0.175, 0.175))
    assert read.pixels.shape == (2048, 2048)
    assert read.pixels.dtype == np.float32
    assert (read.pixels[0, 0], read.pixels[0, 1]) == (1, 0)
    assert read.pixels[2000, 0] == pytest.approx(1 - 1000 / 4095)


@pytest.mark.parametrize(
    "content",
    [
        np.arange(2048 * 2048).astype(">u2").tobytes(),  # more than 12 bits
        bytes(2 * 2048 * 2048),  # a file of zeros
        RAW_FILM[:-2],
        RAW_FILM + b"\0\0",
    ],
    ids=["16 bits", "zeros", "short", "long"],
)
def test_other_raw_data_are_no_radiograph(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="no DICOM, PNG, JPEG or TIFF"):
        read_radiograph(film(tmp_path, content))


def test_a_raw_film_keeps_the_pixel_limit(tmp_path: Path) -> None:
    path = film(tmp_path, RAW_FILM)
    with pytest.raises(UnreadableImageError, match="more than the 1000 allowed"):
        read_radiograph(path, Limits(max_pixels=1000))
