"""Films that are stored turned or mirrored: results lie over the anatomy, pictures are as usually displayed."""

import io
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from lunglens.errors import ModelPackageError
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.finding import Analyzed
from lunglens.film.gate.upright import guess_orientation, mirror_evidence, orientation_scores, turn_evidence
from lunglens.film.lungs.segmenter import segment_film
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.orientation import ALL_ORIENTATIONS, AS_STORED, Orientation, read_orientation
from lunglens.film.parameters import Postprocess
from lunglens.film.picture.layers import layers_of
from lunglens.film.picture.panel import draw_panel, film_box
from lunglens.film.preprocess import resize_mask
from lunglens.film.radiograph import Radiograph, radiograph_from_array, read_radiograph
from tests.support.dicom_files import dataset_of, encoded, gradient

# PatientOrientation of a film in usual display that was stored after `way.undo`, i.e. is displayed by `way.apply`.
SAID = {
    Orientation(0): "L\\F",
    Orientation(1): "F\\R",
    Orientation(2): "R\\H",
    Orientation(3): "H\\L",
    Orientation(0, True): "R\\F",
    Orientation(1, True): "F\\L",
    Orientation(2, True): "L\\H",
    Orientation(3, True): "H\\R",
}
WAYS = st.sampled_from(ALL_ORIENTATIONS)


def axes(way: Orientation) -> tuple[str, str]:
    """Where the rows and columns of the stored pixels run to, found with coordinates instead of a table."""
    size = 9
    y, x = np.mgrid[:size, :size]  # of the displayed film: x runs to the patient's left, y to the feet
    left, feet = way.undo(x).astype(int), way.undo(y).astype(int)
    letters = {(1, 0): "L", (-1, 0): "R", (0, 1): "F", (0, -1): "H"}
    row = letters[(left[0, 1] - left[0, 0], feet[0, 1] - feet[0, 0])]
    column = letters[(left[1, 0] - left[0, 0], feet[1, 0] - feet[0, 0])]
    return row, column


# --- turning arrays


@given(WAYS, st.integers(1, 7), st.integers(1, 7))
def test_undo_is_the_exact_inverse_on_any_shape(way: Orientation, height: int, width: int) -> None:
    stored = np.arange(height * width).reshape(height, width)
    displayed = way.apply(stored)
    assert displayed.shape == ((width, height) if way.quarter_turns % 2 else (height, width))
    assert np.array_equal(way.undo(displayed), stored)
    assert np.array_equal(way.inverse().apply(displayed), stored)


@given(WAYS, WAYS)
def test_one_after_the_other_is_one(first: Orientation, second: Orientation) -> None:
    stored = np.arange(12).reshape(3, 4)
    assert np.array_equal(first.then(second).apply(stored), second.apply(first.apply(stored)))


def test_a_quarter_turn_is_clockwise_and_the_mirror_comes_after_it() -> None:
    stored = np.array([[1, 2, 3], [4, 5, 6]])
    assert Orientation(1).apply(stored).tolist() == [[4, 1], [5, 2], [6, 3]]
    assert Orientation(1, mirrored=True).apply(stored).tolist() == [[1, 4], [2, 5], [3, 6]]


def test_the_eight_ways_are_eight() -> None:
    stored = np.arange(6).reshape(2, 3)
    assert len({way.apply(stored).tobytes() + bytes(way.apply(stored).shape) for way in ALL_ORIENTATIONS}) == 8
    assert len({way.words for way in ALL_ORIENTATIONS}) == 8


def test_there_are_no_five_quarter_turns() -> None:
    with pytest.raises(ValueError, match="5 quarter turns"):
        Orientation(5)


# --- PatientOrientation


@pytest.mark.parametrize("way", ALL_ORIENTATIONS)
def test_all_eight_orientations_are_read(way: Orientation) -> None:
    assert SAID[way] == "\\".join(axes(way))
    assert read_orientation(SAID[way].split("\\")).orientation == way


@given(WAYS, st.data())
def test_the_first_letter_decides(way: Orientation, data: st.DataObject) -> None:
    """Further letters, along other axes, say how oblique a direction is; case and blanks do not matter."""
    opposite = {"L": "R", "R": "L", "H": "F", "F": "H"}
    values = []
    for letter in SAID[way].split("\\"):
        others = [pair for pair in ("LR", "HF", "AP") if letter not in pair]
        order = data.draw(st.permutations(others))[: data.draw(st.integers(0, 2))]
        value = letter + "".join(data.draw(st.sampled_from(pair)) for pair in order)
        assert opposite[letter] not in value
        values.append(data.draw(st.sampled_from(["", " "])) + data.draw(st.sampled_from([value, value.lower()])) + " ")
    stated = read_orientation(values)
    assert stated.orientation == way
    assert stated.warning is None
    assert (stated.note is None) == (way == AS_STORED)


