"""The presentation state: the film looks as it does without, and the lines are the masks' borders."""

import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from lunglens.film.about import NOTICE
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.dicom.outlines import MOST_POINTS, outlines
from lunglens.film.dicom.shown import SHOWN, shown
from lunglens.film.preprocess import Mask, resize_mask
from lunglens.film.radiograph import read_radiograph
from tests.support.dciodvfy import errors_of, needs_dciodvfy
from tests.support.findings import analyzed
from tests.support.result_films import changed

SHAPE = (652, 614)
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="needs dcmtk")


def table(values: Any, first: int, bits: int, **more: str) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    item.add_new(0x00283006, "OW", np.asarray(values, "<u2").tobytes())
    for name, value in more.items():
        setattr(item, name, value)
    return item


def curve(entries: int, bits: int) -> Any:
    """An S from nothing to all."""
    return np.rint((2**bits - 1) / (1 + np.exp(-8 * (np.linspace(0, 1, entries) - 0.5))))


NO_WINDOW: dict[str, Any] = {"WindowCenter": None, "WindowWidth": None}
DENSITY = {"ModalityLUTType": "OD"}
HEADERS: dict[str, Callable[[], dict[str, Any]]] = {
    "monochrome1": dict,
    "monochrome2": lambda: {"PhotometricInterpretation": "MONOCHROME2"},
    "without a window": lambda: NO_WINDOW,
    "two windows": lambda: {"WindowCenter": [12000, 3000], "WindowWidth": [20000, 500]},
    "VOI LUT of 12 bits": lambda: NO_WINDOW | {"VOILUTSequence": [table(curve(32768, 12), 0, 12)]},
    "VOI LUT of 65,536 entries": lambda: NO_WINDOW | {"VOILUTSequence": [table(curve(65536, 16), 0, 16)]},
    "rescaled to negative": lambda: {
        "RescaleSlope": "0.5", "RescaleIntercept": "-9000", "RescaleType": "US", "WindowCenter": -1500,
        "WindowWidth": 15000,
    },
    "rescaled to negative, VOI LUT": lambda: NO_WINDOW | {
        "RescaleSlope": "1", "RescaleIntercept": "-9000", "RescaleType": "US",
        "VOILUTSequence": [table(curve(32000, 10), -9000, 10)],
    },
    "modality LUT": lambda: {"ModalityLUTSequence": [table(curve(32768, 16), 0, 16, **DENSITY)], "WindowWidth": 60000},
}  # fmt: skip


def state_of(content: bytes, folder: Path, **changes: Any) -> tuple[Dataset, bytes]:
    """The presentation state of a film, and its file."""
    (folder / "film.dcm").write_bytes(content)
    finding = analyzed(
        read_radiograph(folder / "film.dcm"), heat_map=None, **changes
    )  # which would take most of the time
    found = dicom_results(read_source(folder / "film.dcm"), finding).files()["outlines.pr.dcm"]
    return pydicom.dcmread(BytesIO(found)), found


@needs_dcmtk
@needs_dciodvfy
@pytest.mark.parametrize("kind", HEADERS)
def test_the_film_looks_as_it_does_without(kind: str, tmp_path: Path) -> None:
    state, content = state_of(changed(**HEADERS[kind]()), tmp_path)
    assert not errors_of(content, tmp_path)
    assert len(content) < 150_000
    (tmp_path / "state.dcm").write_bytes(content)

    def shown(*command: str) -> Any:
        subprocess.run([*command, str(tmp_path / "film.dcm"), str(tmp_path / "shown.pgm")], check=True, timeout=60)
        return np.asarray(Image.open(tmp_path / "shown.pgm"), int)

    plain = [] if kind == "without a window" else ["+Wl" if "VOI LUT" in kind else "+Wi", "1"]
    film = shown("dcmj2pnm", "+op", *plain)
    with_state = shown("dcmp2pgm", "-p", str(tmp_path / "state.dcm"))
    assert np.ptp(film) > 50
    assert np.abs(film - with_state).max() <= 1
    assert state.PresentationLUTShape == ("IDENTITY" if kind == "monochrome2" else "INVERSE")


