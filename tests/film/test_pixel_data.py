"""Pixel Data as real writers leave them: what is whole is read, with a note; what is not is said in words."""

import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from lunglens.errors import UnreadableImageError
from lunglens.film.radiograph import Radiograph, read_radiograph
from tests.support.dicom_files import dataset_of, encoded, gradient, transcoded
from tests.support.pictures import GRAY, picture, saved

TWELVE = gradient()
KINDS = {
    "jpeg-lossless": uid.JPEGLosslessSV1,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg2000": uid.JPEG2000Lossless,
    "rle": uid.RLELossless,
}


def frame_of(kind: str, folder: Path) -> bytes:
    """A 12-bit film as one codestream."""
    if kind == "jpeg":
        return picture(Image.fromarray(GRAY), "JPEG", quality=95)
    return next(generate_frames(dcmread(BytesIO(transcoded(dataset_of(TWELVE), kind, folder))).PixelData))


def packed(frame: bytes, syntax: str, dataset: Dataset | None = None) -> Dataset:
    dataset = dataset_of(TWELVE) if dataset is None else dataset
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def read(folder: Path, data: bytes) -> Radiograph:
    return read_radiograph(saved(folder, data))


def notes_of(film: Radiograph) -> str:
    return "; ".join(film.notes)


@pytest.mark.parametrize("cut", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_delimiter(kind: str, cut: int, tmp_path: Path) -> None:
    found = read(tmp_path, transcoded(dataset_of(TWELVE), kind, tmp_path)[:-cut])
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_padding_at_the_end(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path, transcoded(dataset_of(TWELVE), kind, tmp_path)[:-8] + bytes(30))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("length", [1, 8, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", KINDS)
def test_a_delimiter_with_a_length(kind: str, length: int, tmp_path: Path) -> None:
    found = read(tmp_path, transcoded(dataset_of(TWELVE), kind, tmp_path)[:-4] + length.to_bytes(4, "little"))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "rle"])
@pytest.mark.parametrize("promised", [*KINDS.values(), uid.JPEGBaseline8Bit, uid.ExplicitVRLittleEndian, uid.MPEG2MPML])
def test_a_stream_under_another_transfer_syntax(kind: str, promised: str, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(packed(frame_of(kind, tmp_path), promised)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert ("another transfer syntax" in notes_of(found)) == (promised != KINDS[kind])


@pytest.mark.parametrize("promised", KINDS.values())
def test_plain_pixels_under_a_compressed_transfer_syntax(promised: str, tmp_path: Path) -> None:
    data = encoded(dataset_of(TWELVE)).replace(b"1.2.840.10008.1.2.1\0", promised.encode().ljust(22, b"\0"))
    # The element's length and the group's, which the longer name needs.
    at = data.find(b"\x02\x00\x10\x00UI")
    data = data[: at + 6] + (22).to_bytes(2, "little") + data[at + 8 :]
    length = int.from_bytes(data[140:144], "little") + 2
    found = read(tmp_path, data[:140] + length.to_bytes(4, "little") + data[144:])
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "not compressed" in notes_of(found)


def with_fill_bytes(frame: bytes) -> bytes:
    """Fill bytes (T.81 B.1.1.2) before each marker of the header."""
    found, at = bytearray(frame[:2]), 2
    while True:
        end = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        found += b"\xff\xff\xff" + frame[at:end]
        if frame[at + 1] == 0xDA:
            return bytes(found + frame[end:])
        at = end


@pytest.mark.parametrize("kind", ["jpeg-lossless", "jpeg-ls"])
def test_fill_bytes_in_jpeg(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(packed(with_fill_bytes(frame_of(kind, tmp_path)), KINDS[kind])))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


def test_fill_bytes_in_a_jpeg_file(tmp_path: Path) -> None:
    plain, filled = (read(tmp_path, change(frame_of("jpeg", tmp_path))) for change in (bytes, with_fill_bytes))
    np.testing.assert_array_equal(plain.pixels, filled.pixels)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame[:-2] + b"\xff\x64\x00\x07\x00\x01pad" + frame[-2:],
        lambda frame: frame[:-2],
        lambda frame: frame + b"\0" * 10,
        lambda frame: b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 60 + frame,
    ],
    ids=["a comment before the end", "no end marker", "padding", "in a JP2 wrapper"],
)
def test_odd_ends_of_jpeg_2000(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    found = read(tmp_path, encoded(packed(change(frame_of("jpeg2000", tmp_path)), uid.JPEG2000Lossless)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", [*KINDS, "jpeg"])
def test_a_truncated_stream_is_never_a_film(kind: str, share: float, tmp_path: Path) -> None:
    frame = frame_of(kind, tmp_path)
    frame = frame[: int(len(frame) * share)]
    data = frame if kind == "jpeg" else encoded(packed(frame, KINDS[kind]))
    with pytest.raises(UnreadableImageError, match=r"truncated|damaged"):
        read(tmp_path, data)


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_one_frame_in_several_fragments(pieces: int, tmp_path: Path) -> None:
    frame = frame_of("jpeg2000", tmp_path)
    dataset = packed(frame, uid.JPEG2000Lossless)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=pieces, has_bot=pieces == 2)
    np.testing.assert_allclose(read(tmp_path, encoded(dataset)).pixels, TWELVE / 4095, atol=1e-6)


def test_fragments_without_an_offset_table(tmp_path: Path) -> None:
    data = encoded(packed(frame_of("jpeg2000", tmp_path), uid.JPEG2000Lossless))
    table = b"\xfe\xff\x00\xe0\x04\0\0\0\0\0\0\0"
    assert table in data
    np.testing.assert_allclose(read(tmp_path, data.replace(table, b"")).pixels, TWELVE / 4095, atol=1e-6)


def test_an_8_bit_stream_under_a_12_bit_header(tmp_path: Path) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    frame = picture(Image.fromarray(GRAY), "JPEG", quality=95)
    found = read(tmp_path, encoded(packed(frame, uid.JPEGBaseline8Bit, dataset_of(TWELVE, **window))))
    np.testing.assert_allclose(found.pixels, GRAY / 255, atol=0.03)
    assert "8 bits, not the 12" in notes_of(found)
    assert found.bits == 8


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")
def test_jpeg_extended_of_12_bits(tmp_path: Path) -> None:
    plain, extended, back = (tmp_path / f"{name}.dcm" for name in ("plain", "extended", "back"))
    dataset = dataset_of(TWELVE)
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
    plain.write_bytes(encoded(dataset))
    subprocess.run(["dcmcjpeg", "--encode-extended", plain, extended], check=True)
    subprocess.run(["dcmdjpeg", extended, back], check=True)
    assert dcmread(extended).file_meta.TransferSyntaxUID == uid.JPEGExtended12Bit
    np.testing.assert_array_equal(read_radiograph(extended).pixels, read_radiograph(back).pixels)
    np.testing.assert_allclose(read_radiograph(extended).pixels, TWELVE / 4095, atol=0.02)


@pytest.mark.parametrize("kind", ["jpeg-lossless", "jpeg-ls", "jpeg2000"])
def test_signed_values_in_a_stream(kind: str, tmp_path: Path) -> None:
    stored = TWELVE.astype(np.int16) - 2048
    dataset = dataset_of(stored, WindowCenter=0, WindowWidth=4096)
    found = read(tmp_path, transcoded(dataset, kind, tmp_path))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=3e-4)


@pytest.mark.parametrize("bits", [8, 10, 12, 15])
def test_values_justified_to_the_high_bit(bits: int, tmp_path: Path) -> None:
    values = gradient(top=2**bits - 1)
    dataset = dataset_of((values << (16 - bits)).astype(np.uint16), bits=bits, HighBit=15)
    dataset.WindowCenter, dataset.WindowWidth = 2 ** (bits - 1), 2**bits
    found = read(tmp_path, encoded(dataset))
    np.testing.assert_allclose(found.pixels, values / (2**bits - 1), atol=1e-6)
    assert f"moved down by {16 - bits} bits" in notes_of(found)


@pytest.mark.parametrize("high", [0, 7, 9, 16, 99])
def test_a_high_bit_that_makes_no_sense(high: int, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(dataset_of(TWELVE, HighBit=high)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "HighBit makes no sense" in notes_of(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [None, "", "RGB", "MONO", "YBR_FULL"])
def test_a_photometric_interpretation_that_makes_no_sense(kind: str | None, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(dataset_of(TWELVE, PhotometricInterpretation=kind)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "taken for MONOCHROME2" in notes_of(found)


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "BitsStored", "PixelRepresentation", "HighBit"])
@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_elements_with_a_usual_value_may_be_missing(kind: str, keyword: str, tmp_path: Path) -> None:
    whole = encoded(dataset_of(TWELVE)) if kind == "plain" else transcoded(dataset_of(TWELVE), kind, tmp_path)
    dataset = dcmread(BytesIO(whole))
    delattr(dataset, keyword)
    found = read(tmp_path, encoded(dataset))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


def test_colour_without_a_planar_configuration(tmp_path: Path) -> None:
    colour = dataset_of(np.repeat(GRAY[..., None], 3, axis=2), bits=8, PlanarConfiguration=None)
    np.testing.assert_allclose(read(tmp_path, encoded(colour)).pixels, GRAY / 255, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["MONOCHROME1", "monochrome1", "MONOCHROME 1", "MONOCHROME1 "])
def test_a_negative_however_it_is_written(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(dataset_of(TWELVE, PhotometricInterpretation=kind)))
    np.testing.assert_allclose(found.pixels, 1 - TWELVE / 4095, atol=1e-6)


def test_a_high_bit_that_the_values_do_not_have(tmp_path: Path) -> None:
    found = read(tmp_path, encoded(dataset_of(TWELVE, HighBit=15)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "which they are not" in notes_of(found)


@pytest.mark.parametrize("samples", [1, 3])
def test_more_pixels_than_the_header_states(samples: int, tmp_path: Path) -> None:
    pixels = GRAY if samples == 1 else np.repeat(GRAY[..., None], 3, axis=2)
    found = read(tmp_path, encoded(dataset_of(np.concatenate([pixels, pixels[::-1]]), bits=8, Rows=len(GRAY))))
    np.testing.assert_allclose(found.pixels, GRAY / 255, atol=1e-6)
    assert "more Pixel Data" in notes_of(found)


@pytest.mark.parametrize("bits", [8, 10, 11])
def test_values_beyond_the_bits_stored(bits: int, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(dataset_of(TWELVE, bits=bits)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "beyond the" in notes_of(found)


@pytest.mark.parametrize(("overlay", "bit"), [(0, 15), (1, 14), (15, 12)])
def test_a_drawing_in_the_unused_bits_is_not_the_film(overlay: int, bit: int, tmp_path: Path) -> None:
    stored = TWELVE.copy()
    stored[10:20, 10:20] |= 1 << bit
    dataset = dataset_of(stored)
    dataset.add_new(0x60000102 + 0x20000 * overlay, "US", bit)
    np.testing.assert_allclose(read(tmp_path, encoded(dataset)).pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("deep", [4096, 65536])
@pytest.mark.parametrize("kind", [2, 4, 6], ids=["RGB", "gray and opacity", "RGBA"])
def test_pictures_of_16_bits_a_channel_keep_them(kind: int, deep: int, tmp_path: Path) -> None:
    values = gradient(top=deep - 1)
    film = read(tmp_path, png_16(values, kind))
    np.testing.assert_allclose(film.pixels, values / (deep - 1), atol=2e-5)
    assert film.bits == 16


def png_16(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write (PNG specification 11)."""
    import struct
    import zlib

    opaque = np.full_like(values, 65535)
    channels = {2: [values] * 3, 4: [values, opaque], 6: [values] * 3 + [opaque]}[kind]
    rows = np.stack(channels, -1).astype(">u2").reshape(len(values), -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    "promised", [uid.JPEG2000Lossless, uid.JPEGLosslessSV1, uid.ExplicitVRLittleEndian, uid.MPEG2MPML]
)
def test_rle_under_another_transfer_syntax(promised: str, tmp_path: Path) -> None:
    found = read(tmp_path, encoded(packed(frame_of("rle", tmp_path), promised)))
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
    assert "RLE, although" in notes_of(found)


@pytest.mark.parametrize("kind", ["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize(
    "promised",
    [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, "1.2.840.10008.1.2.1.99"],
)
def test_a_data_set_in_another_order_than_stated(kind: str, promised: str, tmp_path: Path) -> None:
    data = transcoded(dataset_of(TWELVE), kind, tmp_path)
    at = data.find(b"\x02\x00\x10\x00UI")
    old = int.from_bytes(data[at + 6 : at + 8], "little")
    name = promised.encode() + b"\0" * (len(promised) % 2)
    length = int.from_bytes(data[140:144], "little") + len(name) - old
    data = data[: at + 6] + len(name).to_bytes(2, "little") + name + data[at + 8 + old :]
    found = read(tmp_path, data[:140] + length.to_bytes(4, "little") + data[144:])
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)


@pytest.mark.parametrize("kind", ["explicit", "implicit", *KINDS])
@pytest.mark.parametrize("rest", [b"\xff" * 9, b"\xff" * 100, b"\xfc\xff\xfc\xffOB\0\0\xff\xff\0\0", bytes(7)])
def test_what_follows_the_pixels_costs_nothing(kind: str, rest: bytes, tmp_path: Path) -> None:
    found = read(tmp_path, transcoded(dataset_of(TWELVE), kind, tmp_path) + rest)
    np.testing.assert_allclose(found.pixels, TWELVE / 4095, atol=1e-6)
