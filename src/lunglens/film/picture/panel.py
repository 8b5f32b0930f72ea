"""One picture that says all LungLens has to say of a film: four views of it, and the facts in words below."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lunglens.film.about import __version__
from lunglens.film.answer import Answer
from lunglens.film.finding import Analyzed, Lung, Refused
from lunglens.film.picture import colours
from lunglens.film.picture.colours import Colour
from lunglens.film.picture.drawing import clip_middle, fit_items, font, outline_alpha, plain, wrap
from lunglens.film.preprocess import Floats, Mask, resize, stretch
from lunglens.film.statements import Line, area, panel_lines, percent

WIDTH = 1600
MARGIN, GAP = 28, 20
TILE = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
CAPTION_TOP, TILE_TOP, FACTS_TOP = 84, 110, 542
FACTS_LEFT = MARGIN + TILE + GAP
_FACTS_WIDTH = (3 * TILE + GAP) // 2
REMARKS_LEFT = FACTS_LEFT + _FACTS_WIDTH + GAP
SMALL, BODY, LINE_HEIGHT = 14, 15, 21
_FACT_LINES = 10  # eight facts, two of which are longer than a line
FOOTER_TOP = FACTS_TOP + _FACT_LINES * LINE_HEIGHT + 14
HEIGHT = FOOTER_TOP + 60
_LABEL_WIDTH = 70
RANKED, RANKED_HEIGHT = 4, 31  # classes beside the decision, and their px


class Box(NamedTuple):
    """A rectangle on the panel, in px."""

    left: int
    top: int
    width: int
    height: int


def draw_panel(finding: Analyzed | Refused, title: str) -> Image.Image:
    """The panel of one finding: RGB, WIDTH x HEIGHT px, whatever the film's shape. `title` is the film's name."""
    panel = Image.new("RGB", (WIDTH, HEIGHT), colours.BACKGROUND)
    draw = ImageDraw.Draw(panel)
    lines = panel_lines(finding)
    _header(draw, title, lines)
    film = _fitted(finding.to_display.apply(finding.radiograph.pixels))
    _tile(panel, 0, ("Film", finding.to_display.words or "contrast stretched"), colours.gray_colours(stretch(film)))
    if isinstance(finding, Refused):
        _refusal(draw, lines)
    else:
        _views(panel, finding, stretch(1 - film if finding.inverted else film))
        _answer(draw, finding.answer, lines)
    _facts(draw, lines)
    _remarks(draw, lines)
    _footer(draw, lines)
    return panel


def mask_image(mask: Mask) -> Image.Image:
    """A mask (H, W) as an 8-bit gray image of the same size: 255 inside, 0 outside."""
    return Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))


def film_box(shape: tuple[int, ...], column: int) -> Box:
    """Where a film of (H, W) lies in the tile of a column (0..3): as large as fits, centred, its aspect ratio kept."""
    scale = TILE / max(shape)
    height, width = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    left = MARGIN + column * (TILE + GAP)
    return Box(left + (TILE - width) // 2, TILE_TOP + (TILE - height) // 2, width, height)


def _fitted(image: Floats) -> Floats:
    """An image (H, W) at the size it has in a tile."""
    box = film_box(image.shape, 0)
    return resize(image, box.height, box.width)


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour) -> None:
    draw.text(at, text, fill=colour, font=font(size))


def _text_right(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour) -> None:
    draw.text((at[0] - font(size).getlength(text), at[1]), text, fill=colour, font=font(size))


def _header(draw: ImageDraw.ImageDraw, title: str, lines: list[Line]) -> None:
    _text(draw, (MARGIN, 18), clip_middle(plain(title), 25, WIDTH - 2 * MARGIN - 180), 25, colours.TEXT)
    _text_right(draw, (WIDTH - MARGIN, 24), f"LungLens {__version__}", SMALL, colours.MUTED)
    film = next(line.text for line in lines if line.kind == "film")
    _text(draw, (MARGIN, 52), clip_middle(film, SMALL, WIDTH - 2 * MARGIN), SMALL, colours.MUTED)


def _tile(panel: Image.Image, column: int, caption: tuple[str, str], pixels: Floats) -> None:
    """Put pixels (h, w, 3), 0..255, in the middle of a column's tile; caption: its name, and a remark."""
    draw = ImageDraw.Draw(panel)
    left = MARGIN + column * (TILE + GAP)
    _text(draw, (left, CAPTION_TOP), caption[0], BODY, colours.TEXT)
    _text_right(draw, (left + TILE, CAPTION_TOP + 1), caption[1], SMALL, colours.MUTED)
    draw.rectangle((left, TILE_TOP, left + TILE - 1, TILE_TOP + TILE - 1), fill=colours.TILE)
    at = film_box(pixels.shape[:2], column)
    panel.paste(Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8)), (at.left, at.top))