WHOLE = st.integers(-(10**6), 10**6)
NUMBERS = st.one_of(WHOLE, st.floats(), st.lists(st.floats(), max_size=3))
ANY = st.one_of(NUMBERS, st.none(), st.text(max_size=4), st.binary(max_size=9))
DESCRIPTORS = st.one_of(st.lists(WHOLE, max_size=4), st.tuples(WHOLE, WHOLE, st.integers(7, 17)).map(list))
CONTENTS = st.one_of(st.lists(WHOLE, min_size=1), st.binary(max_size=40))
TABLES = st.fixed_dictionaries({}, optional={"LUTDescriptor": DESCRIPTORS, "LUTData": CONTENTS})
PLAIN = [name for name in SHOWN if not name.endswith("Sequence") and name != "PhotometricInterpretation"]


@given(header=st.fixed_dictionaries({}, optional=dict.fromkeys(PLAIN, ANY)), luts=st.lists(TABLES, max_size=2))
@settings(max_examples=150, deadline=None)
def test_whatever_a_header_says_is_written_validly_or_left_out(
    header: dict[str, Any], luts: list[dict[str, Any]]
) -> None:
    film = Dataset()
    film.PhotometricInterpretation = "MONOCHROME1"
    for name, value in header.items():
        film.add(Loose(name, value))
    for name, lut in zip(("VOILUTSequence", "ModalityLUTSequence"), luts, strict=False):
        item = Dataset()
        for part, value in lut.items():
            item.add(Loose(part, value))
        setattr(film, name, [item])
    found = shown(film)
    assert found is not None
    stream = BytesIO()
    pydicom.dcmwrite(stream, found, implicit_vr=False, little_endian=True)
    again = pydicom.dcmread(BytesIO(stream.getvalue()), force=True)
    for element in again.iterall():
        if element.VR == "DS":
            assert len(str(element.value)) <= 16
    assert again.PresentationLUTShape == "INVERSE"


