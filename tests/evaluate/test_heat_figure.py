"""The side-by-side figure of heat-maps: one scale, right words, nothing out of its frame."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lunglens.evaluate.figures.heat_cases import (
    COLUMNS,
    TOP,
    HeatCase,
    heat_figure,
    heat_words,
    relative_heat,
    write_heat_figure,
)


def case(title: str = "film", shape: tuple[int, int] = (60, 80)) -> HeatCase:
    """A gray film whose left half is lung; the uncut map is hot outside of it, the cut one inside."""
    lungs = np.zeros((64, 64), bool)
    lungs[:, :32] = True
    outside, within = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    outside[3, 6], within[4, 1] = 5, 0.01
    return HeatCase(title, np.full(shape, 0.5, np.float32), lungs, outside, within, 0.9, 0.3)


def test_heat_is_shown_as_multiples_of_an_even_spread_whatever_its_unit() -> None:
    heat = np.array([[0, 1], [1, 2]], np.float32)
    assert relative_heat(heat).tolist() == [[0, 1], [1, 2]]
    assert relative_heat(1000 * heat).tolist() == relative_heat(heat).tolist()
    assert relative_heat(np.zeros((2, 2), np.float32)).tolist() == [[0, 0], [0, 0]]


def test_the_words_say_heat_and_area() -> None:
    lungs = np.zeros((8, 8), bool)
    lungs[:, :2] = True
    even = np.ones((8, 8), np.float32)
    assert (
        heat_words(even, lungs) == "25 % of the heat lies in the lungs,\nwhich cover 25 % of the film: 1.0 times that"
    )
    assert heat_words(even * lungs, lungs).endswith("25 % of the film: 4.0 times that")
    assert heat_words(even, np.zeros((8, 8), bool)).endswith("which cover 0 % of the film")
    assert heat_words(np.zeros((8, 8), np.float32), lungs) == "no heat: nothing speaks for this class"


def test_a_row_a_film_with_three_panels_and_the_probabilities() -> None:
    figure = heat_figure([case("one"), case("two", (80, 50))], "COVID-19")
    *panels, scale = figure.axes
    assert len(panels) == 6
    assert [axes.get_title(loc="left") for axes in panels[:3]] == list(COLUMNS)
    assert [axes.get_xlabel() for axes in panels[::3]] == ["one", "two"]
    assert panels[1].get_xlabel().startswith("COVID-19: 0.90\n")
    assert panels[5].get_xlabel().startswith("COVID-19: 0.30\n")
    assert scale.get_xticklabels()[-1].get_text() == f"{TOP:.0f} x and more"


def test_the_two_maps_use_one_scale() -> None:
    """The weaker map is as hot as the strong one: both have all their heat in one of 64 cells."""
    panels = heat_figure([case()], "COVID-19").axes
    uncut, cut = (np.asarray(axes.images[0].get_array()) for axes in panels[1:3])
    assert uncut[:, 230:].max() == pytest.approx(cut[:, :190].max(), abs=2)
    assert uncut[:, :150].max() < 140
    assert cut[:, 250:].max() < 140


def test_the_picture_holds_everything(tmp_path: Path) -> None:
    file = tmp_path / "figures" / "heat.png"
    write_heat_figure(file, [case(), case("x" * 200, (100, 30))], "COVID-19")
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > 1200
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edges == 255).all()
    assert not list(file.parent.glob(".partial*"))


def test_no_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no case"):
        write_heat_figure(tmp_path / "heat.png", [], "COVID-19")
    assert not (tmp_path / "heat.png").exists()
