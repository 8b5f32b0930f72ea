"""Small valid files of every kind that LungLens reads, built in code from the example film, shrunk."""

import tempfile
import zlib
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from lunglens.film.preprocess import Floats, resize
from lunglens.film.radiograph import read_radiograph
from tests.fuzz.png import png_of
from tests.support.dicom_files import dataset_of, encoded, rg1, transcoded
from tests.support.pictures import picture

SIZE = 128


@cache
def seeds() -> dict[str, bytes]:
    """Name -> file. The names begin with the format: dicom, png, jpeg, tiff, jsrt."""
    return dict([*_dicom(), *_encapsulated(), *_png(), *_jpeg(), *_tiff(), ("jsrt", _jsrt())])


@cache
def _film() -> Floats:
    return resize(read_radiograph(rg1("UNCR")).pixels, SIZE, SIZE)


def _gray(bits: int) -> NDArray[Any]:
    pixels = np.rint(_film() * (2**bits - 1))
    return pixels.astype(np.uint8 if bits <= 8 else np.uint16)


def _colour() -> NDArray[np.uint8]:
    gray = _gray(8)
    return np.stack([gray, np.roll(gray, 1, 0), gray], axis=-1)


def _dicom() -> Iterator[tuple[str, bytes]]:
    plain = dataset_of(
        _gray(12),
        WindowCenter=2048,
        WindowWidth=4096,
        BodyPartExamined="CHEST",
        ViewPosition="PA",
        PatientAge="062Y",
        PatientOrientation=["L", "F"],
        PixelSpacing=[0.2, 0.2],
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("implicit", "big-endian", "deflated", "rle", "jpeg-ls", "jpeg-lossless", "jpeg2000"):
            yield f"dicom {kind}", transcoded(plain, kind, Path(folder))
    yield "dicom explicit", encoded(plain)
    yield "dicom bare", encoded(plain, preamble=False, implicit_vr=False, little_endian=True)
    yield "dicom monochrome1", encoded(dataset_of(_gray(16), 16, PhotometricInterpretation="MONOCHROME1"))
    yield "dicom rgb", encoded(dataset_of(_colour(), 8))
    yield "dicom palette", encoded(_palette())
    yield "dicom lut", encoded(_with_lut())


def _palette() -> Dataset:
    ramp = np.arange(256, dtype="<u2") * 257
    tables = {f"{name}PaletteColorLookupTableData": ramp.tobytes() for name in ("Red", "Green", "Blue")}
    sizes = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    return dataset_of(_gray(8), 8, PhotometricInterpretation="PALETTE COLOR", **tables, **sizes)


def _with_lut() -> Dataset:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 12], np.arange(4096, dtype="<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return dataset_of(_gray(12), VOILUTSequence=[item])


def _encapsulated() -> Iterator[tuple[str, bytes]]:
    gray, colour = Image.fromarray(_gray(8)), Image.fromarray(_colour())
    streams: dict[str, tuple[uid.UID, NDArray[Any], bytes]] = {
        "jpeg-baseline": (uid.JPEGBaseline8Bit, _gray(8), picture(gray, "JPEG", quality=90)),
        "jpeg-colour": (uid.JPEGBaseline8Bit, _colour(), picture(colour, "JPEG", quality=90)),
        "jpeg-extended": (uid.JPEGExtended12Bit, _gray(8), picture(gray, "JPEG", quality=90)),
        "jpeg2000-lossy": (uid.JPEG2000, _gray(8), _j2k(gray, irreversible=True)),
        "jpeg2000-colour": (uid.JPEG2000Lossless, _colour(), _j2k(colour)),
    }
    for name, (syntax, pixels, stream) in streams.items():
        dataset = dataset_of(pixels, 8)
        yield f"dicom {name}", encoded(_filled(dataset, syntax, encapsulate([stream])))
    two = picture(gray, "JPEG", quality=90)
    halves = encapsulate([two], fragments_per_frame=2)
    yield "dicom fragments", encoded(_filled(dataset_of(_gray(8), 8), uid.JPEGBaseline8Bit, halves))
    if extended := _twelve_bits():
        yield "dicom jpeg-extended-12", extended


def _filled(dataset: Dataset, syntax: uid.UID, pixel_data: bytes) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _j2k(image: Image.Image, **options: Any) -> bytes:
    return picture(image, "JPEG2000", no_jp2=True, **options)


def _twelve_bits() -> bytes | None:
    """A 12-bit JPEG Extended file, where the installed GDCM can write one."""
    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "plain.dcm", Path(folder) / "extended.dcm"
        source.write_bytes(encoded(dataset_of(_gray(12))))
        reader, changer, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(source))
        if not reader.Read():
            return None
        changer.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
        changer.SetInput(reader.GetImage())
        if not changer.Change():
            return None
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(changer.GetOutput())
        if not writer.Write():
            return None
        data = target.read_bytes()
    return data if dcmread(BytesIO(data)).file_meta.TransferSyntaxUID == uid.JPEGExtended12Bit else None


