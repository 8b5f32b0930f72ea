"""One PNG, JPEG or TIFF file's bytes -> gray values. Runs in the decoding process."""

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.film.language import say
from lunglens.film.reading.values import check_size, luma

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_GRAY_MODES = ("1", "L", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def decode_picture(data: bytes, how: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Decode one picture: its gray values (H, W), bright = dense, and {"bits": stored bits, "notes": what was done}.

    how: format ("PNG", "JPEG" or "TIFF") and max_pixels.

    Raises NotAChestRadiographError for several frames, and UnreadableImageError, or whatever Pillow throws, where
    it cannot be read.
    """
    from PIL import ImageOps

    file_format, notes = how["format"], list[str]()
    with _open(data, file_format) as image:
        check_size(image.height, image.width, how["max_pixels"])
        bits, orientation = _stored_bits(data, image), orientation_of(image, notes)
        inverted = file_format == "TIFF" and image.mode == "I;16" and _tiff_tag(image, 262, 1) == 0
        _refuse_pages(data, file_format)
        if file_format == "PNG":
            _verify_png(data)
        if file_format == "TIFF" and bits > 8 and _tiff_tag(image, 284, 1) == 2 and image.mode not in _GRAY_MODES:
            raise UnreadableImageError(  # Pillow reads each half of a value as one
                "colour TIFF of 16 bits in separate planes is not supported. Save it as gray, or with planes together."
            )
        image.load()
        upright = image if file_format == "TIFF" or orientation == 1 else ImageOps.exif_transpose(image)
        if orientation != 1:
            notes.append(say("EXIF orientation {orientation} applied", orientation=orientation))
        deep = _deep_colour(data, file_format, notes)
        values = gray_values(upright, notes) if deep is None else deep
    if file_format == "TIFF":
        values = _with_its_sign(values, image)
    if inverted:  # Pillow turns WhiteIsZero round at 8 bits, but not at 16
        notes.append(say("WhiteIsZero inverted"))
        values = 65535 - values
    return values, {"bits": bits, "notes": notes}


def _open(data: bytes, file_format: str) -> "ImageFile":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(BytesIO(data), formats=[file_format])  # reads the header only
    except Image.DecompressionBombError as error:
        raise UnreadableImageError("it has far too many px to be a radiograph. Give the original image.") from error
    except UnidentifiedImageError as error:  # its text holds an address in memory
        raise UnreadableImageError(
            "its header is damaged, or of a kind that is not supported. Copy it again, or export it as PNG."
        ) from error


def _stored_bits(data: bytes, image: "Image") -> int:
    if image.format == "PNG":
        return data[24]  # bit depth in IHDR (PNG specification 11.2.1)
    return _tiff_tag(image, 258, 1) if image.format == "TIFF" else 8


def _with_its_sign(values: NDArray[Any], image: "Image") -> NDArray[Any]:
    """Gray values as Sample Format says (1: unsigned, 2: signed); Pillow takes 8 bits as unsigned, 32 as signed."""
    sample_format = _tiff_tag(image, 339, 1)
    if image.mode == "L" and sample_format == 2 and values.dtype == np.uint8:
        return values.view(np.int8)
    return values.view(np.uint32) if image.mode == "I" and sample_format == 1 and values.dtype == np.int32 else values


def _tiff_tag(image: "Image", tag: int, default: int) -> int:
    found = getattr(image, "tag_v2", {}).get(tag, default)
    return int(found[0] if isinstance(found, tuple) else found)


def orientation_of(image: "Image", notes: list[str]) -> int:
    """EXIF's number for how the picture is turned, 1 to 8 (1: not at all)."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF is parsed apart from the pixels: its damage need not cost the image
        notes.append(say("EXIF data are damaged and were ignored"))
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
    raise NotAChestRadiographError("it holds several frames. Give one single-frame chest radiograph.", "frames")


def _verify_png(data: bytes) -> None:
    # Decoding skips the checksums of the pixel chunks, so that damaged pixels would pass as an image.
    with _open(data, "PNG") as image:
        image.verify()


def _deep_colour(data: bytes, file_format: str, notes: list[str]) -> NDArray[np.float32] | None:
    """Luma (H, W) of 16 bits, transparent parts black; None where the picture is not of 16 bits a channel.

    Pillow keeps the upper byte of each channel of such a picture, or, told that the bytes are the other way round, the
    lower one. Of gray with opacity it can be made to give all four bytes as if they were four channels.
    """
    with _open(data, file_format) as image:
        mode = image.tile[0].args if image.tile else None
        mode = mode[0] if isinstance(mode, tuple) else mode
        if not isinstance(mode, str) or mode[-4:-1] != ";16" or image.mode in _GRAY_MODES:
            return None
        with_opacity = mode == "LA;16B"
        try:
            other = _reread(data, file_format, "RGBA" if with_opacity else mode[:-1] + _SWAPPED[mode[-1]])
        except ValueError:  # a layout of which Pillow knows only one order
            return None
        notes.append(say("colour image converted to gray"))
        if with_opacity:
            gray, opacity = (other[..., at] * 256.0 + other[..., at + 1] for at in (0, 2))
            return _on_black(gray.astype(np.float32), opacity, notes)
        channels = np.asarray(image) * np.float32(256) + other
        gray = luma(channels[..., :3])
        return _on_black(gray, channels[..., 3], notes) if image.mode == "RGBA" else gray


def _reread(data: bytes, file_format: str, mode: str) -> NDArray[np.uint8]:
    with _open(data, file_format) as image:
        tiles = [(t, (mode, *t.args[1:]) if isinstance(t.args, tuple) else mode) for t in image.tile]
        image.tile = [tile._replace(args=args) for tile, args in tiles]
        return np.array(image)


def _on_black(gray: NDArray[np.float32], opacity: NDArray[Any], notes: list[str]) -> NDArray[np.float32]:
    if (opacity == 65535).all():
        return gray
    notes.append(say("transparent parts shown on black"))
    return np.asarray(gray * (opacity / 65535), np.float32)


def gray_values(image: "Image", notes: list[str]) -> NDArray[Any]:
    """A picture of any mode -> its gray values (H, W); what is transparent is black."""
    from PIL import Image

    if image.mode in _GRAY_MODES:
        return np.asarray(image)
    if image.mode.startswith("P"):
        notes.append(say("palette image converted to gray"))
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif image.mode not in ("LA", "La"):
        notes.append(say("colour image converted to gray"))
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        notes.append(say("transparent parts shown on black"))
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("L"))
