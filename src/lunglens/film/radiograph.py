"""Any file -> one gray radiograph in 0..1, bright = dense; or a LungLensError that says what is wrong.

The format is decided by the bytes, not by the file's name. Sizes are checked before anything is decoded.
"""

import hashlib
import logging
import stat
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import LungLensError, UnreadableImageError
from lunglens.film.language import say
from lunglens.film.orientation import Orientation, read_orientation
from lunglens.film.reading.apart import decode_apart
from lunglens.film.reading.dicom_file import notes_of, parse, photometric, values
from lunglens.film.reading.dicom_gray import to_gray
from lunglens.film.reading.dicom_header import Header, read_header
from lunglens.film.reading.dicom_kind import refuse_other_kinds
from lunglens.film.reading.dicom_pixels import read_stored
from lunglens.film.reading.jsrt_img import BITS, SIDE_PX, SPACING_MM, looks_like_jsrt, read_jsrt
from lunglens.film.reading.kinds import looks_like_dicom, raster_format
from lunglens.film.reading.quiet import quiet
from lunglens.film.reading.values import check_size, luma, scale

log = logging.getLogger("lunglens.film.reading")


@dataclass(frozen=True)
class Limits:
    """What a file may cost, checked before it is decoded: its bytes (inflated too) and its pixels."""

    max_bytes: int = 512 * 1024**2
    max_pixels: int = 100_000_000


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class Radiograph(Header):
    """One gray radiograph and what its file says of it (`Header`); never a patient's name, number or dates.

    pixels: float32 (H, W) in 0..1, bright = dense (the sense of MONOCHROME2). PNG, JPEG, TIFF and arrays: linear
    between their least and greatest value; DICOM: after the modality and VOI transformations.
    sha256: of the file's bytes, '' for an array. file_format: DICOM, PNG, JPEG, TIFF, JSRT or array. bits: bits stored.
    doubt (of the header): the gate then asks more of the pixels. notes: what was done to the pixels, and what is odd.
    to_display: how the pixels, which are as stored, are turned into the usual display; None where the file is silent.
    stored: (H, W), the file's own values, before any transformation (of colour the gray); None where nobody asked.
    """

    pixels: NDArray[np.float32]
    sha256: str
    file_format: str
    bits: int
    notes: tuple[str, ...] = ()
    to_display: Orientation | None = None
    stored: NDArray[Any] | None = None


def read_radiograph(
    file: "str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes]",
    limits: Limits = _DEFAULT_LIMITS,
    *,
    keep_stored: bool = False,
) -> Radiograph:
    """Read a DICOM, PNG, JPEG or TIFF file, or one of the JSRT database (.IMG), as one gray radiograph.

    file: its path, its bytes, or an object open for reading them. keep_stored: keep the file's own values too.

    DICOM follows PS3.3 C.11.1 (modality LUT or rescale), C.11.2 (VOI LUT or window; without either, min..max of
    the pixels that are no padding, C.7.5.1.1.2) and then turns MONOCHROME1 round (C.7.6.3.1.2).

    Raises UnreadableImageError where the file cannot be read, and NotAChestRadiographError where its header says
    that it is of another modality, raw detector data, or has several frames. Nothing else, and nothing is printed.

    >>> read_radiograph(b"no picture")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    lunglens.errors.UnreadableImageError: bytes: it is no DICOM, PNG, JPEG or TIFF file. ...
    """
    if isinstance(file, str | PathLike):
        file = Path(file)
    name = file.name if isinstance(file, Path) else "bytes"
    try:
        with quiet("pydicom"):
            film, stored = _decode(_read_bytes(file, limits.max_bytes), limits)
            return replace(film, stored=stored) if keep_stored else film
    except LungLensError as error:
        raise type(error)(f"{name}: {error}", **vars(error)) from error.__cause__
    except Exception as error:  # pydicom can throw anything at damaged data: struct.error, KeyError, RecursionError
        log.debug("%s while reading", type(error).__name__)
        raise UnreadableImageError(
            f"{name}: it is damaged, truncated or of an unsupported kind. Copy or export it again."
        ) from error


