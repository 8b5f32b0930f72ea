"""Reading DICOM: every encoding of the same film agrees, and stored values become gray as PS3.3 C.11 says."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from lunglens.film.radiograph import read_radiograph
from tests.support import result_films
from tests.support.dicom_files import dataset_of, encoded, gradient, rg1, transcoded
from tests.support.pictures import GRAY, picture, saved

# Real radiographs


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
def test_lossless_copies_are_equal(kind: str, tmp_path: Path) -> None:
    original = result_films.film()
    expected = read_radiograph(saved(tmp_path, encoded(original), "a"))
    file = transcoded(original, kind, tmp_path)
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
        {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 2000.5, "WindowWidth": 1500.5, "VOILUTFunction": "LINEAR_EXACT"},
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


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 9000, "WindowWidth": 10},
        {"WindowWidth": 0, "WindowCenter": 1},
        {"WindowCenter": 32768, "WindowWidth": 65536},
        {"WindowCenter": 2000, "WindowWidth": 1},
        {"WindowCenter": 2000.5, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
        {"VOILUTSequence": lut(3, 500, 12, [0, 4095, 4095])},
        {"VOILUTSequence": Sequence([Dataset()])},
        {"VOILUTSequence": lut(3000, 500, 99, list(range(3000)))},
    ],
)
def test_a_window_or_lut_that_does_not_fit_is_passed_over_with_a_note(elements: dict[str, Any], tmp_path: Path) -> None:
    found = read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **elements))))
    assert any("scaled by minimum and maximum" in note for note in found.notes)
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)


@pytest.mark.parametrize("damaged", [Sequence([Dataset()]), Sequence([]), lut(3000, 500, 99, list(range(3000)))])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_good_window_counts_beside_a_damaged_lut(keyword: str, damaged: Sequence, tmp_path: Path) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    found = read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **window, **{keyword: damaged}))))
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)
    assert f"{keyword} is damaged and was ignored" in found.notes


def test_the_first_window_that_fits_counts(tmp_path: Path) -> None:
    windows = {"WindowCenter": [60000, 2048], "WindowWidth": [10, 4096]}
    found = read_radiograph(saved(tmp_path, encoded(dataset_of(gradient(), **windows))))
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)
    assert "window applied" in found.notes


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
    dataset = dataset_of(gradient(), PixelSpacing=[2.0, 1.0], BodyPartExamined="Chest pa", **facts)
    found = read_radiograph(saved(tmp_path, encoded(dataset)))
    assert (found.spacing_mm, found.spacing_source) == ((2.0, 1.0), "PixelSpacing")
    assert (found.age_years, found.sex, found.view, found.laterality) == (0.5, "F", "LL", "L")
    assert found.body_part == "CHEST PA"
    assert "Never" not in repr(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("age", ["", "abc", "999Y", "999999Y", "-1Y"])
def test_odd_facts_never_fail(age: str, tmp_path: Path) -> None:
    dataset = dataset_of(gradient(), PatientAge=age, ImagerPixelSpacing=[1.5, 1.5], Modality=None)
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


@pytest.mark.parametrize(
    "value", [b"ISO_IR 100\0\\ISO 2022 IR 87 ", b"ISO_IR\0 100", b"\0\0\0\0", b"ISO_IR 100\0\0\0\0"]
)
@pytest.mark.parametrize("implicit", [False, True])
def test_zero_bytes_in_the_character_set(value: bytes, implicit: bool, tmp_path: Path) -> None:
    dataset = dataset_of(gradient(), SpecificCharacterSet="ISO_IR 100")
    data = transcoded(dataset, "implicit", tmp_path) if implicit else encoded(dataset)
    value = value.ljust(len(value) + len(value) % 2, b" ")
    length = len(value).to_bytes(4 if implicit else 2, "little")
    head = b"\x08\x00\x05\x00" + (b"" if implicit else b"CS")
    whole = head + (10).to_bytes(4 if implicit else 2, "little") + b"ISO_IR 100"
    assert whole in data
    found = read_radiograph(saved(tmp_path, data.replace(whole, head + length + value)))
    np.testing.assert_allclose(found.pixels, gradient() / 4095, atol=1e-6)


@pytest.mark.parametrize(("slope", "intercept"), [("1E308", "0"), ("1E308", "1E308"), ("-1E305", "1E308")])
def test_a_rescaling_beyond_all_numbers_is_ignored(slope: str, intercept: str, tmp_path: Path) -> None:
    stored = gradient()
    film = read_radiograph(
        saved(tmp_path, encoded(dataset_of(stored, RescaleSlope=slope, RescaleIntercept=intercept)), "film.dcm")
    )
    np.testing.assert_allclose(film.pixels, stored / 4095, atol=1e-6)
    assert "RescaleSlope and RescaleIntercept are too large and were ignored" in film.notes


@pytest.mark.parametrize(("representation", "value"), [("SS", -32768), ("US", 32768)])
def test_the_padding_of_signed_values_may_be_stated_as_unsigned(
    representation: str, value: int, tmp_path: Path
) -> None:
    stored = gradient().astype(np.int16) - 2048
    stored[:5] = -32768
    dataset = dataset_of(stored, bits=16)
    dataset.add_new("PixelPaddingValue", representation, value)
    film = read_radiograph(saved(tmp_path, encoded(dataset), "film.dcm"))
    rest = stored[5:].astype(float)
    np.testing.assert_allclose(film.pixels[5:], (rest - rest.min()) / np.ptp(rest), atol=1e-6)
