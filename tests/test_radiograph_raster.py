"""Reading PNG, JPEG and TIFF: values are kept, colour becomes gray, pictures stand upright."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lunglens.radiograph import read_radiograph
from tests.pictures import DEEP, GRAY, picture, saved


@pytest.mark.parametrize(
    ("data", "expected", "bits", "file_format"),
    [
        (picture(Image.fromarray(GRAY), "PNG"), GRAY / 255, 8, "PNG"),
        (picture(Image.fromarray(DEEP), "PNG"), DEEP / 65535, 16, "PNG"),
        (picture(Image.fromarray(GRAY > 99), "PNG"), GRAY > 99, 1, "PNG"),
        (picture(Image.fromarray(GRAY), "TIFF"), GRAY / 255, 8, "TIFF"),
        (picture(Image.fromarray(DEEP), "TIFF"), DEEP / 65535, 16, "TIFF"),
        (picture(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"), DEEP / 65535, 16, "TIFF"),
        (picture(Image.fromarray((DEEP / 65535).astype(np.float32)), "TIFF"), DEEP / 65535, 32, "TIFF"),
        (picture(Image.fromarray(DEEP), "TIFF", tiffinfo={262: 0}), 1 - DEEP / 65535, 16, "TIFF"),
    ],
)
def test_pictures_keep_their_values(
    data: bytes, expected: np.ndarray, bits: int, file_format: str, tmp_path: Path
) -> None:
    found = read_radiograph(saved(tmp_path, data, "wrong-extension.dcm"))
    assert (found.bits, found.file_format) == (bits, file_format)
    np.testing.assert_allclose(found.pixels, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_pictures_become_gray(mode: str, tmp_path: Path) -> None:
    found = read_radiograph(saved(tmp_path, picture(Image.fromarray(GRAY).convert(mode), "PNG")))
    np.testing.assert_allclose(found.pixels, GRAY / 255, atol=1.01 / 255)
    assert found.notes


def test_transparent_parts_are_black(tmp_path: Path) -> None:
    image = Image.fromarray(GRAY).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(np.arange(96) < 48, 0, 255).astype(np.uint8)[None].repeat(80, 0)))
    found = read_radiograph(saved(tmp_path, picture(image, "PNG"))).pixels
    assert (found[:, :48] == 0).all()
    np.testing.assert_allclose(found[:, 48:], GRAY[:, 48:] / 255, atol=1.01 / 255)


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_exif_orientation(orientation: int, turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_radiograph(saved(tmp_path, picture(Image.fromarray(GRAY), "JPEG", quality=95, exif=exif)))
    upright = np.rot90(GRAY, turn)
    assert found.pixels.shape == upright.shape
    assert np.abs(found.pixels - upright / 255).max() < 0.03
    assert found.notes == (f"EXIF orientation {orientation} applied",)