def radiograph_from_array(array: NDArray[Any], spacing_mm: tuple[float, float] | None = None) -> Radiograph:
    """Radiograph of an array of any numbers, signed ones too, bright = dense, H and W at least 64.

    The values are scaled by their own least and greatest, whatever their type could hold. The shape is (H, W),
    (1, H, W), (H, W, 1), (H, W, 3), whose channels become their luma (ITU-R BT.601), or (H, W, 4), whose last channel,
    the opacity, is left out. Raises UnreadableImageError for any other, and for values that are not finite numbers.

    >>> film = radiograph_from_array(np.arange(-4096, 4096).reshape(1, 64, 128))
    >>> film.pixels.shape, film.pixels.min(), film.pixels.max()
    ((64, 128), np.float32(0.0), np.float32(1.0))
    """
    given = np.asarray(array)
    array = given[0] if given.ndim == 3 and given.shape[0] == 1 else given
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    array = array[..., :3] if array.ndim == 3 and array.shape[2] == 4 else array
    notes: tuple[str, ...] = ()
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise UnreadableImageError(
            f"array: shape {given.shape}; give (H, W), (1, H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a list of them."
        )
    if array.dtype.kind not in "buif":
        raise UnreadableImageError(f"array: type {array.dtype}; give integers or floating point.")
    try:
        check_size(array.shape[0], array.shape[1], _DEFAULT_LIMITS.max_pixels)
        pixels = scale(array)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"array: {error}") from None
    if array.ndim == 3:
        notes = (say("colour image converted to gray"),)
        pixels = luma(pixels)
    return Radiograph(pixels, "", "array", 8 * array.dtype.itemsize, notes, spacing_mm=spacing_mm)


def _read_bytes(file: "Path | bytes | bytearray | memoryview | IO[bytes]", max_bytes: int) -> bytes:
    data = _of_path(file, max_bytes) if isinstance(file, Path) else _of_memory(file, max_bytes)
    if not data:
        raise UnreadableImageError("the file is empty. Copy or export it again.")
    if len(data) > max_bytes:
        raise UnreadableImageError(f"more than the {max_bytes} bytes allowed. Raise the byte limit if you trust it.")
    return data


def _of_memory(file: "bytes | bytearray | memoryview | IO[bytes]", max_bytes: int) -> bytes:
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    data = file.read(max_bytes + 1)
    if not isinstance(data, bytes):
        raise UnreadableImageError("the file is open for reading text. Open it for reading bytes (mode 'rb').")
    return data


def _of_path(file: Path, max_bytes: int) -> bytes:
    try:
        if file.is_dir():
            raise UnreadableImageError("this is a folder. Give the image file itself.")
        if not stat.S_ISREG(file.stat().st_mode):
            raise UnreadableImageError("this is no regular file. Save the image to a file first.")  # a pipe would hang
        with file.open("rb") as stream:
            # No more than it is long: what is asked for is set aside at once, and counts where memory is limited.
            return stream.read(min(file.stat().st_size, max_bytes) + 1)
    except FileNotFoundError as error:
        raise UnreadableImageError("no such file. Check its name and folder.") from error
    except PermissionError as error:
        raise UnreadableImageError("no permission to read it. Change its permissions, or copy it.") from error


def _decode(data: bytes, limits: Limits) -> tuple[Radiograph, NDArray[Any]]:
    """The radiograph, and the file's own values."""
    digest = hashlib.sha256(data).hexdigest()
    # DICOM first: a DICOM file may begin with a TIFF header in its preamble (PS3.10 7.1).
    if looks_like_dicom(data):
        return _from_dicom(data, digest, limits)
    file_format = raster_format(data)
    if file_format is None and looks_like_jsrt(data):
        check_size(SIDE_PX, SIDE_PX, limits.max_pixels)
        header = Header(spacing_mm=(SPACING_MM, SPACING_MM), spacing_source="JSRT database", spacing_plane="detector")
        values = read_jsrt(data)
        return Radiograph(1 - values / np.float32(2**BITS - 1), digest, "JSRT", BITS, **vars(header)), values
    if file_format is None:
        raise UnreadableImageError("it is no DICOM, PNG, JPEG or TIFF file. Export the radiograph as one of these.")
    stored, facts = decode_apart("picture", data, {"format": file_format, "max_pixels": limits.max_pixels})
    return Radiograph(scale(stored), digest, file_format, facts["bits"], notes=tuple(facts["notes"])), stored


def _from_dicom(data: bytes, digest: str, limits: Limits) -> tuple[Radiograph, NDArray[Any]]:
    dataset = parse(data, limits.max_bytes)
    header = read_header(dataset)
    refuse_other_kinds(dataset)
    stored = read_stored(dataset, limits.max_pixels)
    pixels = to_gray(stored, dataset)
    stated = read_orientation(values(dataset, "PatientOrientation"))
    facts = vars(header) | {
        "warnings": (*header.warnings, *filter(None, [stated.warning])),
        "notes": (*notes_of(dataset), *filter(None, [stated.note])),
        "to_display": stated.orientation,
    }
    is_gray = photometric(dataset).startswith("MONOCHROME")
    return Radiograph(pixels, digest, "DICOM", int(dataset.BitsStored), **facts), stored if is_gray else pixels
