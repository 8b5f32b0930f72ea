"""The report's pictures: the film with the outline of the lungs, with the heat-map, and with the infiltrates."""

import io
from collections.abc import Mapping
from typing import NamedTuple

from PIL import Image

from lunglens.film.language import say

_LONGEST_PX = 900  # 8 cm on paper at 280 dots an inch


class Picture(NamedTuple):
    """A picture (PNG) and what it shows."""

    caption: str
    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return Image.open(io.BytesIO(self.png)).size


def sheet_pictures(layers: Mapping[str, Image.Image]) -> list[Picture]:
    """From `layers_of`; a refused film is shown as it is, alone."""
    captions = {"lungs": say("The film and the outline of its lungs"), "heat": say("Where the evidence lies")}
    captions["grades"] = say("Infiltrates, as a Brixia grade: dark to yellow is 0 to 3")
    laid = [(caption, layers[name]) for name, caption in captions.items() if name in layers]
    film = layers["film"].convert("RGBA")
    film.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.LANCZOS)
    if not laid:
        return [Picture(say("The film"), _png(film))]
    return [
        Picture(caption, _png(Image.alpha_composite(film, layer.resize(film.size, Image.Resampling.BILINEAR))))
        for caption, layer in laid
    ]


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "PNG", compress_level=6)
    return stream.getvalue()
