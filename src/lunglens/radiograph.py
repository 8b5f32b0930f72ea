"""Any file -> one gray radiograph in 0..1, bright = dense; or a LungLensError that says what is wrong.

The format is decided by the bytes, not by the file's name. Sizes are checked before anything is decoded.
"""

import hashlib
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lunglens._dicom import check_size, decode_dicom, looks_like_dicom, number, value
from lunglens.errors import LungLensError, NotAChestRadiographError, UnreadableImageError

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
_NOISY_LOGGERS = ("pydicom", "PIL", "openjpeg", "jpeg_ls")


@dataclass(frozen=True)
class Limits:
    """What a file may cost, checked before it is decoded: its bytes (inflated too) and its pixels."""

    max_bytes: int = 512 * 1024**2
    max_pixels: int = 100_000_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One gray radiograph and what its file says of it; never a patient's name, number or dates.

    pixels: float32 (H, W) in 0..1, bright = dense (the sense of MONOCHROME2). PNG, JPEG and TIFF: linear over
    the stored range; DICOM: after the modality and VOI transformations.
    sha256: of the file's bytes, '' for an array. file_format: DICOM, PNG, JPEG, TIFF or array. bits: bits stored.
    spacing_mm: (between rows, between columns) in mm from the element `spacing_source`; ImagerPixelSpacing is
    measured at the detector, so the body is smaller by the unknown magnification.
    view, laterality, sex, body_part, modality: as in the header, upper case; None where absent.
    notes: what was done to the pixels, and what is odd.
    """

    pixels: NDArray[np.float32]
    sha256: str
    file_format: str
    bits: int
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    view: str | None = None
    laterality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    body_part: str | None = None
    modality: str | None = None
    notes: tuple[str, ...] = ()


def read_radiograph(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Radiograph:
    """Read a DICOM, PNG, JPEG or TIFF file as one gray radiograph.

    DICOM follows PS3.3 C.11.1 (modality LUT or rescale), C.11.2 (VOI LUT or window; without either, min..max of
    the pixels that are no padding, C.7.5.1.1.2) and then turns MONOCHROME1 round (C.7.6.3.1.2).

    Raises UnreadableImageError where the file cannot be read, and NotAChestRadiographError where its header says
    that it is of another modality or body part, or has several frames. Nothing else, and nothing is printed.
    """
    file = Path(path)
    try:
        with _quiet():
            return _decode(_read_bytes(file, limits.max_bytes), limits)
    except LungLensError as error:
        raise type(error)(f"{file.name}: {error}") from error.__cause__
    except Exception as error:  # a decoder can throw anything at damaged data: struct.error, SyntaxError, MemoryError
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UnreadableImageError(
            f"{file.name}: it is damaged, truncated or of an unsupported kind ({reason}). Copy or export it again."
        ) from error


def radiograph_from_array(array: NDArray[Any], spacing_mm: tuple[float, float] | None = None) -> Radiograph:
    """Radiograph of an array (H, W) or (H, W, 3), bright = dense, H and W at least 64.

    uint8 and uint16 are divided by 255 and 65535; floats in 0..1 are kept, others scaled by their min..max.
    Three channels become their luma (ITU-R BT.601). Raises UnreadableImageError for any other shape or type,
    and for values that are not finite.
    """
    array = np.asarray(array)
    notes: list[str] = []
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise UnreadableImageError(f"array: shape {array.shape}; give (H, W) or (H, W, 3).")
    if array.dtype not in (np.uint8, np.uint16) and not np.issubdtype(array.dtype, np.floating):
        raise UnreadableImageError(f"array: type {array.dtype}; give uint8, uint16 or floating point.")
    try:
        check_size(array.shape[0], array.shape[1], DEFAULT_LIMITS.max_pixels)
        pixels = _scale(array, notes)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"array: {error}") from None
    if array.ndim == 3:
        notes.append("colour image converted to gray")
        pixels = _luma(pixels)
    return Radiograph(pixels, "", "array", 8 * array.dtype.itemsize, spacing_mm, notes=tuple(notes))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's and Pillow's warnings and log lines from the user; what matters becomes a note or an error."""
    loggers = [logging.getLogger(name) for name in _NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


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


def _read_bytes(file: Path, max_bytes: int) -> bytes:
    try:
        if file.is_dir():
            raise UnreadableImageError("this is a folder. Give the image file itself.")
        if not stat.S_ISREG(file.stat().st_mode):
            raise UnreadableImageError("this is no regular file. Save the image to a file first.")  # a pipe would hang
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise UnreadableImageError("no such file. Check its name and folder.") from error
    except PermissionError as error:
        raise UnreadableImageError("no permission to read it. Change its permissions, or copy it.") from error
    if not data:
        raise UnreadableImageError("the file is empty. Copy or export it again.")
    if len(data) > max_bytes:
        raise UnreadableImageError(f"more than the {max_bytes} bytes allowed. Raise the byte limit if you trust it.")
    return data


def _decode(data: bytes, limits: Limits) -> Radiograph:
    digest = hashlib.sha256(data).hexdigest()
    # DICOM first: a DICOM file may begin with a TIFF header in its preamble (PS3.10 7.1).
    if looks_like_dicom(data):
        return _from_dicom(data, digest, limits)
    for signature, file_format in _SIGNATURES.items():
        if data.startswith(signature):
            with _silent_stderr() if file_format == "TIFF" else nullcontext():
                return _from_raster(data, digest, file_format, limits)
    raise UnreadableImageError("it is no DICOM, PNG, JPEG or TIFF file. Export the radiograph as one of these.")


def _scale(array: NDArray[Any], notes: list[str], full_scale: int | None = None) -> NDArray[np.float32]:
    """Values to 0..1: by their full scale where integers have one, else by min..max where they leave 0..1."""
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array.astype(np.float32) / np.float32(full_scale or 256**array.dtype.itemsize - 1)
    if not np.isfinite(array).all():
        raise UnreadableImageError("some values are not finite. Replace them.")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return array.astype(np.float32)
    notes.append("values scaled by their minimum and maximum")
    # Halves, because high - low of extreme doubles overflows.
    span = (high / 2 - low / 2) or 1.0
    return np.asarray(np.clip((array / 2 - low / 2) / span, 0, 1), np.float32)


def _luma(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    weights = np.asarray([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    return np.asarray(np.clip(colour @ weights, 0, 1), np.float32)


def _from_raster(data: bytes, digest: str, file_format: str, limits: Limits) -> Radiograph:
    from PIL import ImageOps

    notes: list[str] = []
    with _open(data, file_format) as image:
        check_size(image.height, image.width, limits.max_pixels)
        bits, orientation = _stored_bits(data, image), _orientation(image, notes)
        inverted = file_format == "TIFF" and image.mode == "I;16" and _tiff_tag(image, 262, 1) == 0
        _refuse_pages(data, file_format)
        if file_format == "PNG":
            _verify_png(data)
        image.load()
        upright = image if file_format == "TIFF" or orientation == 1 else ImageOps.exif_transpose(image)
        if orientation != 1:
            notes.append(f"EXIF orientation {orientation} applied")
        pixels = _scale(np.asarray(_gray_image(upright, bits, notes)), notes, 2**bits - 1 if 8 < bits < 16 else None)
    if inverted:  # Pillow turns WhiteIsZero round at 8 bits, but not at 16
        notes.append("WhiteIsZero inverted")
        pixels = 1 - pixels
    return Radiograph(pixels, digest, file_format, bits, notes=tuple(notes))


def _open(data: bytes, file_format: str) -> "Image":
    from PIL import Image

    try:
        return Image.open(BytesIO(data), formats=[file_format])  # reads the header only
    except Image.DecompressionBombError as error:
        raise UnreadableImageError("it has far too many px to be a radiograph. Give the original image.") from error


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


def _from_dicom(data: bytes, digest: str, limits: Limits) -> Radiograph:
    notes: list[str] = []
    stored, dataset, header = decode_dicom(data, limits.max_bytes, limits.max_pixels, notes)
    bits, photometric = int(dataset.BitsStored), str(dataset.PhotometricInterpretation)
    if photometric in ("MONOCHROME1", "MONOCHROME2"):
        pixels = _gray_values(stored, dataset, notes)
    else:
        from pydicom.pixels.processing import apply_color_lut

        palette = photometric == "PALETTE COLOR"
        colour = apply_color_lut(stored, dataset) if palette else stored
        notes.append(f"colour image ({photometric}) converted to gray")
        pixels = _luma(_scale(colour, notes, None if palette else 2**bits - 1))
    return Radiograph(pixels, digest, "DICOM", bits, **vars(header), notes=tuple(notes))


def _gray_values(stored: NDArray[Any], dataset: Any, notes: list[str]) -> NDArray[np.float32]:
    """Stored values (H, W) -> 0..1: the transformations act value by value, so they are worked out once a level."""
    low = int(stored.min())
    index = stored.astype(np.int32) - low
    levels = np.arange(low, int(stored.max()) + 1, dtype=np.float64)
    present = np.zeros(levels.size, np.bool_)
    present[index] = True
    padding = number(dataset, "PixelPaddingValue")
    if padding is not None:
        other = number(dataset, "PixelPaddingRangeLimit")
        ends = sorted((padding, padding if other is None else other))
        unpadded = present & ~((levels >= ends[0]) & (levels <= ends[1]))
        present = unpadded if unpadded.any() else present
    shown = _voi(_modality(levels, dataset, notes), present, dataset, notes)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        notes.append("MONOCHROME1 inverted")
        shown = 1 - shown
    return shown.astype(np.float32)[index]


def _modality(levels: NDArray[np.float64], dataset: Any, notes: list[str]) -> NDArray[np.float64]:
    """Modality LUT, or else rescale slope and intercept (PS3.3 C.11.1.1)."""
    item = value(dataset, "ModalityLUTSequence") and dataset.ModalityLUTSequence[0]
    if item:
        notes.append("modality LUT applied")
        return _look_up(levels, item, dataset)[0]
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0) and "RescaleSlope" in dataset:
        notes.append("RescaleSlope is not usable and was ignored")
    return levels * (slope or 1.0) + (intercept or 0.0)


def _voi(
    values: NDArray[np.float64], present: NDArray[np.bool_], dataset: Any, notes: list[str]
) -> NDArray[np.float64]:
    """VOI LUT, or else the window, or else min..max of the values present (PS3.3 C.11.2.1), as 0..1."""
    item = value(dataset, "VOILUTSequence") and dataset.VOILUTSequence[0]
    shown, source = None, ""
    if item:
        source = "VOI LUT"
        table, full_scale = _look_up(values, item, dataset)
        shown = np.clip(table / full_scale, 0, 1)
    elif "WindowCenter" in dataset or "WindowWidth" in dataset:
        shown, source = _window(values, dataset), "window"
    low, high = float(values[present].min()), float(values[present].max())
    # A window or LUT that shows every pixel alike is a mistake in the header, and would lose the image.
    if shown is not None and (np.ptp(shown[present]) > 0 or low == high):
        notes.append(f"{source} applied")
        return shown
    notes.append(f"{'unusable ' + source if source else 'no VOI LUT or window'}: scaled by minimum and maximum")
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def _window(values: NDArray[np.float64], dataset: Any) -> NDArray[np.float64] | None:
    """Window of PS3.3 C.11.2.1.2 and C.11.2.1.3 as 0..1; None where its width or centre is unusable."""
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
    if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500))))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)


def _look_up(values: NDArray[np.float64], item: Any, dataset: Any) -> tuple[NDArray[np.float64], float]:
    """Values through one LUT item (PS3.3 C.11.1.1.1, C.11.2.1.1), clamped at its ends; and its full scale."""
    entries, first, bits = (int(part) for part in item.LUTDescriptor)
    entries = (entries & 0xFFFF) or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        wide = "<u2" if dataset.original_encoding[1] else ">u2"
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else wide)
    table = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not table.size or not 8 <= bits <= 16:
        raise UnreadableImageError("its lookup table is damaged. Export the image again, without a lookup table.")
    index = np.clip(np.round(values) - first, 0, table.size - 1).astype(np.int64)
    # Some writers state 16 bits for a table of 12, or the reverse; the table's own top is then full scale.
    top, nominal = float(table.max()), float(2**bits - 1)
    return table[index], nominal if nominal / 2 < top <= nominal else max(top, 1.0)
