"""What a film may come as in Python: every kind of it is the same film, and whatever is none is refused in words."""

from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pydicom.data import get_testdata_file

import lunglens
from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.film.analyzer import Analyzer
from lunglens.film.inputs import to_radiograph
from lunglens.film.radiograph import radiograph_from_array, read_radiograph
from tests.support.dicom_files import gradient

INTEGERS = [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
TYPES = [*INTEGERS, np.float16, np.float32, np.float64, np.dtype(">i2"), np.dtype(">f4")]
SHAPES = {
    "(H, W)": lambda film: film,
    "(1, H, W)": lambda film: film[None],
    "(H, W, 1)": lambda film: film[..., None],
    "(H, W, 3)": lambda film: np.stack([film] * 3, axis=-1),
    "(H, W, 4)": lambda film: np.stack([film] * 4, axis=-1),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_type_of_number_and_any_shape_is_scaled_by_its_own_range(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(TYPES))
    finite = {"allow_nan": False, "allow_infinity": False} if np.dtype(kind).kind == "f" else {}
    film = data.draw(hnp.arrays(kind, (64, 65), elements=hnp.from_dtype(np.dtype(kind), **finite)))
    shape = data.draw(st.sampled_from(sorted(SHAPES)))
    found = radiograph_from_array(SHAPES[shape](film)).pixels
    low, high = float(film.min()), float(film.max())
    expected = film.astype(float) / 2 - low / 2
    expected = expected / (high / 2 - low / 2) if high / 2 - low / 2 > 0 else np.full(film.shape, float(high > 0))
    assert found.shape == film.shape
    np.testing.assert_allclose(found, expected, atol=2e-3 if kind == np.float16 else 1e-6)


@given(hnp.array_shapes(min_dims=0, max_dims=5, max_side=70))
@settings(max_examples=60, deadline=None)
def test_any_other_shape_is_refused_in_words(shape: tuple[int, ...]) -> None:
    usual = len(shape) == 2 or (len(shape) == 3 and (shape[0] == 1 or shape[2] in (1, 3, 4)))
    sides = [side for side in shape if side > 4]
    if usual and len(sides) >= 2 and min(sides) >= 64:
        return
    with pytest.raises(UnreadableImageError, match=r"^array: "):
        radiograph_from_array(np.broadcast_to(np.float32(1), shape))


@pytest.fixture(scope="module")
def dicom(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


def test_path_bytes_and_open_file_are_one_film(chest_png: Path) -> None:
    expected = read_radiograph(chest_png)
    content = chest_png.read_bytes()
    with chest_png.open("rb") as stream:
        kinds: list[Any] = [str(chest_png), content, bytearray(content), memoryview(content), BytesIO(content), stream]
        films = [to_radiograph(kind) for kind in kinds]
    for film in films:
        assert (film.pixels == expected.pixels).all()
        assert (film.sha256, film.file_format, film.bits) == (expected.sha256, "PNG", expected.bits)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F", "RGB", "RGBA", "LA", "P"])
def test_a_picture_of_any_mode_is_the_film_that_it_shows(mode: str) -> None:
    film = gradient(80, 90, 255).astype(np.uint8)
    picture = Image.fromarray(film)
    picture = Image.fromarray(film.astype(np.uint16) * 16) if mode == "I;16" else picture.convert(mode)
    found = to_radiograph(picture).pixels
    expected = np.asarray(picture, float) if mode == "1" else film / 255.0
    assert found.shape == (80, 90)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gradient(80, 90, 255).astype(np.uint8)).save(tmp_path / "x.jpg", exif=exif, quality=100)
    found, expected = to_radiograph(Image.open(tmp_path / "x.jpg")), read_radiograph(tmp_path / "x.jpg")
    assert found.pixels.shape == (90, 80)
    assert (found.pixels == expected.pixels).all()
    assert found.notes == expected.notes == ("EXIF orientation 6 applied",)


def test_a_data_set_of_pydicom_is_its_file(dicom: Path) -> None:
    expected, found = read_radiograph(dicom), to_radiograph(pydicom.dcmread(dicom))
    assert (found.pixels == expected.pixels).all()
    for name in ("view", "sex", "modality", "body_part", "bits", "notes", "warnings", "file_format"):
        assert getattr(found, name) == getattr(expected, name), name
    compressed = dicom.with_name("RG1_J2KR.dcm")
    assert (to_radiograph(pydicom.dcmread(compressed)).pixels == read_radiograph(compressed).pixels).all()


def test_a_data_set_made_in_memory_needs_no_file_meta_information(dicom: Path) -> None:
    made, read = pydicom.Dataset(), pydicom.dcmread(dicom)
    names = "Modality BodyPartExamined PhotometricInterpretation Rows Columns SamplesPerPixel BitsAllocated BitsStored "
    for name in (names + "HighBit PixelRepresentation WindowCenter WindowWidth PixelData").split():
        setattr(made, name, read[name].value)
    assert (to_radiograph(made).pixels == read_radiograph(dicom).pixels).all()
    assert not hasattr(made, "file_meta")  # it is left as it was


def test_signed_pixels_of_pydicom_are_scaled_by_their_own_range(dicom: Path) -> None:
    stored = pydicom.dcmread(dicom).pixel_array
    shifted = (stored.astype(np.int32) - 16384).astype(np.int16)
    assert shifted.min() < 0
    np.testing.assert_allclose(to_radiograph(shifted).pixels, to_radiograph(stored).pixels, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32, torch.float64])
def test_a_tensor_is_its_array(kind: torch.dtype) -> None:
    film = gradient(70, 80, 200)
    tensor = torch.from_numpy(film.astype(np.int16)).to(kind)[None]
    if kind.is_floating_point:
        tensor.requires_grad_()
    np.testing.assert_allclose(to_radiograph(tensor).pixels, film / 200, atol=1e-6)


@pytest.mark.parametrize(
    ("film", "complaint"),
    [
        (3, "int: is no film"),
        (None, "NoneType: is no film"),
        (StringIO("text"), "open for reading text"),
        (b"", "the file is empty"),
        (b"no film at all", "it is no DICOM"),
        (np.zeros((2, 3, 64, 64)), r"array: shape \(2, 3, 64, 64\); give \(H, W\).* or a list of them"),
        (torch.zeros((64, 64), dtype=torch.bfloat16), "Tensor: numpy makes no array of it"),
        (pydicom.Dataset(), "no Pixel Data|no DICOM"),
    ],
    ids=["number", "nothing", "text file", "no bytes", "other bytes", "four axes", "bfloat16", "empty data set"],
)
def test_what_is_no_film_is_refused_in_words(film: Any, complaint: str) -> None:
    with pytest.raises(UnreadableImageError, match=complaint):
        to_radiograph(film)


def test_a_picture_of_several_frames_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(gradient(64, 64, 255).astype(np.uint8))
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page])
    with pytest.raises(NotAChestRadiographError, match="several frames"):
        to_radiograph(Image.open(tmp_path / "x.tif"))


