"""Published lung masks -> one boolean image, whether drawn as pictures, one file a lung, or as polygons."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import TypeAdapter, ValidationError

from lunglens.errors import DataError, LungLensError
from lunglens.film.radiograph import read_radiograph

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskPart:
    """A file of a lung mask; one that was cut to the lung's box says where it lies.

    left, top: column and row of the picture's corner in a film of width x height px; without these, it is whole.
    """

    path: str
    left: int = 0
    top: int = 0
    width: int | None = None
    height: int | None = None


_PARTS = TypeAdapter(tuple[MaskPart, ...])


def mask_files(*paths: Path | None) -> tuple[MaskPart, ...]:
    """Whole pictures as a mask; none where one of the files is missing."""
    return tuple(MaskPart(str(path)) for path in paths) if all(paths) else ()


def masks_text(masks: Sequence[MaskPart]) -> str | None:
    """A mask's parts as the text of a table's cell (JSON); None where there are none."""
    return _PARTS.dump_json(tuple(masks), exclude_defaults=True).decode() if masks else None


def masks_of(text: str, root: Path = Path()) -> tuple[MaskPart, ...]:
    """The parts that a cell names, with their paths below `root`; version 0.1.0 wrote `left.png|right.png`.

    Raises:
        DataError: the text is neither.
    """
    try:
        parts = _PARTS.validate_json(text) if text.startswith("[") else tuple(map(MaskPart, text.split("|")))
    except ValidationError as error:
        raise DataError(f"{text}: names no lung masks ({error.errors()[0]['msg']}); make the table again") from error
    return tuple(replace(part, path=str(root / part.path)) for part in parts)


def read_masks(masks: Sequence[MaskPart]) -> Mask:
    """The lungs as bool (H, W): the union of all parts.

    Pictures (PNG, JPEG, TIFF, GIF) count as lung above half of their full scale; a `.json` file is read as an
    annotation of V7 Darwin, of which the polygons named Lung count, without those named Ignore.

    Raises:
        DataError: a file cannot be read, or the files are of different sizes; the message names the file.
    """
    first, *others = masks
    union = _read_part(first)
    for part in others:
        mask = _read_part(part)
        if mask.shape != union.shape:
            sizes = f"{mask.shape[1]} x {mask.shape[0]} px, {first.path}: {union.shape[1]} x {union.shape[0]} px"
            raise DataError(f"{part.path}: {sizes}; both lungs' masks must be of one size, fetch them again")
        union = union | mask
    return union


def _read_part(part: MaskPart) -> Mask:
    file = Path(part.path)
    try:
        mask = _read_file(file)
    except LungLensError as error:
        raise DataError(f"{file.parent}/{error}") from error  # it begins with the file's name
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{file}: cannot be read as a lung mask ({error!r}); fetch it again") from error
    if part.width is None or part.height is None:
        return mask
    whole = np.zeros((part.height, part.width), bool)
    window = whole[part.top : part.top + mask.shape[0], part.left : part.left + mask.shape[1]]
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