@given(st.lists(st.text("LRHFAPXE \\/,", max_size=5), max_size=4))
def test_any_values_give_an_orientation_or_none_and_never_fail(values: list[str]) -> None:
    stated = read_orientation(values)
    assert stated.orientation is None or stated.orientation in ALL_ORIENTATIONS
    letters = [part for value in values for part in value.replace("/", "\\").replace(",", "\\").split() if part != "\\"]
    if stated.orientation is None and letters and any(letter.strip("\\") for letter in letters):
        assert (stated.note is None) != (stated.warning is None)


@pytest.mark.parametrize(
    "values",
    [
        ["L"],
        ["L", "R"],
        ["L", "L"],
        ["F", "H"],
        ["L", "F", "H"],
        ["LE", "RT"],
        ["LR", "F"],
        ["X", "F"],
        ["LEFT", "FOOT"],
        ["\x1b[2J", "F"],
    ],
)
def test_what_makes_no_sense_is_noted_and_ignored(values: list[str]) -> None:
    orientation, note, warning = read_orientation(values)
    assert (orientation, warning) == (None, None)
    assert "PatientOrientation" in str(note)
    assert str(note).isprintable()


@pytest.mark.parametrize("values", [[], [""], ["", ""], [" ", "  "]])
def test_an_empty_element_says_nothing(values: list[str]) -> None:
    assert read_orientation(values) == (None, None, None)


@pytest.mark.parametrize("values", [["A", "F"], ["P", "F"], ["P", "H"], ["F", "A"], ["AL", "F"], ["ap"[1], "f"]])
def test_a_lateral_film_is_left_as_it_is_with_a_warning(values: list[str]) -> None:
    orientation, note, warning = read_orientation(values)
    assert (orientation, note) == (None, None)
    assert "lateral" in str(warning)


def test_one_value_with_a_slash_is_two_directions() -> None:
    assert read_orientation(["R/F"]).orientation == Orientation(0, mirrored=True)


@pytest.mark.parametrize("way", ALL_ORIENTATIONS)
def test_a_file_keeps_its_pixels_as_stored_and_says_how_they_are_displayed(way: Orientation, tmp_path: Path) -> None:
    film = read(tmp_path, dataset_of(gradient(80, 96), PatientOrientation=SAID[way].split("\\")))
    assert film.pixels.shape == (80, 96)
    assert film.to_display == way
    assert any("PatientOrientation" in note for note in film.notes) != (way == AS_STORED)


def test_a_lateral_header_warns(tmp_path: Path) -> None:
    film = read(tmp_path, dataset_of(gradient(80, 96), PatientOrientation=["P", "F"]))
    assert film.to_display is None
    assert "lateral" in film.warnings[0]


def read(folder: Path, dataset: Dataset) -> Radiograph:
    (folder / "film.dcm").write_bytes(encoded(dataset))
    return read_radiograph(folder / "film.dcm")


# --- the RG1 film, decimated by 3, stored in each way


@pytest.fixture(scope="module")
def upright(rg_folder: Path) -> Dataset:
    dataset = pydicom.dcmread(rg_folder / "RG1_UNCR.dcm")
    return with_pixels(dataset, dataset.pixel_array[::3, ::3])


@pytest.fixture(scope="module")
def twin(upright: Dataset, analyzer: Analyzer, tmp_path_factory: pytest.TempPathFactory) -> Analyzed:
    return analyzer.analyze(read(tmp_path_factory.mktemp("twin"), upright))


def with_pixels(dataset: Dataset, pixels: np.ndarray) -> Dataset:
    found = deepcopy(dataset)
    found.Rows, found.Columns = pixels.shape
    found.PixelData = np.ascontiguousarray(pixels).tobytes()
    found["PixelData"].VR = "OW"
    return found


def stored(upright: Dataset, way: Orientation, said: str | None) -> Dataset:
    pixels = np.frombuffer(upright.PixelData, np.uint16).reshape(upright.Rows, upright.Columns)
    dataset = with_pixels(upright, way.undo(pixels))
    dataset.PatientOrientation = said.split("\\") if said else None
    return dataset


def assert_lies_over_the_twin(finding: Analyzed, twin: Analyzed, way: Orientation) -> None:
    """Masks and heat, turned as the film is displayed, are those of the upright film."""
    assert finding.lungs.shape == finding.heat.shape == finding.radiograph.pixels.shape
    assert (way.apply(finding.lungs) != twin.lungs).mean() < 1e-3
    assert np.abs(way.apply(finding.heat) - twin.heat).max() < 0.02
    for found, expected in zip(finding.sides(), twin.sides(), strict=True):
        assert (way.apply(found) != expected).mean() < 1e-3


