"""Published lung masks -> one boolean image, whether drawn as pictures, one file a lung, or as polygons.

A `mask_path` names one or several files, joined by "|"; their union is the mask. A picture that was cut to the lung's
box says where it lies: `lung.png#40,12@800x600` is at column 40, row 12 of a film 800 px wide and 600 px high.
"""

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lunglens.errors import DataError, LungLensError
from lunglens.film.radiograph import read_radiograph

SEPARATOR = "|"
_PLACE = re.compile(r"(?P<file>.+)#(?P<left>\d+),(?P<top>\d+)@(?P<width>\d+)x(?P<height>\d+)")

Mask = NDArray[np.bool_]


def read_mask(mask_path: str) -> Mask:
    """The lungs as bool (H, W): the union of the files that `mask_path` names.

    Pictures (PNG, JPEG, TIFF, GIF) count as lung above half of their full scale; a `.json` file is read as an
    annotation of V7 Darwin, of which the polygons named Lung count, without those named Ignore.

    Raises:
        DataError: a file cannot be read, or the files are of different sizes; the message names the file.
    """
    first, *others = mask_path.split(SEPARATOR)
    union = _read_part(first)
    for part in others:
        mask = _read_part(part)
        if mask.shape != union.shape:
            sizes = f"{mask.shape[1]} x {mask.shape[0]} px, {first}: {union.shape[1]} x {union.shape[0]} px"
            raise DataError(f"{part}: {sizes}; both lungs' masks must be of one size, fetch them again")
        union = union | mask
    return union


def placed(path: Path, left_top: tuple[int, int], film_size: tuple[int, int]) -> str:
    """The `mask_path` of a picture that was cut to the lung's box: its left and top, the film's width and height."""
    return f"{path}#{left_top[0]},{left_top[1]}@{film_size[0]}x{film_size[1]}"


def _read_part(part: str) -> Mask:
    place = _PLACE.fullmatch(part)
    file = Path(place["file"] if place else part)
    try:
        mask = _read_file(file)
    except LungLensError as error:
        raise DataError(f"{file.parent}/{error}") from error  # it begins with the file's name
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{file}: cannot be read as a lung mask ({error!r}); fetch it again") from error
    if not place:
        return mask
    left, top, width, height = (int(place[name]) for name in ("left", "top", "width", "height"))
    whole = np.zeros((height, width), bool)
    window = whole[top : top + mask.shape[0], left : left + mask.shape[1]]
    window |= mask[: window.shape[0], : window.shape[1]]
    return whole


def _read_file(file: Path) -> Mask:
    if file.suffix.lower() == ".json":
        return _from_darwin(json.loads(file.read_text("utf-8")))
    with file.open("rb") as stream:
        start = stream.read(4)
    if start == b"GIF8":
        with Image.open(BytesIO(file.read_bytes()), formats=["GIF"]) as picture:
            return np.asarray(picture.convert("L")) > 127
    return read_radiograph(file).pixels > 0.5


def _from_darwin(annotation: dict[str, Any]) -> Mask:
    """https://docs.v7labs.com/reference/darwin-json - version 1 has `image`, version 2 `item.slots`."""
    frame = annotation["image"] if "image" in annotation else annotation["item"]["slots"][0]
    canvas = Image.new("1", (int(frame["width"]), int(frame["height"])))
    draw = ImageDraw.Draw(canvas)
    for name, filled in (("lung", 1), ("ignore", 0)):
        for shape in annotation["annotations"]:
            if str(shape.get("name", "")).casefold() == name:
                for outline in _outlines(shape):
                    draw.polygon([(point["x"], point["y"]) for point in outline], fill=filled)
    return np.array(canvas, bool)


def _outlines(shape: dict[str, Any]) -> list[list[dict[str, float]]]:
    polygon = shape.get("polygon") or shape.get("complex_polygon") or {}
    paths = polygon.get("paths") or polygon.get("path") or []
    return paths if paths and isinstance(paths[0], list) else [paths] if paths else []
