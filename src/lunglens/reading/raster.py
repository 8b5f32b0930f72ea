"""One PNG, JPEG or TIFF file's bytes -> gray pixels in 0..1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.reading.values import check_size, scale

if TYPE_CHECKING:
    from PIL.Image import Image


def read_raster(data: bytes, file_format: str, max_pixels: int, notes: list[str]) -> tuple[NDArray[np.float32], int]:
    """Decode one picture: its gray pixels (H, W) in 0..1 and the bits stored; adds to `notes`.

    Raises NotAChestRadiographError for several frames, and UnreadableImageError, or whatever Pillow throws, where
    it cannot be read.
    """
    with _silent_stderr() if file_format == "TIFF" else nullcontext():
        return _read_picture(data, file_format, max_pixels, notes)


def _read_picture(data: bytes, file_format: str, max_pixels: int, notes: list[str]) -> tuple[NDArray[np.float32], int]:
    from PIL import ImageOps

    with _open(data, file_format) as image:
        check_size(image.height, image.width, max_pixels)
        bits, orientation = _stored_bits(data, image), _orientation(image, notes)
        inverted = file_format == "TIFF" and image.mode == "I;16" and _tiff_tag(image, 262, 1) == 0
        _refuse_pages(data, file_format)
        if file_format == "PNG":
            _verify_png(data)
        image.load()
        upright = image if file_format == "TIFF" or orientation == 1 else ImageOps.exif_transpose(image)
        if orientation != 1:
            notes.append(f"EXIF orientation {orientation} applied")
        pixels = scale(np.asarray(_gray_image(upright, bits, notes)), notes, 2**bits - 1 if 8 < bits < 16 else None)
    if inverted:  # Pillow turns WhiteIsZero round at 8 bits, but not at 16
        notes.append("WhiteIsZero inverted")
        pixels = 1 - pixels
    return pixels, bits


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send descriptor 2 to nowhere: libtiff writes there from C, where Python has no say."""
    try:
        saved = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _open(data: bytes, file_format: str) -> "Image":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(BytesIO(data), formats=[file_format])  # reads the header only
    except Image.DecompressionBombError as error:
        raise UnreadableImageError("it has far too many px to be a radiograph. Give the original image.") from error
    except UnidentifiedImageError as error:  # its text holds an address in memory
        raise UnreadableImageError("its header is damaged or truncated. Copy or export it again.") from error


def _stored_bits(data: bytes, image: "Image") -> int:
    if image.format == "PNG":
        return data[24]  # bit depth in IHDR (PNG specification 11.2.1)
    return _tiff_tag(image, 258, 1) if image.format == "TIFF" else 8


def _tiff_tag(image: "Image", tag: int, default: int) -> int:
    found = getattr(image, "tag_v2", {}).get(tag, default)
    return int(found[0] if isinstance(found, tuple) else found)


def _orientation(image: "Image", notes: list[str]) -> int:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF is parsed apart from the pixels: its damage need not cost the image
        notes.append("EXIF data are damaged and were ignored")
        return 1
    return orientation if orientation in range(2, 9) else 1


def _refuse_pages(data: bytes, file_format: str) -> None:
    """Refuse TIFF pages and animated PNG; a JPEG's further pictures are previews of the first."""
    if file_format == "JPEG":
        return
    with _open(data, file_format) as image:
        try:
            image.seek(1)
        except EOFError:
            return
    raise NotAChestRadiographError("it holds several frames. Give one single-frame chest radiograph.")


def _verify_png(data: bytes) -> None:
    # Decoding skips the checksums of the pixel chunks, so that damaged pixels would pass as an image.
    with _open(data, "PNG") as image:
        image.verify()


def _gray_image(image: "Image", bits: int, notes: list[str]) -> "Image":
    from PIL import Image

    if image.mode in ("1", "L", "F", "I") or image.mode.startswith("I;16"):
        return image
    if bits > 8:
        notes.append(f"{bits}-bit {image.mode} read with 8 bits a channel")
    if image.mode.startswith("P"):
        notes.append("palette image converted to gray")
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif image.mode not in ("LA", "La"):
        notes.append("colour image converted to gray")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        notes.append("transparent parts shown on black")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("L")
