"""The stored pixel values of a parsed DICOM file, each transfer syntax by its one decoder."""

import os
import struct
import subprocess
import sys
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import UnreadableImageError
from lunglens.reading.dicom_file import BIG_ENDIAN, EXPLICIT, IMPLICIT, integer, value
from lunglens.reading.values import check_size

_RLE = "1.2.840.10008.1.2.5"
# Each compressed transfer syntax has one decoder, named outright: left to choose, pydicom would take
# pylibjpeg-libjpeg (GPL) where a user happens to have it.
_DECODERS = {
    IMPLICIT: "",
    EXPLICIT: "",
    BIG_ENDIAN: "",
    _RLE: "pydicom",
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "gdcm",
    "1.2.840.10008.1.2.4.91": "gdcm",
}
_GDCM_SECONDS = 180
_GDCM_PROGRAM = """
import sys
from io import BytesIO
import numpy as np
from pydicom.pixels.utils import pixel_array
file, found = BytesIO(sys.stdin.buffer.read()), BytesIO()
np.save(found, pixel_array(file, index=0, number_of_frames=1, decoding_plugin="gdcm"))
sys.stdout.buffer.write(found.getvalue())
"""


def read_stored(dataset: Any, file: bytes, max_pixels: int, notes: list[str]) -> NDArray[Any]:
    """Stored values (H, W), or colour (H, W, 3), of the data set parsed from `file`; adds to `notes`.

    Raises UnreadableImageError, or whatever a decoder throws, where they cannot be read.
    """
    _require_pixels(dataset, file, max_pixels)
    return _decode_pixels(dataset, file, notes)


def _require_pixels(dataset: Any, data: bytes, max_pixels: int) -> None:
    """Check all that the header promises before a decoder sees any of it (PS3.3 C.7.6.3)."""
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in _DECODERS:
        raise UnreadableImageError(
            f"transfer syntax {syntax} is not supported. Export it uncompressed, or as JPEG 2000, JPEG-LS or RLE."
        )
    if not dataset.get("PixelData"):
        if b"\xe0\x7f\x10\x00" in data or b"\x7f\xe0\x00\x10" in data:  # pydicom gives up on all at an early end
            raise UnreadableImageError("its Pixel Data are truncated or damaged. Copy or export the file again.")
        raise UnreadableImageError("it holds no Pixel Data, or ends before them. Choose or export the image itself.")
    rows, columns, samples = (integer(dataset, key) for key in ("Rows", "Columns", "SamplesPerPixel"))
    check_size(rows, columns, max_pixels)
    allocated, stored = integer(dataset, "BitsAllocated"), integer(dataset, "BitsStored")
    high = integer(dataset, "HighBit", stored - 1)
    if samples not in (1, 3) or allocated not in (1, 8, 16) or not 1 <= stored <= allocated or high != stored - 1:
        raise UnreadableImageError(
            f"{samples} samples of {stored} bits in {allocated} (high bit {high}) are not supported. "
            "Export the image with 8 to 16 bits a pixel."
        )
    photometric = str(value(dataset, "PhotometricInterpretation"))
    if (samples == 1) != (photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")):
        raise UnreadableImageError(
            f"photometric interpretation {photometric} with {samples} samples makes no sense. Export the image again."
        )
    dataset.NumberOfFrames = 1


def _decode_pixels(dataset: Any, file: bytes, notes: list[str]) -> NDArray[Any]:
    """Stored values as (H, W) or (H, W, 3), the decoder chosen by `_DECODERS`."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels.utils import get_expected_length, pixel_array

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    expected, data = get_expected_length(dataset), dataset.PixelData
    if not _DECODERS[syntax]:
        if len(data) < expected:
            raise UnreadableImageError(
                f"truncated: {len(data)} of {expected} bytes of Pixel Data are there. Copy or export the file again."
            )
        if len(data) > expected + expected % 2:
            notes.append("more Pixel Data than the header states; the rest was ignored")
    else:
        frame = next(generate_frames(data, number_of_frames=1))
        check = _check_rle if syntax == _RLE else _check_codestream
        check(frame, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    if _DECODERS[syntax] == "gdcm":
        return _decode_apart(file)
    return np.asarray(pixel_array(dataset, decoding_plugin=_DECODERS[syntax]))


def _decode_apart(file: bytes) -> NDArray[Any]:
    """Decode with GDCM in a process of its own: at some damaged JPEG data it aborts, which no `except` can catch."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, "-c", _GDCM_PROGRAM]
    result = subprocess.run(  # noqa: S603 - a constant program of this module; the file is only its input
        command, input=file, capture_output=True, env=environment, timeout=_GDCM_SECONDS, check=False
    )
    if result.returncode:
        raise UnreadableImageError("its compressed pixels are damaged or truncated. Copy or export the file again.")
    return np.asarray(np.load(BytesIO(result.stdout), allow_pickle=False))


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


def _check_codestream(frame: bytes, rows: int, columns: int, samples: int) -> None:
    # A codestream has a size of its own, and the decoders believe that one, not the DICOM header.
    found = _codestream_shape(frame)
    if found != (rows, columns, samples):
        raise UnreadableImageError(
            f"its compressed data say rows, columns, samples {found}, its header {(rows, columns, samples)}. "
            "The file is damaged; export it again."
        )


def _codestream_shape(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) of a JPEG, JPEG-LS (SOF marker) or JPEG 2000 (SIZ marker) codestream."""
    size = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if size >= 0:
        right, bottom, left, top = struct.unpack_from(">4L", frame, size + 8)
        return bottom - top, right - left, struct.unpack_from(">H", frame, size + 40)[0]
    at = 2
    while frame[at : at + 1] == b"\xff":
        marker, length = struct.unpack_from(">BH", frame, at + 1)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width, components = struct.unpack_from(">HHB", frame, at + 5)
            return height, width, components
        at += 2 + length
    return None