def _views(panel: Image.Image, finding: Analyzed, film: Floats) -> None:
    """Tiles 2 to 4. film: (h, w), 0..1, at the size it has in a tile, bright = dense."""
    draw = ImageDraw.Draw(panel)
    height, width = film.shape
    base = colours.gray_colours(film)
    lungs = finding.lung_square
    line = outline_alpha(lungs, height, width, 2, dashed="lungs" in finding.withheld)
    polarity = "polarity corrected; " if finding.inverted else ""
    named = "R and L may be swapped" if finding.mirrored else "R and L as usually displayed"
    _tile(panel, 1, ("Lungs", f"{polarity}{named}"), colours.blend(base, colours.OUTLINE, line))
    _lung_labels(draw, finding.right, finding.left)
    faint = outline_alpha(lungs, height, width, 1) * np.float32(0.5)
    heat = finding.heat_at(height, width)
    if heat is None:
        _tile(panel, 2, ("No heat-map", "this classifier gives none"), colours.blend(base, colours.OUTLINE, faint))
    else:
        hot = colours.heat_colours(base, heat)
        caption = clip_middle(f"Evidence for {plain(finding.heat_class.words)}", BODY, TILE - 80)
        _tile(panel, 2, (caption, "heat-map"), colours.blend(hot, colours.OUTLINE, faint))
        _colour_bar(panel, finding.heat_full)
    size = "{1} x {0} px".format(*finding.classifier_view.shape)
    _tile(panel, 3, ("What the classifier saw", size), colours.gray_colours(_fitted(finding.classifier_view)))


def _lung_labels(draw: ImageDraw.ImageDraw, right: Lung, left: Lung) -> None:
    """R and L in the lower corners of tile 2, and the areas below it: the patient's right is on the image's left."""
    start, end, bottom = FACTS_LEFT, FACTS_LEFT + TILE, TILE_TOP + TILE
    for letter, corner in (("R", start + 10), ("L", end - 36)):
        draw.rounded_rectangle((corner, bottom - 35, corner + 25, bottom - 10), 5, fill=colours.BACKGROUND)
        draw.text((corner + 13, bottom - 22), letter, fill=colours.OUTLINE, font=font(18), anchor="mm")
    below = bottom + 8
    _text(draw, (start, below), f"Right {area(right)}", SMALL, colours.MUTED)
    _text_right(draw, (end, below), f"Left {area(left)}", SMALL, colours.MUTED)


def _colour_bar(panel: Image.Image, full: float | None) -> None:
    """Below tile 3, with the colours as they look over a film's middle gray; full: what 1 is, in log odds."""
    draw = ImageDraw.Draw(panel)
    left, top = MARGIN + 2 * (TILE + GAP), TILE_TOP + TILE + 8
    strongest = "strongest on this film" if full is None else f"{full:g} log odds"
    start = left + round(font(SMALL).getlength("none")) + 10
    end = left + TILE - round(font(SMALL).getlength(strongest)) - 10
    ramp = np.repeat(np.linspace(0, 1, end - start, dtype=np.float32)[None], 10, axis=0)
    bar = colours.heat_colours(np.full((*ramp.shape, 3), 96, np.float32), ramp)
    _text(draw, (left, top), "none", SMALL, colours.MUTED)
    panel.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (start, top + 4))
    _text_right(draw, (left + TILE, top), strongest, SMALL, colours.MUTED)


