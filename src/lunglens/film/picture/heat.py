"""The heat over the film as one large picture, for displays that lay nothing over a film themselves."""

import numpy as np
from PIL import Image, ImageDraw

from lunglens.film.about import NOTICE
from lunglens.film.finding import Analyzed
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import clip_middle, font, plain
from lunglens.film.picture.layers import SHOWN_PX, size_within
from lunglens.film.preprocess import Floats, resize, stretch


def draw_heat(finding: Analyzed, heat: Floats) -> Image.Image:
    """RGB in the usual display, at the film's size, or with a longer side of SHOWN_PX where the film is larger.

    A strip below says what it is. heat: (H, W), 0..1, of the finding, in 256 steps, whose colours are worked out once.
    """
    display = finding.to_display.apply
    film = display(finding.radiograph.pixels)
    height, width = size_within(film.shape, SHOWN_PX)
    shown = stretch(resize(film, height, width))
    base = Image.fromarray(np.rint((1 - shown if finding.inverted else shown) * 255).astype(np.uint8)).convert("RGB")
    steps = Image.fromarray(np.rint(resize(display(heat), height, width).clip(0, 1) * 255).astype(np.uint8))
    opacity = colours.heat_alpha(np.linspace(0, 1, 256).astype(np.float32))
    mask = steps.point(np.rint(opacity * 255).astype(int).tolist())
    steps.putpalette(np.rint(colours.inferno()).astype(np.uint8).tobytes())
    return _captioned(Image.composite(steps.convert("RGB"), base, mask), finding)


def _captioned(film: Image.Image, finding: Analyzed) -> Image.Image:
    """Below the film, of which nothing is covered, what the colours mean, and the notice: pictures go on alone."""
    full = finding.heat_full
    strongest = "the strongest on this film" if full is None else f"{full:g} log odds and more"
    words = f"LungLens: evidence for {plain(finding.heat_class.words)}, from none (clear) to {strongest} (yellow)"
    size = max(10, film.width // 80)
    picture = Image.new("RGB", (film.width, film.height + 4 * size), colours.BACKGROUND)
    picture.paste(film)
    draw = ImageDraw.Draw(picture)
    for row, (text, colour) in enumerate(((words, colours.TEXT), (NOTICE, colours.AMBER))):
        said, top = clip_middle(text, size, film.width - 2 * size), film.height + size // 2 + row * size * 3 // 2
        draw.text((size, top), said, fill=colour, font=font(size))
    return picture