class Loose(DataElement):
    """An element that holds what no library would write."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(tag_for_keyword(name) or 0, "LT", "")
        self._value = value


def filled(lines: list[Any], shape: tuple[int, int]) -> Mask:
    """What closed lines enclose, lines in lines taken out; drawn four times as large, as Pillow knows no halves."""
    inside = np.zeros(shape, bool)
    for line in lines:
        canvas = Image.new("L", (4 * shape[1], 4 * shape[0]))
        ImageDraw.Draw(canvas).polygon([(4 * x - 0.5, 4 * y - 0.5) for x, y in line], fill=1)
        inside ^= np.asarray(canvas)[2::4, 2::4] > 0
    return inside


@given(seed=st.integers(0, 10**6), cells=st.integers(2, 9), height=st.integers(80, 300), width=st.integers(80, 300))
@settings(max_examples=40, deadline=None)
def test_lines_enclose_the_mask(seed: int, cells: int, height: int, width: int) -> None:
    """Of any mask, with holes and at the edges; what is told from afar is but a pixel at the border."""
    mask = resize_mask(np.random.default_rng(seed).random((cells, cells)) > 0.5, height, width)
    lines = outlines(mask)
    assert bool(lines) == bool(mask.any())
    for line in lines:
        assert 4 <= len(line) <= MOST_POINTS
        assert (line[0] == line[-1]).all()
        assert line.min() >= 0 and line[:, 0].max() <= width and line[:, 1].max() <= height
    border = sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lines)
    assert (filled(lines, mask.shape) ^ mask).sum() <= 0.6 * border


def test_a_ragged_mask_has_no_more_points_than_that() -> None:
    rows, columns = np.mgrid[-1:1:1500j, -1:1:1500j]
    angle = np.arctan2(rows, columns)
    (line,) = outlines(np.hypot(rows, columns) < 0.8 + 0.05 * np.sin(120 * angle))
    assert len(line) <= MOST_POINTS


def lines_by_layer(state: Dataset) -> dict[str, list[Any]]:
    return {
        annotation.GraphicLayer: [
            np.reshape(graphic.GraphicData, (-1, 2)) for graphic in annotation.get("GraphicObjectSequence", [])
        ]
        for annotation in state.GraphicAnnotationSequence
    }


def test_each_outline_has_a_layer_and_lies_on_its_mask(tmp_path: Path) -> None:
    region = np.zeros((512, 512), bool)
    region[100:420, 60:460] = True
    state, _ = state_of(changed(), tmp_path, region_square=region)
    layers = lines_by_layer(state)
    assert list(layers) == ["LEFT LUNG", "RIGHT LUNG", "WHOLE LUNG", "DECISION"]
    assert [layer.GraphicLayer for layer in state.GraphicLayerSequence] == list(layers)
    finding = analyzed(read_radiograph(tmp_path / "film.dcm"), heat_map=None, region_square=region)
    for name, mask in zip(layers, (*finding.sides(), finding.whole_lung()), strict=False):
        assert (filled(layers[name], SHAPE) == mask).mean() > 0.99
    segments = dicom_results(read_source(tmp_path / "film.dcm"), finding).objects["lungs.seg"].SegmentSequence
    tracked = [annotation.GraphicObjectSequence[0].TrackingUID for annotation in state.GraphicAnnotationSequence[:2]]
    assert tracked == [segment.TrackingUID for segment in segments]
    (series,) = state.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert image.ReferencedSOPInstanceUID == read_source(tmp_path / "film.dcm").SOPInstanceUID
    (text,) = state.GraphicAnnotationSequence[-1].TextObjectSequence
    assert text.UnformattedTextValue.splitlines()[-1] == NOTICE
    assert "not covid" in text.UnformattedTextValue


def test_without_a_whole_lung_there_is_none_and_doubtful_lungs_are_dashed(tmp_path: Path) -> None:
    for withheld, dashing in (((), set()), (("lungs",), {"DASHED"})):
        state, content = state_of(changed(), tmp_path, withheld=withheld)
        assert "WHOLE LUNG" not in lines_by_layer(state)
        styles = {
            style.LineDashingStyle
            for annotation in state.GraphicAnnotationSequence[:2]
            for graphic in annotation.GraphicObjectSequence
            for style in graphic.get("LineStyleSequence", [])
        }
        assert styles == dashing
        assert shutil.which("dciodvfy") is None or not errors_of(content, tmp_path)


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ({"PixelSpacing": [0.5, 0.4]}, "PresentationPixelSpacing", [0.5, 0.4]),
        ({"PixelSpacing": None, "PixelAspectRatio": [5, 4]}, "PresentationPixelAspectRatio", [5, 4]),
        ({"PixelSpacing": None, "PixelAspectRatio": [0, 4]}, "PresentationPixelAspectRatio", [1, 1]),
        ({}, "PresentationPixelAspectRatio", [1, 1]),
    ],
)
def test_all_of_the_film_is_shown_and_its_pixels_keep_their_shape(
    header: dict[str, Any], name: str, value: list[float], tmp_path: Path
) -> None:
    state, _ = state_of(changed(**header), tmp_path)
    (area,) = state.DisplayedAreaSelectionSequence
    assert list(area[name].value) == value
    assert len({"PresentationPixelSpacing", "PresentationPixelAspectRatio"} & set(area.dir())) == 1
    assert [*area.DisplayedAreaTopLeftHandCorner, *area.DisplayedAreaBottomRightHandCorner] == [
        1,
        1,
        SHAPE[1],
        SHAPE[0],
    ]


def test_another_window_is_another_state(tmp_path: Path) -> None:
    """Also what the pixels as they are read do not tell."""
    headers: list[dict[str, Any]] = [{}, {"VOILUTFunction": "LINEAR_EXACT"}, {"PixelAspectRatio": [2, 1]}]
    assert len({state_of(changed(**header), tmp_path)[0].SOPInstanceUID for header in headers}) == len(headers)