def _refusal(draw: ImageDraw.ImageDraw, lines: list[Line]) -> None:
    """One calm box in place of tiles 2 to 4."""
    right, bottom = WIDTH - MARGIN - 1, TILE_TOP + TILE - 1
    draw.rounded_rectangle((FACTS_LEFT, TILE_TOP, right, bottom), 8, colours.AMBER_BOX, colours.AMBER, 1)
    reason = next(line for line in lines if line.kind == "refusal")
    said = wrap(f"{reason.label}: {reason.text}", 26, right - FACTS_LEFT - 96, 6)
    top = TILE_TOP + (TILE - 38 * len(said) - 34) // 2
    for number, line in enumerate(said):
        _text(draw, (FACTS_LEFT + 48, top + 38 * number), line, 26, colours.AMBER)
    rest = "The film was not analyzed further: no lungs, no heat-map and no answer."
    _text(draw, (FACTS_LEFT + 48, top + 38 * len(said) + 12), rest, 16, colours.MUTED)


def _answer(draw: ImageDraw.ImageDraw, answer: Answer, lines: list[Line]) -> None:
    """The probability of two classes' first, and of any opacity, or those of all classes; below them the decisions."""
    probabilities, decisions, opacity = (
        [line for line in lines if line.kind == kind] for kind in ("probability", "decision", "opacity")
    )
    if answer.threshold is None:
        _ranking(draw, probabilities, sorted(answer.probabilities.values(), reverse=True))
        opacity = [line._replace(text=f"{opacity[0].text}, {line.text}") for line in opacity[1:]]
    else:
        _numbers(draw, [*probabilities, *opacity[:1]])
        _probability_bar(draw, FACTS_TOP + 80, next(iter(answer.probabilities.values())), answer.threshold)
        opacity = opacity[1:]
    below = [*decisions, *opacity]
    for number, line in enumerate(below):
        text, colour = (f"{line.label}: {line.text}", colours.TEXT) if line.label else (line.text, colours.MUTED)
        size = BODY + 2 * (line.label == decisions[0].label)
        top = FACTS_TOP + (124 + 24 * number if len(below) == 2 else 119 + 20 * number)
        _text(draw, (MARGIN, top), clip_middle(text, size, TILE), size, colour)


def _numbers(draw: ImageDraw.ImageDraw, lines: list[Line]) -> None:
    """One large number, or two beside each other."""
    wide, size = TILE // len(lines), 46 if len(lines) == 1 else 36
    for number, line in enumerate(lines):
        left = MARGIN + wide * number
        _text(draw, (left, FACTS_TOP), clip_middle(line.label, BODY, wide), BODY, colours.MUTED)
        _text(draw, (left - 1, FACTS_TOP + 17), line.text, size, colours.TEXT)


def _ranking(draw: ImageDraw.ImageDraw, lines: list[Line], probabilities: list[float]) -> None:
    """A bar a class, the most probable first; where there are more than fit, the last line counts them."""
    shown = len(lines) if len(lines) <= RANKED else RANKED - 1
    for number, (line, probability) in enumerate(zip(lines[:shown], probabilities, strict=False)):
        top, first = FACTS_TOP + RANKED_HEIGHT * number, number == 0
        _text(draw, (MARGIN, top), clip_middle(line.label, SMALL, TILE - 70), SMALL, colours.TEXT)
        _text_right(draw, (MARGIN + TILE, top), line.text, SMALL, colours.TEXT)
        _bar(draw, top + 19, 5, probability, colours.AMBER if first else colours.BLUE)
    if shown < len(lines):
        top = FACTS_TOP + RANKED_HEIGHT * shown
        _text(draw, (MARGIN, top), f"and {len(lines) - shown} more classes", SMALL, colours.MUTED)