def test_a_list_gives_a_list_and_any_other_iterable_an_iterator(stub: Analyzer, chest_png: Path) -> None:
    film = read_radiograph(chest_png)
    one = stub.analyze(chest_png)
    answers = stub.analyze([chest_png, film, film.pixels])
    assert isinstance(answers, list)
    assert [answer.status for answer in answers] == ["analyzed"] * 3
    assert answers[0].covid_probability == one.covid_probability

    def endless() -> Iterator[Path]:
        while True:
            yield chest_png

    lazy = stub.analyze(endless())
    assert isinstance(lazy, Iterator)
    assert [next(lazy).status for _ in range(2)] == ["analyzed"] * 2
    assert stub.analyze([]) == []


def test_a_column_of_paths_is_several_films_and_a_stack_in_a_list_too(stub: Analyzer, chest_png: Path) -> None:
    column = pd.Series([str(chest_png)] * 2)
    assert len(stub.analyze(column)) == len(stub.analyze(column.to_numpy())) == 2
    stack = np.stack([read_radiograph(chest_png).pixels] * 2)
    assert [answer.status for answer in stub.analyze(list(stack))] == ["analyzed"] * 2


def test_a_bad_film_among_several_is_told_by_its_number(stub: Analyzer, chest_png: Path) -> None:
    answers = stub.analyze(iter([chest_png, chest_png, "missing.png", chest_png]))
    assert [next(answers).status for _ in range(2)] == ["analyzed"] * 2
    with pytest.raises(UnreadableImageError, match=r"^film 2: missing\.png: no such file"):
        next(answers)
    with pytest.raises(NotAChestRadiographError, match=r"^film 1: CT_small\.dcm") as caught:
        stub.analyze([chest_png, get_testdata_file("CT_small.dcm")])
    assert caught.value.code == "modality"


def test_packages_are_loaded_from_folders_named_by_text(analyzer: Analyzer) -> None:
    folder = str(analyzer.classifier.folder)
    assert Analyzer.load(classifier=folder).classifier.name == analyzer.classifier.name
    assert Analyzer.load(str(analyzer.lungs.folder)).lungs.name == analyzer.lungs.name
    assert lunglens.load_package(folder).record.task == "classification"


def test_the_documented_names_are_there() -> None:
    for name in lunglens.__all__:
        assert getattr(lunglens, name) is not None
    assert set(dir(lunglens)) == set(lunglens.__all__)
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = lunglens.analyse
