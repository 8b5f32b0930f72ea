"""What a file is, by its first bytes: true films of any dress are taken, other files are not."""

import gzip
import io
import random
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from lunglens.film.reading.kinds import HEAD_BYTES, looks_like_dicom, no_film, raster_format
from tests.support.dicom_files import dataset_of, encoded, gradient
from tests.support.pictures import DEEP, GRAY, picture

BARE = [(True, True), (False, True), (False, False), (True, False)]  # implicit, little endian


def kind(data: bytes) -> str | None:
    return no_film(data[:HEAD_BYTES], len(data))


def bare(implicit: bool, little: bool, **elements: object) -> bytes:
    """A data set without preamble and meta information; `elements` are set on it."""
    dataset = Dataset()
    dataset.update(dataset_of(gradient()))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    target = DicomBytesIO()
    target.is_implicit_VR, target.is_little_endian = implicit, little
    write_dataset(target, dataset)
    return target.getvalue()


@pytest.mark.parametrize(("implicit", "little"), BARE)
@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"SpecificCharacterSet": "ISO_IR 192"},
        {"SpecificCharacterSet": ""},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87", "ISO 2022 IR 149"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "", "A LONG WORD OF A MAKER"]},
        {
            "SpecificCharacterSet": "ISO_IR 100",
            "ImageType": ["DERIVED", "SECONDARY"],
            "InstanceCreationDate": "20200101",
        },
    ],
)
def test_bare_data_sets_are_dicom(implicit: bool, little: bool, elements: dict[str, object]) -> None:
    data = bare(implicit, little, **elements)
    assert looks_like_dicom(data)
    assert kind(data) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_group_lengths_as_acr_nema_has_them_are_dicom(order: str) -> None:
    data = struct.pack(f"{order}HHLL", 8, 0, 4, 200) + struct.pack(f"{order}HHL12s", 8, 1, 12, b"length   end")
    assert looks_like_dicom(data + bytes(1000))
    meta = struct.pack(f"{order}HH2sHL", 2, 0, b"UL", 4, 100) + struct.pack(
        f"{order}HH2sHL2s", 2, 1, b"OB", 0, 2, b"\0\1"
    )
    assert looks_like_dicom(meta + bytes(1000))


@pytest.mark.parametrize(
    "preamble", [bytes(128), b"II*\0" + bytes(124), b"\x89PNG\r\n\x1a\n" + bytes(120), b"PK\3\4" * 32]
)
def test_the_mark_of_dicom_counts_before_what_stands_in_the_preamble(preamble: bytes) -> None:
    assert kind(preamble + encoded(dataset_of(gradient()))[128:]) is None


def test_file_meta_information_without_preamble_is_dicom() -> None:
    assert kind(encoded(dataset_of(gradient()))[132:]) is None


def big_tiff(order: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(GRAY).save(stream, "TIFF", big_tiff=True)
    data = stream.getvalue()
    assert data[:4] == b"II+\0"
    return data if order == "II" else b"MM\0+" + data[4:]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (picture(Image.fromarray(GRAY), "PNG"), "PNG"),
        (picture(Image.fromarray(DEEP), "PNG"), "PNG"),
        (picture(Image.fromarray(GRAY), "JPEG"), "JPEG"),
        (picture(Image.fromarray(GRAY), "TIFF"), "TIFF"),
        (big_tiff("II"), "TIFF"),
        (big_tiff("MM"), "TIFF"),
        (b"MM\0*" + bytes(200), "TIFF"),
    ],
)
def test_pictures(data: bytes, found: str) -> None:
    assert raster_format(data) == found
    assert kind(data) is None


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("film.dcm", encoded(dataset_of(gradient())))
    return stream.getvalue()


