"""Reading files: every encoding of the same image agrees, and every bad file has its own clear error."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from dicom_files import dataset_of, deflated, encoded, gradient, rg1, transcoded
from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.radiograph import Limits, radiograph_from_array, read_radiograph

GRAY = (gradient(top=255)).astype(np.uint8)
DEEP = gradient(top=65535)


def saved(folder: Path, data: bytes, name: str = "image.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


# Real radiographs


@pytest.fixture(scope="module")
def half_rg1() -> Dataset:
    dataset = dcmread(rg1("UNCR"))
    stored = dataset.pixel_array[::3, ::3]
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.tobytes()
    return dataset


def test_real_copies_agree() -> None:
    shown = {kind: read_radiograph(rg1(kind)) for kind in ("UNCR", "J2KR", "UNCI", "J2KI")}
    first = shown["UNCR"]
    assert (first.pixels.shape, first.pixels.dtype, first.bits) == ((1955, 1841), np.float32, 15)
    assert (first.view, first.body_part, first.modality, first.file_format) == ("PA", "CHEST", "CR", "DICOM")
    np.testing.assert_array_equal(first.pixels, shown["J2KR"].pixels)
    np.testing.assert_array_equal(shown["UNCI"].pixels, shown["J2KI"].pixels)
    difference = np.abs(first.pixels - shown["J2KI"].pixels)
    assert 0 < difference.max() < 0.02
    assert difference.mean() < 0.003
    assert first.spacing_mm is None  # the file says 0.000 mm
    assert "MONOCHROME1 inverted" in first.notes


@pytest.mark.parametrize(
    "kind",
    ["rle", "jpeg-ls", "jpeg-lossless", "jpeg2000", "deflated", "big-endian", "implicit", "monochrome2"],
)
def test_lossless_copies_are_equal(kind: str, half_rg1: Dataset, tmp_path: Path) -> None:
    expected = read_radiograph(saved(tmp_path, encoded(half_rg1), "a"))
    file = transcoded(half_rg1, kind, tmp_path)
    found = read_radiograph(saved(tmp_path, file, "b"))
    assert found.sha256 != expected.sha256
    if kind == "monochrome2":  # 1 - x rounds once more
        np.testing.assert_allclose(found.pixels, expected.pixels, atol=1e-6, rtol=0)
    else:
        assert dcmread(BytesIO(file)).file_meta.TransferSyntaxUID != uid.ExplicitVRLittleEndian
        np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_jpeg_baseline_in_dicom(tmp_path: Path) -> None:
    dataset = dataset_of(GRAY, bits=8)
    dataset.PixelData = encapsulate([picture(Image.fromarray(GRAY), "JPEG", quality=95)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    found = read_radiograph(saved(tmp_path, encoded(dataset))).pixels
    assert np.abs(found - GRAY / 255).max() < 0.03


# From stored values to gray (PS3.3 C.11)


def lut(entries: int, first: int, bits: int, data: list[int]) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "US", [entries, first, bits])
    item.add_new(0x00283006, "US", data)
    return Sequence([item])


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 2000, "WindowWidth": 1500},
        {"WindowCenter": [900, 100], "WindowWidth": [1500, 20]},
        {"WindowCenter": 2000, "WindowWidth": 1},
        {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 2000.5, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 800, "WindowWidth": 3000, "RescaleSlope": 2, "RescaleIntercept": -1024},
        {"VOILUTSequence": lut(3000, 500, 12, [int(v) for v in np.linspace(0, 4095, 3000)])},
    ],
)
def test_agrees_with_pydicom(elements: dict[str, Any], tmp_path: Path) -> None:
    dataset = dcmread(BytesIO(encoded(dataset_of(gradient(), **elements))))
    reference = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(np.float64)
    slope, intercept = elements.get("RescaleSlope", 1), elements.get("RescaleIntercept", 0)
    reference = (reference - intercept) / (4095 * slope)
    found = read_radiograph(saved(tmp_path, encoded(dataset))).pixels
    np.testing.assert_allclose(found, reference, atol=1e-6)


def test_modality_lut_comes_before_the_window(tmp_path: Path) -> None:
    table = [4095 - v for v in range(4096)]
    dataset = dataset_of(gradient(), WindowCenter=2048, WindowWidth=4096, ModalityLUTSequence=lut(4096, 0, 12, table))
    found = read_radiograph(saved(tmp_path, encoded(dataset)))
    np.testing.assert_allclose(found.pixels, 1 - gradient() / 4095, atol=1e-6)
    assert "modality LUT applied" in found.notes


def test_signed_without_window_uses_the_range_without_padding(tmp_path: Path) -> None:
    stored = gradient().astype(np.int16) - 1000
    stored[:5] = -2000
    dataset = dataset_of(stored, bits=16)
    dataset.add_new(0x00280120, "SS", -2000)
    found = read_radiograph(saved(tmp_path, encoded(dataset))).pixels
    inside = stored[5:].astype(np.float64)
    np.testing.assert_allclose(found[5:], (inside - inside.min()) / np.ptp(inside), atol=1e-6)
    assert (found[:5] == 0).all()


@pytest.mark.parametrize("elements", [{"WindowCenter": 9000, "WindowWidth": 10}, {"WindowWidth": 0, "WindowCenter": 1}])
def test_unusable_window_is_ignored_with_a_note(elements: dict[str, Any], tmp_path: Path) -> None:
    found = read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **elements))))
    assert any(note.startswith("unusable") for note in found.notes)
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    dataset = dataset_of(gradient(), PhotometricInterpretation="MONOCHROME1")
    found = read_radiograph(saved(tmp_path, encoded(dataset))).pixels
    np.testing.assert_allclose(found, 1 - gradient() / 4095, atol=1e-6)


def test_colour_secondary_capture(tmp_path: Path) -> None:
    dataset = dataset_of(np.repeat(GRAY[..., None], 3, axis=2), bits=8, Modality="OT")
    found = read_radiograph(saved(tmp_path, encoded(dataset)))
    np.testing.assert_allclose(found.pixels, GRAY / 255, atol=1e-6)
    assert any("colour image" in note for note in found.notes)
    assert any("modality OT" in note for note in found.notes)


def test_header_facts(tmp_path: Path) -> None:
    facts = {"PatientAge": "006M", "PatientSex": "f", "ViewPosition": "ll", "ImageLaterality": "L"}
    dataset = dataset_of(gradient(), PixelSpacing=[0.2, 0.1], BodyPartExamined="Chest pa", **facts)
    found = read_radiograph(saved(tmp_path, encoded(dataset)))
    assert (found.spacing_mm, found.spacing_source) == ((0.2, 0.1), "PixelSpacing")
    assert (found.age_years, found.sex, found.view, found.laterality) == (0.5, "F", "LL", "L")
    assert found.body_part == "CHEST PA"
    assert "Never" not in repr(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("age", ["", "abc", "45", "999999Y", "-1Y"])
def test_odd_facts_never_fail(age: str, tmp_path: Path) -> None:
    dataset = dataset_of(gradient(), PatientAge=age, ImagerPixelSpacing=[0.15, 0.15], Modality=None)
    found = read_radiograph(saved(tmp_path, encoded(dataset)))
    assert found.age_years is None
    assert found.spacing_source == "ImagerPixelSpacing"
    assert any("modality absent" in note for note in found.notes)


def test_without_preamble(tmp_path: Path) -> None:
    dataset = dataset_of(gradient())
    del dataset.file_meta
    bare = encoded(dataset, preamble=False, implicit_vr=True, little_endian=True)
    assert bare[128:132] != b"DICM"
    found = read_radiograph(saved(tmp_path, bare))
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)
    assert any("preamble" in note for note in found.notes)


# PNG, JPEG, TIFF


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


# Arrays

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=64, max_side=70)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: hnp.arrays(kind, shapes)))
def test_integer_arrays_keep_their_values(array: np.ndarray) -> None:
    found = radiograph_from_array(array)
    top = np.iinfo(array.dtype).max
    np.testing.assert_array_equal(np.round(found.pixels.astype(np.float64) * top), array)
    assert (found.sha256, found.file_format) == ("", "array")


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
    [np.full((64, 64), np.nan), np.zeros((64, 63)), np.zeros(64), np.zeros((64, 64, 4)), np.zeros((64, 64), np.int64)],
)
def test_bad_arrays(array: np.ndarray) -> None:
    with pytest.raises(UnreadableImageError, match=r"^array: "):
        radiograph_from_array(array)


def test_colour_array() -> None:
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[..., 1] = 255
    np.testing.assert_allclose(radiograph_from_array(colour).pixels, 0.587, atol=1e-6)


# Errors


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Modality": "CT"}, "modality CT"),
        ({"Modality": "MR"}, "modality MR"),
        ({"Modality": "US"}, "modality US"),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "modality CT"),
        ({"BodyPartExamined": "HAND"}, "body part HAND"),
        ({"BodyPartExamined": "LEG"}, "body part LEG"),
        ({"NumberOfFrames": 2}, "2 frames"),
    ],
)
def test_header_of_another_kind_is_refused(elements: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(NotAChestRadiographError, match=f"^case.dcm: .*{words}"):
        read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **elements)), "case.dcm"))


def test_several_pages_are_refused(tmp_path: Path) -> None:
    data = picture(Image.fromarray(GRAY), "TIFF", save_all=True, append_images=[Image.fromarray(GRAY)])
    with pytest.raises(NotAChestRadiographError, match="several frames"):
        read_radiograph(saved(tmp_path, data))


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


def unknown_syntax() -> Dataset:
    dataset = lying_codestream()
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
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
        (encoded(dataset_of(gradient(), HighBit=15)), "high bit 15"),
        (encoded(unknown_syntax()), "transfer syntax 1.2.840.10008.1.2.4.100 is not supported"),
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


@pytest.mark.parametrize("kind", ["jpeg-lossless", "jpeg2000"])
def test_a_decoder_that_dies_is_an_error(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, transcoded(dataset_of(gradient()), kind, tmp_path))
    assert read_radiograph(path).pixels.shape == (80, 96)
    monkeypatch.setattr("lunglens._dicom._GDCM_PROGRAM", "import os; os.abort()")
    with pytest.raises(UnreadableImageError, match="compressed pixels are damaged"):
        read_radiograph(path)


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


def test_import_is_light() -> None:
    code = "import sys, lunglens.radiograph; print({'pydicom', 'PIL', 'gdcm', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
