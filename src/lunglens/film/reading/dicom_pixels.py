"""The stored pixel values of a parsed DICOM file, whatever way they are packed."""

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import DecoderDiedError, DecoderNotStartedError, UnreadableImageError
from lunglens.film.language import say
from lunglens.film.reading.apart import decode_apart
from lunglens.film.reading.codestream import Codestream, inspect, is_encapsulated, joined_fragments
from lunglens.film.reading.dicom_file import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    integer,
    note,
    number,
    overlay_bit,
    photometric,
)
from lunglens.film.reading.values import check_size

_NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
_RLE = "1.2.840.10008.1.2.5"
# Which kind of codestream a transfer syntax promises; the codestream itself decides.
_SYNTAXES = {
    "JPEG": (50, 51),
    "JPEG lossless": (57, 70),
    "JPEG-LS": (80, 81),
    "JPEG 2000": (90, 91, 201, 202, 203),
}
_PROMISED = {f"1.2.840.10008.1.2.4.{number}": kind for kind, numbers in _SYNTAXES.items() for number in numbers}
# The first is tried first. pylibjpeg-libjpeg (GPL) is in none of them, even where a user happens to have it.
_DECODERS = {
    "JPEG": ("pillow", "gdcm"),
    "JPEG lossless": ("gdcm", "pillow"),
    "JPEG-LS": ("pyjpegls", "gdcm"),
    "JPEG 2000": ("gdcm", "pillow"),
}
_GRAY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_")


def read_stored(dataset: Any, max_pixels: int) -> NDArray[Any]:
    """Stored values (H, W), or colour (H, W, 3) as RGB, of a parsed data set.

    Sets the data set's BitsStored and PixelRepresentation to what was found where its pixels say otherwise.

    Raises UnreadableImageError (DecoderDiedError where the pixels end their decoder), or whatever pydicom throws, where
    they cannot be read.
    """
    pixel_data = dataset.get("PixelData")
    if not pixel_data:
        raise UnreadableImageError("it holds no Pixel Data, or ends before them. Choose or export the image itself.")
    _require_sense(dataset, max_pixels)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if is_encapsulated(pixel_data) or (syntax not in _NATIVE and inspect(pixel_data)):
        return _decode_frame(dataset, syntax, joined_fragments(pixel_data), max_pixels)
    if syntax not in _NATIVE:
        if syntax not in _PROMISED and syntax != _RLE:
            raise _unsupported(syntax)
        note(dataset, say("the pixels are not compressed, although the header says so"))
        dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return _native(dataset)


def _require_sense(dataset: Any, max_pixels: int) -> None:
    """Check all that the header promises before a decoder sees any of it (PS3.3 C.7.6.3); what can be mended is."""
    rows, columns, allocated = (integer(dataset, key) for key in ("Rows", "Columns", "BitsAllocated"))
    check_size(rows, columns, max_pixels)
    usual_values = {"SamplesPerPixel": 1, "BitsStored": allocated, "PixelRepresentation": 0}
    if number(dataset, "SamplesPerPixel") == 3:
        usual_values["PlanarConfiguration"] = 0
    for keyword, usual in usual_values.items():
        if number(dataset, keyword) is None:
            setattr(dataset, keyword, usual)
            note(dataset, say("{keyword} is missing or malformed: taken for {usual}", keyword=keyword, usual=usual))
    samples, stored = integer(dataset, "SamplesPerPixel"), integer(dataset, "BitsStored")
    if samples not in (1, 3) or allocated not in (1, 8, 16) or not 1 <= stored <= allocated:
        raise UnreadableImageError(
            f"{samples} samples of {stored} bits in {allocated} are not supported. "
            "Export the image with 8 to 16 bits a pixel."
        )
    if not stored <= integer(dataset, "HighBit", stored - 1) + 1 <= allocated:
        note(dataset, say("HighBit makes no sense and was ignored"))
        dataset.HighBit = stored - 1
    kind = photometric(dataset)
    if (samples == 1 and kind not in _GRAY) or (samples == 3 and not kind.startswith(_COLOUR)):
        dataset.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
        note(
            dataset,
            say("PhotometricInterpretation makes no sense: taken for {taken}", taken=dataset.PhotometricInterpretation),
        )
    dataset.NumberOfFrames = 1


def _native(dataset: Any) -> NDArray[Any]:
    from pydicom.pixels.utils import get_expected_length, pixel_array

    expected, there = get_expected_length(dataset), len(dataset.PixelData)
    if there < expected:
        raise UnreadableImageError(
            f"truncated: {there} of {expected} bytes of Pixel Data are there. Copy or export the file again."
        )
    if there > expected + expected % 2:
        note(dataset, say("more Pixel Data than the header states; the rest was ignored"))
    if int(dataset.SamplesPerPixel) == 3 or int(dataset.BitsAllocated) == 1:
        return np.asarray(pixel_array(dataset, index=0))
    order = ">" if str(dataset.file_meta.TransferSyntaxUID) == BIG_ENDIAN else "<"
    size = int(dataset.BitsAllocated) // 8
    count = int(dataset.Rows) * int(dataset.Columns)
    stored = np.frombuffer(dataset.PixelData, f"{order}u{size}", count).astype(f"u{size}", copy=False)
    return _justified(stored.reshape(int(dataset.Rows), int(dataset.Columns)), dataset)