@pytest.mark.parametrize("way", ALL_ORIENTATIONS)
def test_a_stated_orientation_changes_nothing_of_the_answer(
    way: Orientation, upright: Dataset, twin: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    finding = analyzer.analyze(read(tmp_path, stored(upright, way, SAID[way])))
    assert finding.status == twin.status == "analyzed"
    assert finding.covid_probability == pytest.approx(twin.covid_probability, abs=1e-3)
    assert finding.left.share == pytest.approx(twin.left.share, abs=1e-4)
    assert finding.right.share == pytest.approx(twin.right.share, abs=1e-4)
    assert finding.to_display == way
    assert not finding.mirrored
    assert finding.warnings == twin.warnings
    assert_lies_over_the_twin(finding, twin, way)
    said = finding.to_dict()["orientation"]
    assert (said["turned_degrees_clockwise"], said["mirrored"]) == (90 * way.quarter_turns, way.mirrored)
    assert said["stated_by_header"] is True
    assert any(way.words in note for note in finding.radiograph.notes) or way == AS_STORED


def test_the_shares_are_the_known_ones(twin: Analyzed) -> None:
    assert twin.left.share == pytest.approx(0.165, abs=2e-3)
    assert twin.right.share == pytest.approx(0.167, abs=2e-3)
    assert twin.to_display == AS_STORED
    assert not twin.mirrored


@pytest.mark.parametrize("way", [Orientation(0, True), Orientation(3), Orientation(1, True)])
def test_the_left_segment_lies_over_the_anatomical_left(
    way: Orientation, upright: Dataset, twin: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    film = read(tmp_path, stored(upright, way, SAID[way]))
    files = dicom_results(read_source(tmp_path / "film.dcm"), analyzer.analyze(film)).files()
    dataset = pydicom.dcmread(io.BytesIO(files["lungs.seg.dcm"]))
    assert list(dataset.PatientOrientation) == SAID[way].split("\\")
    seg = hd.seg.Segmentation.from_dataset(dataset)
    source = seg.get_source_image_uids()[0][2]
    pixels = seg.get_pixels_by_source_instance([source], assert_missing_frames_are_empty=True)[0]
    for number, expected in enumerate(twin.sides()):
        assert seg.get_segment_description(number + 1).segment_label == ("Left lung", "Right lung")[number]
        assert (way.apply(pixels[..., number] > 0) != expected).mean() < 1e-3
    heat = pydicom.dcmread(io.BytesIO(files["heat.seg.dcm"])).pixel_array / 255
    assert np.abs(way.apply(heat) - twin.heat).max() < 0.03


@pytest.mark.parametrize("way", [Orientation(1), Orientation(2, True)])
def test_panel_and_page_show_the_usual_display(
    way: Orientation, upright: Dataset, twin: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    finding = analyzer.analyze(read(tmp_path, stored(upright, way, SAID[way])))
    panels = [np.asarray(draw_panel(each, "Film"), float) for each in (finding, twin)]
    for column in range(4):
        box = film_box(twin.radiograph.pixels.shape, column)
        tiles = [panel[box.top : box.top + box.height, box.left : box.left + box.width] for panel in panels]
        assert np.abs(tiles[0] - tiles[1]).mean() < 0.5, column
    pictures, expected = layers_of(finding), layers_of(twin)
    for name in ("film", "lungs", "heat", "seen"):
        found, like = (np.asarray(each[name].convert("RGBA"), float) for each in (pictures, expected))
        assert found.shape == like.shape
        assert np.abs(found - like).mean() < 0.5, name


# --- no header, or a wrong one: judged by the pixels

HEART = "heart on the wrong side"


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("way", ALL_ORIENTATIONS[1:])
def test_a_turned_or_mirrored_film_without_a_header_gets_its_twin_s_answer(
    way: Orientation, negative: bool, twin: Analyzed, analyzer: Analyzer
) -> None:
    upright = way.undo(twin.radiograph.pixels)
    finding = analyzer.analyze(radiograph_from_array(1 - upright if negative else upright))
    assert finding.status == "analyzed"
    assert finding.inverted == negative
    assert finding.covid_probability == pytest.approx(twin.covid_probability, abs=0.02 if negative else 1e-3)
    # What is turned is turned back; what is mirrored stays so in the display, and that is said.
    assert finding.to_display == Orientation(way.quarter_turns)
    assert finding.mirrored == way.mirrored
    assert any(HEART in warning for warning in finding.warnings) == way.mirrored
    turned = [warning for warning in finding.warnings if "judged by its pixels" in warning]
    assert len(turned) == (way.quarter_turns > 0)
    said = finding.to_dict()["orientation"]
    assert (said["stated_by_header"], said["heart_on_the_wrong_side"]) == (False, way.mirrored)
    assert_lies_over_the_twin(finding, mirrored_twin(twin) if way.mirrored else twin, finding.to_display)


def mirrored_twin(twin: Analyzed) -> Analyzed:
    """The twin as it would be if it were displayed the wrong way round: its left lung is called the right one."""
    return replace(twin, lung_square=twin.lung_square[:, ::-1], heat_map=twin.heat_map.turned(np.fliplr))


def test_left_and_right_of_a_mirrored_film_are_those_of_the_usual_display(twin: Analyzed, analyzer: Analyzer) -> None:
    finding = analyzer.analyze(radiograph_from_array(twin.radiograph.pixels[:, ::-1]))
    assert finding.left.share == pytest.approx(twin.right.share, abs=1e-4)
    assert finding.right.share == pytest.approx(twin.left.share, abs=1e-4)


def test_pictures_of_a_mirrored_film_lie_over_one_another(twin: Analyzed, analyzer: Analyzer) -> None:
    finding = analyzer.analyze(radiograph_from_array(twin.radiograph.pixels[:, ::-1]))
    pictures, expected = layers_of(finding), layers_of(twin)
    for name in ("film", "lungs", "heat", "seen"):
        found, like = (np.asarray(each[name].convert("RGBA"), float) for each in (pictures, expected))
        assert np.abs(found - like[:, ::-1]).mean() < 0.5, name


@pytest.mark.parametrize("way", [Orientation(2), Orientation(1)])
def test_a_header_that_the_pixels_contradict_is_said_to_be_wrong(
    way: Orientation, upright: Dataset, twin: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    finding = analyzer.analyze(read(tmp_path, stored(upright, way, "L\\F")))
    assert finding.covid_probability == pytest.approx(twin.covid_probability, abs=1e-3)
    assert finding.to_display == way
    assert any("against its header" in warning for warning in finding.warnings)
    assert finding.to_dict()["orientation"]["stated_by_header"] is False


def test_a_mirrored_film_whose_header_denies_it_warns(
    upright: Dataset, twin: Analyzed, analyzer: Analyzer, tmp_path: Path
) -> None:
    finding = analyzer.analyze(read(tmp_path, stored(upright, Orientation(0, True), "L\\F")))
    assert finding.covid_probability == pytest.approx(twin.covid_probability, abs=1e-3)
    assert (finding.to_display, finding.mirrored) == (AS_STORED, True)
    assert any(HEART in warning for warning in finding.warnings)


def test_an_upright_film_answers_bit_for_bit_as_without_the_check(twin: Analyzed, analyzer: Analyzer) -> None:
    plain = analyzer.analyze(replace(twin.radiograph, to_display=AS_STORED))
    assert plain.covid_probability == twin.covid_probability
    assert plain.warnings == twin.warnings
    segmentation = segment_film(twin.radiograph.pixels, analyzer.lungs, Postprocess())
    assert np.array_equal(twin.lungs, resize_mask(segmentation.mask.fields, *twin.lungs.shape))


# --- the network's own symmetry


@given(st.integers(0, 2**32 - 1), WAYS)
@settings(max_examples=20, deadline=None)
def test_scores_of_a_turned_image_are_the_same_in_another_order(
    analyzer: Analyzer, seed: int, way: Orientation
) -> None:
    image = np.random.default_rng(seed).random((64, 64)).astype(np.float32)
    straight = dict(zip(ALL_ORIENTATIONS, orientation_scores(image, analyzer.orientation), strict=True))
    turned = orientation_scores(way.apply(image), analyzer.orientation)
    for then, score in zip(ALL_ORIENTATIONS, turned, strict=True):
        assert score == pytest.approx(straight[way.then(then)], abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_of_one_value_has_finite_scores(analyzer: Analyzer, value: float) -> None:
    scores = orientation_scores(np.full((256, 256), value, np.float32), analyzer.orientation)
    assert np.isfinite(scores).all()
    assert not any(guess_orientation(np.full((256, 256), value, np.float32), analyzer.orientation).mirrored)


def test_evidence_adds_up_over_mirror_images() -> None:
    scores = np.log(np.array([1, 2, 3, 4, 5, 6, 7, 8], np.float32))
    assert np.exp(turn_evidence(scores)) == pytest.approx([6, 8, 10, 12], rel=1e-5)
    assert np.exp(mirror_evidence(scores)) == pytest.approx([5, 3, 7 / 3, 2], rel=1e-5)


def test_the_lungs_package_is_no_orientation_package() -> None:
    with pytest.raises(ModelPackageError, match="is a package for lungs; give one for orientation"):
        load_package(shipped_models() / "lungs", "orientation")
