"""Every bad file has its own clear error, and costs no more than the limits allow."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.film.radiograph import Limits, read_radiograph
from tests.support.dicom_files import dataset_of, deflated, encoded, gradient, transcoded
from tests.support.pictures import DEEP, GRAY, picture, saved


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Modality": "CT"}, "modality CT"),
        ({"Modality": "MR"}, "modality MR"),
        ({"Modality": "US"}, "modality US"),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "modality CT"),
        ({"NumberOfFrames": 2}, "2 frames"),
    ],
)
def test_header_of_another_kind_is_refused(elements: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(NotAChestRadiographError, match=f"^case.dcm: .*{words}"):
        read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **elements)), "case.dcm"))


def test_several_pages_are_refused(tmp_path: Path) -> None:
    data = picture(Image.fromarray(GRAY), "TIFF", save_all=True, append_images=[Image.fromarray(GRAY)])
    with pytest.raises(NotAChestRadiographError, match="several frames") as caught:
        read_radiograph(saved(tmp_path, data))
    assert caught.value.code == "frames"


def rle_bomb() -> Dataset:
    header = np.zeros(16, "<u4")
    header[:3] = 2, 64, 64 + 20000
    dataset = dataset_of(gradient())
    dataset.file_meta.TransferSyntaxUID = uid.RLELossless
    dataset.PixelData = encapsulate([header.tobytes() + b"\x81\x00" * 20000])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def lying_codestream() -> Dataset:
    dataset = dataset_of(GRAY, bits=8)
    dataset.PixelData = encapsulate([picture(Image.new("L", (2000, 2000)), "JPEG")])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    return dataset


def unknown_syntax(syntax: str) -> Dataset:
    dataset = dataset_of(gradient())
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([b"\0\0\1\xb3 a film, but in the other sense of the word"])
    dataset["PixelData"].is_undefined_length = True
    return dataset


PLAIN = encoded(dataset_of(gradient()))
PNG = picture(Image.fromarray(GRAY), "PNG")
JPEG = picture(Image.fromarray(GRAY), "JPEG")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, this is no image" * 20, "no DICOM, PNG, JPEG or TIFF"),
        (PLAIN[:-1000], "truncated"),
        (PLAIN[:-15200], "truncated"),
        (PLAIN[:400], "ends before them"),
        (transcoded(dataset_of(gradient()), "rle", Path())[:-500], "truncated"),
        (transcoded(dataset_of(gradient()), "jpeg-ls", Path())[:-500], "truncated"),
        (PNG[:-200], "truncated"),
        (PNG[:-12], "truncated"),
        (JPEG[:-200], "truncated"),
        (picture(Image.fromarray(DEEP), "TIFF")[:9000], "truncated"),
        (transcoded(dataset_of(gradient()), "deflated", Path())[:-500], "truncated"),
        (encoded(dataset_of(gradient(), PixelData=None)), "no Pixel Data"),
        (encoded(dataset_of(gradient(), Rows=None)), "Rows is missing"),
        (encoded(dataset_of(gradient(), Rows=60000, Columns=60000)), "px are more"),
        (encoded(dataset_of(gradient(), Rows=4000)), "truncated"),
        (encoded(dataset_of(gradient(40, 500))), "too few"),
        (encoded(dataset_of(gradient(), BitsStored=17)), "17 bits in 16"),
        (encoded(unknown_syntax(str(uid.MPEG2MPML))), "transfer syntax 1.2.840.10008.1.2.4.100 is not supported"),
        (encoded(unknown_syntax("\x1b[1.2"), implicit_vr=False, little_endian=True), "syntax is not supported"),
        (encoded(lying_codestream()), r"\(2000, 2000, 1\)"),
        (encoded(rle_bomb()), "RLE data"),
        (picture(Image.new("1", (20000, 20000)), "PNG"), "far too many px"),
        (picture(Image.new("1", (11000, 11000)), "TIFF"), "px are more"),
        (picture(Image.new("L", (64, 63)), "PNG"), "too few"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unreadable(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=f"^case.png: .*{words}"):
        read_radiograph(saved(tmp_path, data, "case.png"))


def test_limits(tmp_path: Path) -> None:
    path = saved(tmp_path, PNG)
    with pytest.raises(UnreadableImageError, match="bytes allowed"):
        read_radiograph(path, Limits(max_bytes=len(PNG) - 1))
    with pytest.raises(UnreadableImageError, match="px are more"):
        read_radiograph(path, Limits(max_pixels=GRAY.size - 1))
    assert read_radiograph(path, Limits(len(PNG), GRAY.size)).pixels.shape == GRAY.shape


def test_deflate_bomb(tmp_path: Path) -> None:
    padding = b"\xfc\xff\xfc\xffOB\0\0" + (50_000_000).to_bytes(4, "little") + bytes(50_000_000)
    path = saved(tmp_path, deflated(dataset_of(gradient()), padding))
    assert path.stat().st_size < 200_000
    with pytest.raises(UnreadableImageError, match="inflates to more than"):
        read_radiograph(path, Limits(max_bytes=10_000_000))
    assert read_radiograph(path).pixels.shape == (80, 96)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableImageError, match=r"^none.png: no such file"):
        read_radiograph(tmp_path / "none.png")
    with pytest.raises(UnreadableImageError, match="folder"):
        read_radiograph(tmp_path)
    with pytest.raises(UnreadableImageError):
        read_radiograph("nul\0byte")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableImageError, match="no regular file"):
        read_radiograph(tmp_path / "pipe")
    path = saved(tmp_path, PNG)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom no permission stops
    with pytest.raises(UnreadableImageError, match="no permission"):
        read_radiograph(path)