def _justified(stored: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """Values (H, W) out of their cells: moved down where the high bit is above BitsStored - 1, signed (PS3.5 8.1.1)."""
    bits, top = int(dataset.BitsStored), int(stored.max())
    shift = integer(dataset, "HighBit", bits - 1) + 1 - bits
    if shift and top < 2**bits:
        note(dataset, say("the header says that the values are justified to a higher bit, which they are not"))
    elif shift:
        note(
            dataset, say("values justified to bit {bit} moved down by {shift} bits", bit=bits - 1 + shift, shift=shift)
        )
        stored = stored >> shift
    if number(dataset, "PixelRepresentation") == 1:
        return _with_sign(stored, bits)
    if overlay_bit(dataset) >= bits + shift:
        return np.asarray(stored & (2**bits - 1))
    if top >> shift >= 2**bits:
        note(dataset, say("values go beyond the {bits} bits that the header states", bits=bits))
        dataset.BitsStored = int(top >> shift).bit_length()
    return stored


def _with_sign(stored: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Two's complement of `bits` bits; what lies in the bits above them does not count."""
    half = 1 << (bits - 1)
    return (stored.astype(np.int32) & (2 * half - 1) ^ half) - half


def _decode_frame(dataset: Any, syntax: str, frame: bytes, max_pixels: int) -> NDArray[Any]:
    stream = inspect(frame)
    if stream is None:
        if syntax != _RLE and not _looks_like_rle(frame, integer(dataset, "SamplesPerPixel")):
            raise _damaged() if syntax in _PROMISED else _unsupported(syntax)
        if syntax != _RLE:
            note(dataset, say("the pixels are RLE, although the header names another transfer syntax"))
        return _rle(dataset, frame)
    if _PROMISED.get(syntax) != stream.kind:
        note(dataset, say("the pixels are {kind}, although the header names another transfer syntax", kind=stream.kind))
    header = tuple(integer(dataset, key) for key in ("Rows", "Columns", "SamplesPerPixel"))
    found = (stream.rows, stream.columns, stream.samples)
    if found != header:
        raise UnreadableImageError(
            f"its compressed data say rows, columns, samples {found}, its header {header}. "
            "The file is damaged; export it again."
        )
    check_size(stream.rows, stream.columns, max_pixels)
    return _as_header_says(_decoded(stream), stream, dataset)


def _decoded(stream: Codestream) -> NDArray[Any]:
    how = {name: getattr(stream, name) for name in ("kind", "rows", "columns", "samples", "bits", "is_signed")}
    failures: list[UnreadableImageError] = []
    for decoder in _DECODERS[stream.kind]:
        try:
            return decode_apart("codestream", stream.data, how | {"decoder": decoder})[0]
        except DecoderNotStartedError:
            raise
        except UnreadableImageError as error:
            failures.append(error)
    # A death is what counts against a file; else the words that fit pixels.
    raise next((error for error in failures if isinstance(error, DecoderDiedError)), _damaged())


def _as_header_says(values: NDArray[Any], stream: Codestream, dataset: Any) -> NDArray[Any]:
    """Give unsigned codes their sign where the header says that they have one, and note other differences."""
    stored = int(dataset.BitsStored)
    if stream.bits < stored:
        note(
            dataset, say("the pixels have {bits} bits, not the {stored} of the header", bits=stream.bits, stored=stored)
        )
        dataset.BitsStored = stored = stream.bits
    signed = number(dataset, "PixelRepresentation") == 1
    return _with_sign(values, stored) if signed and not stream.is_signed and values.ndim == 2 else values


def _rle(dataset: Any, frame: bytes) -> NDArray[Any]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.utils import pixel_array

    _check_rle(frame, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    dataset.file_meta.TransferSyntaxUID = _RLE
    dataset.PixelData = encapsulate([frame])
    return np.asarray(pixel_array(dataset, index=0, decoding_plugin="pydicom"))


def _looks_like_rle(frame: bytes, samples: int) -> bool:
    """Whether a frame begins with an RLE header: 16 numbers, of which those in use rise from 64 (PS3.5 G.5)."""
    if len(frame) < 64:
        return False
    count, *offsets = struct.unpack_from("<16L", frame)
    if count not in (samples, 2 * samples):
        return False
    used, rest = offsets[:count], offsets[count:]
    return used[0] == 64 and used == sorted(set(used)) and used[-1] < len(frame) and not any(rest)


def _check_rle(frame: bytes, rows: int, columns: int, samples: int) -> None:
    """Measure what each segment expands to (PS3.5 G.3), which a decoder would only learn by filling memory."""
    count, *offsets = struct.unpack_from("<16L", frame)
    ends = [*offsets[1:count], len(frame)]
    if count not in (samples, 2 * samples):
        raise UnreadableImageError("its RLE header is damaged. Copy or export the file again.")
    for start, end in zip(offsets[:count], ends, strict=True):
        size, at, stop = 0, start, min(end, len(frame))
        while at < stop and size <= 2 * rows * columns:
            code = frame[at]
            at += 2 if code > 128 else code + 2 if code < 128 else 1
            size += 257 - code if code > 128 else code + 1 if code < 128 else 0
        if not rows * columns <= size <= 2 * rows * columns:
            raise UnreadableImageError("its RLE data are truncated or damaged. Copy or export the file again.")


def _damaged() -> UnreadableImageError:
    return UnreadableImageError("its compressed pixels are damaged or truncated. Copy or export the file again.")


def _unsupported(syntax: str) -> UnreadableImageError:
    # What is no UID is not repeated: it may hold anything.
    name = f" {syntax}" if re.fullmatch(r"[\d.]{1,64}", syntax) else ""
    return UnreadableImageError(
        f"its transfer syntax{name} is not supported. Export it uncompressed, or as JPEG 2000, JPEG-LS or RLE."
    )
