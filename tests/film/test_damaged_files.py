"""Damaged files end in a radiograph or in a LungLensError, soon and silently."""

import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from lunglens.errors import LungLensError
from lunglens.film.radiograph import read_radiograph
from tests.support.dicom_files import dataset_of, encoded, gradient, rg1, transcoded

EACH = {"jpeg-lossless": 16, "jpeg2000": 16}  # these are decoded in a process of their own, which takes time
KINDS = ["plain", "rle", "jpeg-ls", "jpeg-lossless", "jpeg2000", "deflated", "implicit", "PNG", "JPEG", "TIFF", "rg1"]


def original(kind: str, folder: Path) -> bytes:
    if kind in ("PNG", "JPEG", "TIFF"):
        stream = BytesIO()
        image = Image.fromarray(gradient(top=255).astype(np.uint8))
        image.save(stream, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
        return stream.getvalue()
    if kind == "rg1":
        dataset = dcmread(rg1("UNCR"))
        stored = dataset.pixel_array[::16, ::16]
        dataset.Rows, dataset.Columns = stored.shape
        dataset.PixelData = stored.tobytes()
        return encoded(dataset)
    return transcoded(dataset_of(gradient()), kind, folder)


def damaged(data: bytes, rng: np.random.Generator, number: int) -> bytes:
    """Every third file is cut; of the others half are hit in the first 2 kB, where the structure is."""
    if number % 3 == 0:
        return data[: rng.integers(1, len(data))]
    reach = min(2048, len(data)) if number % 3 == 1 else len(data)
    hit = bytearray(data)
    for at in rng.integers(0, reach, rng.integers(1, 9)):
        hit[at] = rng.integers(256)
    return bytes(hit)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = original(kind, tmp_path)
    path = tmp_path / "damaged"
    path.write_bytes(data)
    assert read_radiograph(path).pixels.size >= 80 * 96
    rng = np.random.default_rng([KINDS.index(kind), 20])
    errors, each = 0, EACH.get(kind, 30)
    for number in range(each):
        path.write_bytes(damaged(data, rng, number))
        start = time.monotonic()
        try:
            found = read_radiograph(path)
        except LungLensError as error:
            errors += 1
            assert str(error).startswith("damaged: ")
        else:
            assert np.isfinite(found.pixels).all()
            assert 0 <= found.pixels.min() <= found.pixels.max() <= 1
        assert time.monotonic() - start < 20
    assert errors >= each // 4  # the damage is real: cut files at least do not pass as images
    assert capfd.readouterr() == ("", "")
