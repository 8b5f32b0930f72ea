"""DICOM files made on the fly for the tests: synthetic ones, and transcoded copies of real ones."""

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import data_store
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

RG1_FOLDER = Path(data_store.__file__).parent / "data"
CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"


def rg1(kind: str) -> Path:
    """One of pydicom-data's four copies of a chest radiograph: J2KI, J2KR, UNCI or UNCR."""
    return RG1_FOLDER / f"RG1_{kind}.dcm"


def gradient(rows: int = 80, columns: int = 96, top: int = 4095) -> NDArray[np.uint16]:
    """A smooth image, different in each direction, that reaches 0 and `top`."""
    y, x = np.mgrid[0:rows, 0:columns]
    values = 3.0 * y / rows + np.sin(x / 9.0) + x / columns
    return np.round((values - values.min()) / np.ptp(values) * top).astype(np.uint16)


def dataset_of(pixels: NDArray[Any], bits: int = 12, **elements: Any) -> Dataset:
    """A minimal CR data set of (H, W) or (H, W, 3) pixels; `elements` are set on it, None removes one."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR_STORAGE, "1.2.3.4"
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = CR_STORAGE, "1.2.3.4"
    dataset.Modality, dataset.PatientName = "CR", "Never^Read"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.dtype.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset, preamble: bool = True, **options: Any) -> bytes:
    """The bytes of the data set as a DICOM file; without `preamble`, the bare elements."""
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=preamble, **options)
    return stream.getvalue()


def transcoded(dataset: Dataset, kind: str, folder: Path) -> bytes:
    """A losslessly transcoded copy of an uncompressed 16-bit data set."""
    copy = dcmread(BytesIO(encoded(dataset)))
    if kind in ("jpeg-lossless", "jpeg2000"):
        return _by_gdcm(copy, kind, folder)
    if kind == "rle":
        copy.compress(uid.RLELossless, encoding_plugin="pydicom")
    elif kind == "jpeg-ls":
        copy.compress(uid.JPEGLSLossless, encoding_plugin="pyjpegls")
    elif kind == "big-endian":
        copy.PixelData = np.frombuffer(copy.PixelData, "<u2").astype(">u2").tobytes()
        return _plain(copy, uid.ExplicitVRBigEndian)
    elif kind == "implicit":
        return _plain(copy, uid.ImplicitVRLittleEndian)
    elif kind == "deflated":
        copy.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    elif kind == "monochrome2":
        return encoded(_inverted(copy))
    return encoded(copy)


def deflated(dataset: Dataset, extra: bytes) -> bytes:
    """A deflated file whose inflated data set is followed by `extra`."""
    plain = encoded(dataset)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    head = encoded(dataset)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return head[: _meta_end(head)] + packer.compress(plain[_meta_end(plain) :] + extra) + packer.flush()


def _meta_end(file: bytes) -> int:
    return 144 + int.from_bytes(file[140:144], "little")  # the group length element comes first (PS3.10 7.1)


def _plain(dataset: Dataset, syntax: uid.UID) -> bytes:
    # A fresh Dataset: one that was read remembers the encoding it was read in.
    fresh = Dataset()
    fresh.update(dataset)
    fresh.file_meta = dataset.file_meta
    fresh.file_meta.TransferSyntaxUID = syntax
    return encoded(fresh)


def _inverted(dataset: Dataset) -> Dataset:
    """The same picture told the other way: stored values and window turned round, MONOCHROME2 for MONOCHROME1."""
    top = 2**dataset.BitsStored - 1
    stored = np.frombuffer(dataset.PixelData, "<u2")
    dataset.PixelData = (top - stored).astype("<u2").tobytes()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    # The LINEAR window is symmetric about centre - 0.5 (PS3.3 C.11.2.1.2.1).
    dataset.WindowCenter = top - float(dataset.WindowCenter) + 1
    return dataset


def _by_gdcm(dataset: Dataset, kind: str, folder: Path) -> bytes:
    import gdcm

    source, target = folder / "plain.dcm", folder / f"{kind}.dcm"
    source.write_bytes(encoded(dataset))
    reader, changer, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    names = {"jpeg-lossless": "JPEGLosslessProcess14_1", "jpeg2000": "JPEG2000Lossless"}
    changer.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, names[kind])))
    changer.SetInput(reader.GetImage())
    assert changer.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(changer.GetOutput())
    assert writer.Write()
    return target.read_bytes()
