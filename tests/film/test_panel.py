"""The panel: what it says, where it draws, and that nothing runs off it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunglens.film.finding import NOTICE, Analyzed, Refused
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import clip_middle, fit_items, font, outline_alpha, plain, wrap
from lunglens.film.picture.panel import (
    FACTS_LEFT,
    FOOTER_TOP,
    GAP,
    HEIGHT,
    MARGIN,
    REMARKS_LEFT,
    TILE,
    TILE_TOP,
    WIDTH,
    draw_panel,
    film_box,
    mask_image,
)
from lunglens.film.preprocess import Floats, Mask
from lunglens.film.radiograph import Radiograph
from lunglens.film.statements import BALANCE, Line, panel_lines, percent
from tests.support import findings
from tests.support.findings import as_refused, covid_answer, two_lungs

NO_LUNGS = np.zeros((400, 400), bool)
LONG = tuple(f"warning {number}: " + "a long tale of " * 12 + "x" * 200 for number in range(30))


def gray_film(height: int, width: int, notes: tuple[str, ...] = ()) -> Radiograph:
    ramp = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    return Radiograph(ramp, "", "array", 8, notes=notes)


def analyzed(height: int = 400, width: int = 400, **changes: Any) -> Analyzed:
    return findings.analyzed(gray_film(height, width), **changes)


def refused(**changes: Any) -> Refused:
    return as_refused(analyzed(**changes), "one-lung", "only one lung region found")


def drawn(finding: Analyzed | Refused, title: str = "film.dcm") -> Floats:
    return np.asarray(draw_panel(finding, title), np.float32)


def said(finding: Analyzed | Refused) -> str:
    return "\n".join(f"{line.label} {line.text}" for line in panel_lines(finding))


def is_cyan(pixels: Floats) -> Mask:
    """More blue than red by far: neither a gray nor a colour of the heat-map."""
    return np.asarray(pixels[..., 2] - pixels[..., 0] > 100)


def assert_margins_empty(panel: Floats, tiles: int = 4) -> None:
    """Nothing in the margins, in the gaps between tiles and columns, or just above the footer."""
    empty = np.array(colours.BACKGROUND, np.float32)
    top, bottom = TILE_TOP, TILE_TOP + TILE
    parts = [panel[:, : MARGIN - 2], panel[:, WIDTH - MARGIN + 2 :], panel[:10], panel[-20:]]
    parts += [panel[FOOTER_TOP - 6 : FOOTER_TOP - 1], panel[bottom + 32 : bottom + 50]]
    gaps = [MARGIN + n * (TILE + GAP) - GAP for n in ((1, 2, 3) if tiles == 4 else (1,))]
    parts += [panel[top:bottom, gap : gap + GAP] for gap in gaps]
    facts = panel[bottom + 32 : FOOTER_TOP]
    parts += [facts[:, FACTS_LEFT - GAP : FACTS_LEFT - 1], facts[:, REMARKS_LEFT - GAP + 1 : REMARKS_LEFT - 1]]
    for part in parts:
        assert part.size
        assert (part == empty).all()


def test_outline_follows_the_border_and_nothing_else() -> None:
    panel = drawn(analyzed())
    box = film_box((400, 400), 1)
    tile = is_cyan(panel[box.top : box.top + box.height, box.left : box.left + box.width])
    row = tile[box.height // 2]
    edges = [round(share * box.width) for share in (0.1, 0.4, 0.6, 0.9)]
    assert all(row[edge - 2 : edge + 2].any() for edge in edges)
    assert 4 <= row.sum() <= 12
    far = np.ones_like(row)
    for edge in edges:
        far[edge - 3 : edge + 4] = False
    assert not row[far].any()
    film = film_box((400, 400), 0)
    assert not is_cyan(panel[film.top : film.top + film.height, film.left : film.left + film.width]).any()


def test_outline_is_two_px_wide_and_anti_aliased() -> None:
    mask = np.zeros((100, 100), bool)
    mask[:, 50:] = True
    alpha = outline_alpha(mask, 100, 100, 2)
    assert alpha[50].sum() == pytest.approx(2, abs=0.1)
    assert alpha[50, 49] > 0.9 < alpha[50, 50]
    assert not alpha[:, :46].any()
    assert not outline_alpha(np.ones((50, 50), bool), 80, 80, 2).any()


def test_heat_colours_only_where_there_is_heat() -> None:
    panel = drawn(analyzed(lung_square=NO_LUNGS))
    box = film_box((400, 400), 2)
    tile = panel[box.top : box.top + box.height, box.left : box.left + box.width]
    chroma = tile.max(axis=2) - tile.min(axis=2)
    middle = box.height // 2
    assert (chroma[middle + 5 :, : middle - 5] > 30).all()
    assert (chroma[: middle - 5] == 0).all()


def test_colour_map_gets_lighter_all_the_way() -> None:
    lightness = colours.inferno() @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(("probability", "colour"), [(0.25, colours.BLUE), (0.75, colours.AMBER)])
def test_probability_bar_is_as_long_as_the_probability(probability: float, colour: Any) -> None:
    panel = drawn(analyzed(answer=covid_answer(probability, 0.4)))
    row = (panel[TILE_TOP + TILE :, MARGIN : MARGIN + TILE] == np.array(colour)).all(axis=2).sum(axis=1)
    assert row.max() == pytest.approx(probability * TILE, abs=4)  # the threshold's mark covers a few


def test_lines_of_an_analyzed_film() -> None:
    text = said(analyzed(warnings=("patient under 18",), radiograph=gray_film(400, 300, ("window applied",))))
    for part in (
        "COVID-19 probability 12.3 %",
        "Decision not covid",
        "below the documented threshold of 40.0 %",
        "right 28,800 px (18.0 % of the film), left 182 cm2",
        "61 % of the heat lies in the lungs, which cover 45 % of what the classifier saw",
        "score 0.980",
        "Warning patient under 18",
        "Note window applied",
        "lungs: unet 1, classifier: hrnet 1",
        "0.75 s",
        "300 x 400 px",
        NOTICE,
        BALANCE,
    ):
        assert part in text
    assert "at or above the documented" in said(analyzed(answer=covid_answer(0.4, 0.4)))
    assert "no evidence for COVID-19" in said(analyzed(heat_share_in_lungs=None))


def test_refused_film_has_no_probability() -> None:
    lines = panel_lines(refused())
    assert not {"probability", "decision"} & {line.kind for line in lines}
    assert "probability" not in said(refused()).lower()
    assert "12.3" not in said(refused())
    assert Line("refusal", "Refused", "only one lung region found") in lines
    assert Line("notice", "", NOTICE) in lines


def test_refused_panel_is_one_box_without_an_answer() -> None:
    panel = drawn(refused())
    inside = panel[TILE_TOP + 2 : TILE_TOP + 90, FACTS_LEFT + 9 : WIDTH - MARGIN - 9]
    assert (inside == np.array(colours.AMBER_BOX)).all()
    answer = panel[TILE_TOP + TILE : FOOTER_TOP, :FACTS_LEFT]
    assert (answer == np.array(colours.BACKGROUND)).all()
    assert not is_cyan(panel).any()
    assert (panel == drawn(refused(answer=covid_answer(0.99, 0.1)))).all()
    assert_margins_empty(panel, tiles=1)


@pytest.mark.parametrize("shape", [(64, 64), (64, 4000), (4000, 64), (1, 3000), (3000, 1), (65, 71)])
def test_any_shape_fits_its_tile(shape: tuple[int, int]) -> None:
    for finding, tiles in ((analyzed(*shape), 4), (refused(radiograph=gray_film(*shape)), 1)):
        panel = drawn(finding)
        assert panel.shape == (HEIGHT, WIDTH, 3)
        assert_margins_empty(panel, tiles)
    box = film_box(shape, 1)
    assert max(box.width, box.height) == TILE
    assert abs(box.width - box.height * shape[1] / shape[0]) <= max(1, shape[1] / shape[0])


@pytest.mark.parametrize("remarks", [LONG, ("short",) * 30, LONG[:1]])
def test_many_and_long_texts_stay_within_the_margins(remarks: tuple[str, ...]) -> None:
    plenty: dict[str, Any] = {
        "warnings": remarks,
        "models": {"lungs": "n" * 300, "classifier": "k" * 300},
        "radiograph": gray_film(100, 90, remarks),
        "seconds": {f"stage {number}": 1.0 for number in range(60)},
    }
    for finding, tiles in ((analyzed(**plenty), 4), (refused(**plenty), 1)):
        assert_margins_empty(drawn(finding, "folder/" * 300 + "film.dcm"), tiles)


def test_an_empty_mask_and_a_classifier_without_heat_maps() -> None:
    bare = analyzed(lung_square=NO_LUNGS, heat_map=None, heat_share_in_lungs=None)
    panel = drawn(bare, "")
    box = film_box((400, 400), 1)
    assert not is_cyan(panel[box.top : box.top + box.height - 40, box.left : box.left + box.width]).any()
    assert "this classifier gives no heat-map" in said(bare)
    assert "evidence" not in said(bare)


def test_inverted_film_is_shown_corrected_beside_the_stored_one() -> None:
    panel = drawn(analyzed(inverted=True, lung_square=NO_LUNGS))
    tiles = [panel[TILE_TOP : TILE_TOP + 300, MARGIN + n * (TILE + GAP) :][:, 60:300, 0] for n in (0, 1)]
    assert np.abs(tiles[0] + tiles[1] - 255).max() <= 1


def test_texts_are_ascii_that_the_font_has() -> None:
    assert plain("Lunge\u00b2\n\t\u80ba \x07") == "Lunge? ? ?"
    assert said(analyzed(warnings=("\u80ba\n",))).isascii()
    letters = [chr(code) for code in range(33, 127)]
    absent = bytes(font(30).getmask("\uffff"))
    assert [letter for letter in letters if bytes(font(30).getmask(letter)) == absent] == []


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0 %"), (0.0001, "< 0.1 %"), (0.1234, "12.3 %"), (0.99999, "> 99.9 %"), (1, "100.0 %")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_wrap_keeps_every_word_or_says_so() -> None:
    text = "one two three " * 8 + "y" * 90
    lines = wrap(text, 15, 120, 99)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(font(15).getlength(line) for line in lines) <= 120
    short = wrap(text, 15, 120, 2)
    assert len(short) == 2
    assert short[-1].endswith("...")
    assert font(15).getlength(short[-1]) <= 120


def test_fit_items_counts_what_is_left_over() -> None:
    assert fit_items(["a", "b", "c"], 15, 100, 3, 3) == [["a"], ["b"], ["c"]]
    assert fit_items(["a", "b", "c", "d"], 15, 100, 3, 3) == [["a"], ["b"], ["and 2 more"]]
    assert fit_items(["a b c d e f g h i j k l m n"] * 2, 15, 60, 1, 2) == [["and 2 more"]]


def test_clip_middle_keeps_both_ends() -> None:
    clipped = clip_middle("start" + "m" * 5000 + "end.dcm", 25, 400)
    assert clipped.startswith("start")
    assert clipped.endswith("end.dcm")
    assert font(25).getlength(clipped) <= 400
    assert clip_middle("film.dcm", 25, 400) == "film.dcm"


def test_mask_image_is_the_mask() -> None:
    mask = two_lungs(70, 90)
    image = mask_image(mask)
    assert (image.mode, image.size) == ("L", (90, 70))
    assert (np.asarray(image) == mask * 255).all()


@pytest.mark.parametrize("finding", [analyzed(1200, 300), refused()], ids=["analyzed", "refused"])
def test_a_notebook_shows_the_panel_and_a_shell_one_line(finding: Analyzed | Refused) -> None:
    shown = np.asarray(Image.open(io.BytesIO(finding._repr_jpeg_())), np.float32)
    assert np.abs(shown - drawn(finding, "Film")).mean() < 1
    assert repr(finding).startswith(type(finding).__name__ + "(")
    assert len(repr(finding)) < 200
