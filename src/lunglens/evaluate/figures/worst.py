"""The films on which the lungs went worst, as pictures. They hold patients' films: they stay in the run folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from lunglens.errors import DataError, LungLensError
from lunglens.files import write_atomically
from lunglens.film.lungs.published_masks import masks_of, read_masks
from lunglens.film.picture.colours import AMBER, BACKGROUND, MUTED, OUTLINE, TEXT, Colour, blend, gray_colours
from lunglens.film.picture.drawing import clip_middle, font, outline_alpha, plain
from lunglens.film.preprocess import Floats, Mask, film_square
from lunglens.film.radiograph import read_radiograph

_TILE_PX = 384
_CAPTION_PX = 44
_COLUMNS = 5
TRUE, PREDICTED = OUTLINE, AMBER


def write_worst(run: Path, predictions: pd.DataFrame, root: Path, count: int = 20) -> Path:
    """Draw the films of lowest Dice with the true and the predicted outline into `run/worst/worst-<count>.png`.

    Args:
        predictions: of a run on lungs, with `mask_path`, the true mask as in the manifest, and `predicted`, the other
            one's path below `run`.
        root: folder that `path` and `mask_path` are relative to; absolute ones stay as they are.

    Returns:
        the picture; a film or mask that cannot be read is an empty tile that says so.

    Raises:
        DataError: there is no column `mask_path`.
    """
    if "mask_path" not in predictions:
        raise DataError(f"{run / 'predictions.csv'}: column mask_path is missing, so there is no true outline to draw")
    worst = predictions.sort_values(["dice", "path"], kind="stable").head(count)
    tiles = [_tile(row, run / row["predicted"], root) for _, row in worst.iterrows()]
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _TILE_PX, _CAPTION_PX + rows * (_TILE_PX + _CAPTION_PX)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    x = 12.0
    for text, colour in (("drawn by a person", TRUE), ("predicted", PREDICTED), ("lowest Dice first", MUTED)):
        draw.text((x, 12), text, fill=colour, font=font(18))
        x += font(18).getlength(text) + 28
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % _COLUMNS * _TILE_PX, _CAPTION_PX + index // _COLUMNS * (_TILE_PX + _CAPTION_PX)))
    path = run / "worst" / f"worst-{count}.png"
    write_atomically(path, lambda temporary: sheet.save(temporary, format="PNG"))
    return path


def _tile(row: "pd.Series[Any]", predicted: Path, root: Path) -> Image.Image:
    tile = Image.new("RGB", (_TILE_PX, _TILE_PX + _CAPTION_PX), BACKGROUND)
    draw = ImageDraw.Draw(tile)
    try:
        film = film_square(read_radiograph(root / row["path"]).pixels, _TILE_PX)
        tile.paste(outlined(film, [(_true(row["mask_path"], root), TRUE), (_read(predicted), PREDICTED)]))
    except (LungLensError, OSError) as error:
        draw.text((12, _TILE_PX // 2), clip_middle(plain(str(error)), 13, _TILE_PX - 24), fill=MUTED, font=font(13))
    name = clip_middle(plain(f"{row['source']} {Path(row['path']).name}"), 14, _TILE_PX - 16)
    draw.text((8, _TILE_PX + 3), name, fill=TEXT, font=font(14))
    numbers = f"Dice {row['dice']:.4f}   HD95 {row['hd95_px']:.1f} px   fold {row['fold']}"
    draw.text((8, _TILE_PX + 22), numbers, fill=MUTED, font=font(14))
    return tile


def outlined(film: Floats, masks: list[tuple[Mask, Colour]]) -> Image.Image:
    """A film (S, S), 0..1, with the outlines of masks of any size, in their order."""
    colours = gray_colours(film)
    height, width = film.shape
    for mask, colour in masks:
        colours = blend(colours, colour, outline_alpha(mask, height, width, 1.6))
    return Image.fromarray(np.rint(colours).astype(np.uint8))


def _true(mask_path: str, root: Path) -> Mask:
    return read_masks(masks_of(mask_path, root))


def _read(path: Path) -> Mask:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127