def _png() -> Iterator[tuple[str, bytes]]:
    gray, colour = Image.fromarray(_gray(8)), Image.fromarray(_colour())
    yield "png 1", picture(gray.convert("1"), "PNG")
    yield "png 8", picture(gray, "PNG")
    yield "png 16", picture(Image.fromarray(_gray(16)), "PNG")
    yield "png rgb", picture(colour, "PNG", dpi=(300, 300))
    yield "png rgba", picture(colour.convert("RGBA"), "PNG")
    yield "png gray-alpha", picture(gray.convert("LA"), "PNG")
    yield "png palette", picture(colour.quantize(16), "PNG", transparency=3)
    yield "png interlaced", _interlaced()


def _interlaced() -> bytes:
    """8 bits gray in Adam7's seven passes, unfiltered, which Pillow reads but does not write (PNG 8.2)."""
    pixels, rows = _gray(8), b""
    for top, left, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right])
    rows += b"".join(b"\0" + row.tobytes() for row in pixels[1::2])
    size = SIZE.to_bytes(4, "big")
    chunks = [(b"IHDR", size + size + b"\x08\0\0\0\1"), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return png_of(chunks)


def _jpeg() -> Iterator[tuple[str, bytes]]:
    gray, colour = Image.fromarray(_gray(8)), Image.fromarray(_colour())
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "jpeg gray", picture(gray, "JPEG", quality=90, exif=exif)
    yield "jpeg colour", picture(colour, "JPEG", quality=80, subsampling=2, comment=b"phantom")
    yield "jpeg progressive", picture(gray, "JPEG", progressive=True)
    yield "jpeg restarts", picture(gray, "JPEG", restart_marker_blocks=4)
    yield "jpeg cmyk", picture(colour.convert("CMYK"), "JPEG")


def _tiff() -> Iterator[tuple[str, bytes]]:
    gray, deep, colour = Image.fromarray(_gray(8)), Image.fromarray(_gray(16)), Image.fromarray(_colour())
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tiff {compression}", picture(gray, "TIFF", compression=compression)
    yield "tiff group4", picture(gray.convert("1"), "TIFF", compression="group4")
    yield "tiff 16", picture(deep, "TIFF", compression="tiff_lzw")
    yield "tiff 12-in-16", picture(Image.fromarray(_gray(12)), "TIFF")
    yield "tiff rgb", picture(colour, "TIFF", compression="tiff_adobe_deflate")
    yield "tiff pages", picture(gray, "TIFF", save_all=True, append_images=[gray])
    yield "tiff big", picture(gray, "TIFF", big_tiff=True)
    yield "tiff tiled", _tiled()


def _tiled() -> bytes:
    """Four uncompressed tiles of 64 px, which Pillow reads but does not write (TIFF 6.0 section 15)."""
    pixels, side = _gray(8), 64
    corners = [(row, column) for row in range(0, SIZE, side) for column in range(0, SIZE, side)]
    tiles = [pixels[row : row + side, column : column + side].tobytes() for row, column in corners]
    long, short = 4, 3
    entries = [(256, long, [SIZE]), (257, long, [SIZE]), (258, short, [8]), (259, short, [1]), (262, short, [1])]
    entries += [(277, short, [1]), (322, long, [side]), (323, long, [side])]
    starts = [8 + index * side * side for index in range(len(tiles))]
    after = 8 + len(tiles) * side * side
    entries += [(324, long, starts), (325, long, [side * side] * len(tiles))]
    table, extra = len(entries).to_bytes(2, "little"), b""
    extra_at = after + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        data = b"".join(value.to_bytes(4 if kind == long else 2, "little") for value in values)
        if len(data) > 4:
            data, extra = (extra_at + len(extra)).to_bytes(4, "little"), extra + data
        head = tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + len(values).to_bytes(4, "little")
        table += head + data.ljust(4, b"\0")
    return b"II*\0" + after.to_bytes(4, "little") + b"".join(tiles) + table + bytes(4) + extra


def _jsrt() -> bytes:
    """A film of the JSRT database: 2048 x 2048 big-endian values of 12 bits, and nothing else."""
    film = np.kron(_gray(12), np.ones((16, 16), np.uint16))
    return film.astype(">u2").tobytes()
