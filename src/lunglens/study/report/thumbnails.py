"""Small pictures of a study's films, for pages that hold everything themselves."""

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_OUTLINE = (255, 196, 61)


def contact_sheet(
    folder: Path, images: pd.DataFrame, count: int, side_px: int, seed: int
) -> list[dict[str, str | None]]:
    """A random choice of `count` films with their lungs outlined.

    Args:
        folder: the study.
        images: rows of its manifest, of one class.
        count: films to draw; all of them where there are fewer.
        side_px: side of the square thumbnails.
        seed: of the choice.

    Returns:
        for each its image_id, source, path and uri; uri is None where the film cannot be read.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(images))[:count])
    rows = images.iloc[chosen]
    return [
        {"image_id": name, "source": source, "path": path, "uri": outlined(folder / film, folder / mask, side_px)}
        for name, source, path, film, mask in rows[["image_id", "source", "path", "film", "mask"]].to_numpy()
    ]


def outlined(film: Path, mask: Path, side_px: int) -> str | None:
    """A film as a JPEG data URI with its mask's outline, `side_px` square; None where the film cannot be read."""
    pixels = read_gray(film, (side_px, side_px))
    if pixels is None:
        return None
    colours = np.repeat(pixels[..., None], 3, axis=2)
    lungs = read_gray(mask, (side_px, side_px))
    if lungs is not None:
        inside = lungs > 127
        colours[inside & ~ndimage.binary_erosion(inside)] = _OUTLINE
    return jpeg_uri(colours, quality=82)


def read_gray(path: Path, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """A picture as 8-bit gray at (width, height); None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return np.array(image.convert("L").resize(size, Image.Resampling.LANCZOS))
    except (OSError, ValueError, SyntaxError):
        return None


def jpeg_uri(pixels: NDArray[np.uint8], quality: int) -> str:
    """(H, W) gray or (H, W, 3) colours as a JPEG data URI."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height scaled so that the longer one is `longest`."""
    scale = longest / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
