"""Reading PNG, JPEG and TIFF: values are kept, colour becomes gray, pictures stand upright."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import UnreadableImageError
from lunglens.film.radiograph import read_radiograph
from tests.support.pictures import DEEP, GRAY, picture, saved


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


def tiff(data: bytes, bits: int, sample_format: int, photometric: int = 1, planes: int = 0) -> bytes:
    """A little-endian TIFF of GRAY's size; gray, or with `planes` 3 of colour in separate planes."""
    height, width = GRAY.shape
    size, samples = len(data) // max(planes, 1), max(planes, 1)
    tail = 8 + len(data) + 2 + 12 * 11 + 4
    per_sample = [(258, bits), (339, sample_format)]
    entries = {256: (4, 1, width), 257: (4, 1, height), 259: (3, 1, 1), 262: (3, 1, photometric), 277: (3, 1, samples)}
    entries |= {278: (4, 1, height), 284: (3, 1, 2 if planes else 1), 273: (4, 1, 8), 279: (4, 1, size)}
    entries |= {tag: (3, 1, value) for tag, value in per_sample}
    more = b""
    if planes:
        for tag, kind, values in [*((t, 3, [v] * 3) for t, v in per_sample), (279, 4, [size] * 3)]:
            entries[tag] = (kind, 3, tail + len(more))
            more += struct.pack(f"<3{'HI'[kind == 4]}", *values)
        entries[273] = (4, 3, tail + len(more))
        more += struct.pack("<3I", *(8 + size * plane for plane in range(3)))
    fields = b"".join(struct.pack("<HHII", tag, *entries[tag]) for tag in sorted(entries))
    return (
        struct.pack("<4sI", b"II*\0", 8 + len(data)) + data + struct.pack("<H", len(entries)) + fields + bytes(4) + more
    )


@pytest.mark.parametrize(
    ("values", "sample_format"),
    [
        ((GRAY.astype(np.int16) - 128).astype("<i1"), 2),
        (GRAY.astype("<i2") - 100, 2),
        (GRAY.astype("<i4") - 100, 2),
        (GRAY.astype("<u4") * 2**24, 1),
        (GRAY.astype("<u4") + 2**31 - 100, 1),
    ],
)
def test_tiff_samples_have_the_sign_they_say(values: np.ndarray, sample_format: int, tmp_path: Path) -> None:
    data = tiff(values.tobytes(), 8 * values.dtype.itemsize, sample_format)
    low, high = int(GRAY.min()), int(GRAY.max())
    np.testing.assert_allclose(read_radiograph(saved(tmp_path, data)).pixels, (GRAY - low) / (high - low), atol=1e-6)


def test_separate_planes_of_16_bits_are_refused_in_words(tmp_path: Path) -> None:
    deep = (GRAY.astype("<u2") * 257).tobytes()
    with pytest.raises(UnreadableImageError, match="in separate planes is not supported"):
        read_radiograph(saved(tmp_path, tiff(deep * 3, 16, 1, photometric=2, planes=3)))
    found = read_radiograph(saved(tmp_path, tiff(GRAY.tobytes() * 3, 8, 1, photometric=2, planes=3)))
    np.testing.assert_allclose(found.pixels, GRAY / 255, atol=0.01)