def _bar(draw: ImageDraw.ImageDraw, top: int, height: int, probability: float, colour: Colour) -> None:
    draw.rectangle((MARGIN, top, MARGIN + TILE - 1, top + height), fill=colours.TRACK)
    draw.rectangle((MARGIN, top, MARGIN + round(probability * (TILE - 1)), top + height), fill=colour)


def _probability_bar(draw: ImageDraw.ImageDraw, top: int, probability: float, threshold: float) -> None:
    """Its place between 0 and 100 %, beside the threshold."""
    end = MARGIN + TILE - 1
    _bar(draw, top, 11, probability, colours.AMBER if probability >= threshold else colours.BLUE)
    _text(draw, (MARGIN, top + 18), "0 %", SMALL, colours.MUTED)
    _text_right(draw, (end + 1, top + 18), "100 %", SMALL, colours.MUTED)
    at = MARGIN + round(threshold * (TILE - 1))
    draw.rectangle((max(at - 1, MARGIN), top - 6, min(at, end), top + 17), fill=colours.TEXT)
    text = f"threshold {percent(threshold)}"
    half = font(SMALL).getlength(text) / 2
    middle = min(max(at, MARGIN + 36 + half), end - 50 - half)
    _text(draw, (middle - half, top + 18), text, SMALL, colours.TEXT)


def _facts(draw: ImageDraw.ImageDraw, lines: list[Line]) -> None:
    facts = [line for line in lines if line.kind == "fact"]
    row = 0
    for number, fact in enumerate(facts):
        room = min(2, _FACT_LINES - row - (len(facts) - number - 1))
        top = FACTS_TOP + LINE_HEIGHT * row
        _text(draw, (FACTS_LEFT, top), fact.label, BODY, colours.MUTED)
        said = wrap(fact.text, BODY, _FACTS_WIDTH - _LABEL_WIDTH, max(room, 1))
        for step, part in enumerate(said):
            _text(draw, (FACTS_LEFT + _LABEL_WIDTH, top + LINE_HEIGHT * step), part, BODY, colours.TEXT)
        row += len(said)


def _remarks(draw: ImageDraw.ImageDraw, lines: list[Line]) -> None:
    """Warnings, then notes on the film, in the third column; what does not fit is counted."""
    row = 0
    if not any(line.kind == "warning" for line in lines):
        _text(draw, (REMARKS_LEFT, FACTS_TOP), "No warnings", BODY, colours.MUTED)
        row = 1
    for kind, heading, colour in (("warning", "Warnings", colours.AMBER), ("note", "Notes on the film", colours.MUTED)):
        items = [line.text for line in lines if line.kind == kind]
        if not items:
            continue
        # Warnings leave room for the heading of the notes and two lines of them.
        others = 3 if kind == "warning" and any(line.kind == "note" for line in lines) else 0
        _text(draw, (REMARKS_LEFT, FACTS_TOP + LINE_HEIGHT * row), heading, BODY, colour)
        row += 1
        for item in fit_items(items, BODY, _FACTS_WIDTH - 16, _FACT_LINES - row - others, 2):
            _text(draw, (REMARKS_LEFT, FACTS_TOP + LINE_HEIGHT * row), "-", BODY, colour)
            for part in item:
                top = FACTS_TOP + LINE_HEIGHT * row
                _text(draw, (REMARKS_LEFT + 14, top), part, BODY, colours.TEXT)
                row += 1


def _footer(draw: ImageDraw.ImageDraw, lines: list[Line]) -> None:
    draw.line((MARGIN, FOOTER_TOP, WIDTH - MARGIN - 1, FOOTER_TOP), fill=colours.RULE)
    notice, *rest = [line.text for kind in ("notice", "worth") for line in lines if line.kind == kind]
    _text(draw, (MARGIN, FOOTER_TOP + 14), notice, 18, colours.AMBER)
    for text in rest:
        _text_right(draw, (WIDTH - MARGIN, FOOTER_TOP + 17), text, BODY, colours.MUTED)
