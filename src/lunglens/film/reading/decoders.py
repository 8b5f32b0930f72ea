"""What runs in the decoding process: one picture's or codestream's bytes -> its stored values.

Everything that is written in C and meets a file's bytes is called here and nowhere else.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import UnreadableImageError

_GDCM_SYNTAXES = {
    "JPEG": "1.2.840.10008.1.2.4.51",
    "JPEG lossless": "1.2.840.10008.1.2.4.57",
    "JPEG-LS": "1.2.840.10008.1.2.4.81",
    "JPEG 2000": "1.2.840.10008.1.2.4.91",
}


def decode_codestream(data: bytes, how: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Stored values (H, W) or (H, W, 3) of a codestream by `how["decoder"]`: "gdcm", "pillow" or "pyjpegls".

    how: also kind, rows, columns, samples, bits, is_signed, as in `Codestream`.

    Raises UnreadableImageError, or whatever a decoder throws, where it cannot be read.
    """
    decode = {"gdcm": _by_gdcm, "pillow": _by_pillow, "pyjpegls": _by_pyjpegls}[how["decoder"]]
    values = decode(data, how)
    if values.shape != _shape(how):
        raise UnreadableImageError("its compressed pixels are damaged. Copy or export the file again.")
    return values, {}


def _by_gdcm(data: bytes, how: dict[str, Any]) -> NDArray[Any]:
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(data)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((how["columns"], how["rows"], 1))
    image.SetDataElement(element)
    photometric = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2" if how["samples"] == 1 else "RGB")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(_GDCM_SYNTAXES[how["kind"]])))
    allocated = 8 if how["bits"] <= 8 else 16
    image.SetPixelFormat(
        gdcm.PixelFormat(how["samples"], allocated, how["bits"], how["bits"] - 1, int(how["is_signed"]))
    )
    # GDCM hands its bytes out as text.
    values = np.frombuffer(
        image.GetBuffer().encode("utf-8", "surrogateescape"), f"<{'i' if how['is_signed'] else 'u'}{allocated // 8}"
    )
    return values.reshape(_shape(how))


def _by_pillow(data: bytes, how: dict[str, Any]) -> NDArray[Any]:
    from PIL import Image

    with Image.open(BytesIO(data), formats=["JPEG", "JPEG2000"]) as image:
        values = np.asarray(image.convert("RGB") if how["samples"] == 3 else image)
    # Pillow stretches 9 to 15 bits to 16, and moves signed values up.
    if how["kind"] == "JPEG 2000" and 8 < how["bits"] < 16:
        values = values >> (16 - how["bits"])
    return values.astype(np.int32) - (1 << (how["bits"] - 1)) if how["is_signed"] else values


def _by_pyjpegls(data: bytes, how: dict[str, Any]) -> NDArray[Any]:
    import jpeg_ls

    buffer, facts = jpeg_ls.decode_pixel_data(data)
    values = np.frombuffer(buffer, np.uint8 if facts["bits_per_sample"] <= 8 else "<u2")
    if how["samples"] == 3 and facts["interleave_mode"] == 0:
        return np.moveaxis(values.reshape(3, how["rows"], how["columns"]), 0, -1)
    return values.reshape(_shape(how))


def _shape(how: dict[str, Any]) -> tuple[int, ...]:
    return (how["rows"], how["columns"], how["samples"])[: 2 if how["samples"] == 1 else 3]