OTHERS = {
    "empty": [b""],
    "archive": [zipped(), gzip.compress(b"x" * 500, mtime=0), b"PK\5\6" + bytes(18), b"7z\xbc\xaf\x27\x1c" + bytes(50)],
    "PDF": [b"%PDF-1.7\n"],
    "WebP (not read)": [picture(Image.fromarray(GRAY), "WEBP")],
    "GIF (not read)": [picture(Image.fromarray(GRAY), "GIF")],
    "BMP (not read)": [picture(Image.fromarray(GRAY), "BMP")],
    "JPEG 2000 without DICOM (not read)": [picture(Image.fromarray(GRAY), "JPEG2000")],
    "no image": [
        b"text\n",
        b"\x08",
        b"\x08\x00",
        b"\x08\x00\x05\x00",
        b"\x08\x00 a text that begins with a backspace and a NUL, and goes on for a while" * 20,
        b"BM is how this text begins, which is no picture",
        b"\x02\x00\x00\x00" * 200,
        b"\x08\x00\x00\x00" * 200,
        np.arange(8, 600, dtype="<u2").tobytes(),
        np.arange(8, 600, dtype="<i4").tobytes(),
        np.arange(8, 600, dtype=">i4").tobytes(),
        np.full(900, 8, "<f4").tobytes(),
        b"\x1aE\xdf\xa3" + bytes(300),  # Matroska
        b"\0\0\0\x20ftypisom" + bytes(300),  # MP4
        bytes(5000),
        b"\xff" * 5000,
        bytes(2 * 2048 * 2048),  # of the size of a JSRT film
        b"\x7f" * (2 * 2048 * 2048),
    ],
}


@pytest.mark.parametrize(("why", "data"), [(why, data) for why, many in OTHERS.items() for data in many])
def test_what_is_no_film_and_why(why: str, data: bytes) -> None:
    assert kind(data) == why


def test_a_jsrt_film_is_known_by_its_size_and_its_12_bits() -> None:
    film = np.full((2048, 2048), 700, ">u2").tobytes()
    assert kind(film) is None
    assert kind(film + b"\0") == "no image"


@pytest.mark.parametrize(
    ("sop_class", "why"),
    [
        (uid.MediaStorageDirectoryStorage, "DICOMDIR"),
        (uid.SegmentationStorage, "DICOM without image"),
        (uid.ComprehensiveSRStorage, "DICOM without image"),
        (uid.KeyObjectSelectionDocumentStorage, "DICOM without image"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "DICOM without image"),
        (uid.EncapsulatedPDFStorage, "DICOM without image"),
        (uid.ComputedRadiographyImageStorage, None),
        (uid.DigitalXRayImageStorageForPresentation, None),
        (uid.DigitalXRayImageStorageForProcessing, None),
        (uid.SecondaryCaptureImageStorage, None),
        (uid.CTImageStorage, None),  # told as refused, since it holds a picture
        (uid.XRayRadiofluoroscopicImageStorage, None),
    ],
)
@pytest.mark.parametrize("how", ["whole", "without preamble", "bare implicit", "bare explicit", "bare big"])
def test_dicom_objects_by_their_class(sop_class: str, why: str | None, how: str) -> None:
    dataset = dataset_of(gradient(), SOPClassUID=sop_class)
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    if how in ("whole", "without preamble"):
        data = encoded(dataset)[132 if how == "without preamble" else 0 :]
    else:
        data = bare(how == "bare implicit", how != "bare big", SOPClassUID=sop_class)
    assert kind(data) == why


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=1500))
def test_random_bytes_are_no_dicom(data: bytes) -> None:
    assert not looks_like_dicom(data[:128])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02"]), st.binary(min_size=300, max_size=1100))
def test_random_bytes_behind_a_group_number_are_no_dicom(group: bytes, data: bytes) -> None:
    if data[126:130] != b"DICM":
        assert not looks_like_dicom(group + data)


def test_a_hundred_thousand_random_files_are_no_film() -> None:
    generator = random.Random(1)  # noqa: S311 - not for secrets
    beginnings = [b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02", b""]
    taken = [
        data
        for number in range(100_000)
        if no_film(data := beginnings[number % 5] + generator.randbytes(120), 122) is None
    ]
    assert taken == []


def test_a_film_cut_anywhere_raises_nothing() -> None:
    film = encoded(dataset_of(gradient()))
    for end in range(HEAD_BYTES):
        no_film(film[:end], end)
        no_film(film[132 : 132 + end], end)
