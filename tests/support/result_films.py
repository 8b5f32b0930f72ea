"""Films of many kinds, made of one real radiograph, for what is tried on their DICOM results."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from tests.support.dicom_files import encoded, rg1, transcoded


def film() -> Dataset:
    """The chest radiograph RG1, every third pixel, MONOCHROME1."""
    dataset = dcmread(rg1("UNCR"))
    stored = dataset.pixel_array[::3, ::3]
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelData = stored.tobytes()
    return dataset


def changed(**values: object) -> bytes:
    """The film with other values in its header; None takes one out."""
    dataset = film()
    for name, value in values.items():
        if value is None and name in dataset:
            del dataset[name]
        elif value is not None:
            setattr(dataset, name, value)
    return encoded(dataset)


def named(character_set: str, name: str, encoding: str) -> bytes:
    """The film with a patient's name in the bytes of an encoding."""
    data = changed(PatientName="NAME", SpecificCharacterSet=None)
    raw = name.encode(encoding) + b" " * (len(name.encode(encoding)) % 2)
    stated = character_set.encode() + b" " * (len(character_set) % 2)
    at = data.index(b"\x10\x00\x10\x00PN")
    data = data[:at] + b"\x10\x00\x10\x00PN" + len(raw).to_bytes(2, "little") + raw + data[at + 12 :]
    at = data.index(b"\x08\x00\x08\x00CS")  # Image Type, the element after it
    return data[:at] + b"\x08\x00\x05\x00CS" + len(stated).to_bytes(2, "little") + stated + data[at:]


def overlong() -> bytes:
    """Identifiers longer than their VRs, UIDs that are none, names of too many components."""
    data = changed(PatientID="P" * 100, AccessionNumber="A" * 40, StudyID="S" * 40, SeriesInstanceUID="1.02.3")
    data = data.replace(b"F ", b"f ", 1)
    return data.replace(b"CompressedSamples^RG1 ", b"A^B^C^D^E^F^G^H=I=J=K ", 1)


def digital(**values: object) -> bytes:
    """The film as a DX image in a frame of reference."""
    classes = {"SOPClassUID": uid.DigitalXRayImageStorageForPresentation, "Modality": "DX"}
    place = {"FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.5", "PositionReferenceIndicator": "", **values}
    return changed(**classes, **place)


def mirrored() -> bytes:
    """The film mirrored, as its header says."""
    dataset = film()
    dataset.PixelData = dataset.pixel_array[:, ::-1].tobytes()
    dataset.PatientOrientation = ["R", "F"]
    return encoded(dataset)


def palette() -> bytes:
    """The film in 256 colours, all of them gray, in a table from white to black as its pixels are."""
    dataset = film()
    stored = dataset.pixel_array.astype(float)
    low, high = np.percentile(stored, (1, 99))
    dataset.PixelData = np.rint(np.clip((stored - low) / (high - low), 0, 1) * 255).astype(np.uint8).tobytes()
    dataset.PhotometricInterpretation, dataset.BitsAllocated = "PALETTE COLOR", 8
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 7, 0
    for name in ("WindowCenter", "WindowWidth"):
        del dataset[name]
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        table = (np.arange(255, -1, -1) * 257).astype("<u2").tobytes()
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
    return encoded(dataset)


def noise() -> bytes:
    """No film at all, under the header of one."""
    dataset = film()
    dataset.PixelData = np.random.default_rng(0).integers(0, 2**15, 652 * 614, np.uint16).tobytes()
    return encoded(dataset)


def packed(kind: str, folder: Path) -> bytes:
    """The film in another transfer syntax, or as MONOCHROME2."""
    return transcoded(dcmread(BytesIO(encoded(film()))), kind, folder)


FILMS: dict[str, Callable[[Path], bytes]] = {
    "monochrome1": lambda _: encoded(film()),
    "monochrome2": lambda folder: packed("monochrome2", folder),
    "jpeg 2000": lambda folder: packed("jpeg2000", folder),
    "big endian": lambda folder: packed("big-endian", folder),
    "palette": lambda _: palette(),
    "overlong": lambda _: overlong(),
    "no study of ours": lambda _: changed(StudyInstanceUID="1.2.03.4", AccessionNumber="A1"),
    "frame of reference": lambda _: digital(),
    "frame of reference and place": lambda _: digital(
        PatientOrientation=["L", "F"], ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]
    ),
    "latin-1": lambda _: named("ISO_IR 100", "M\u00fcller^J\u00f6rg", "latin-1"),
    "utf-8": lambda _: named("ISO_IR 192", "\u0418\u0432\u0430\u043d\u043e\u0432^\u0418\u0432\u0430\u043d", "utf-8"),
    "japanese": lambda _: named(
        "\\ISO 2022 IR 87",
        "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
        "iso2022_jp",
    ),
    "spacing": lambda _: changed(PixelSpacing=[0.5, 0.4]),
    "spacing at the detector": lambda _: digital(PixelSpacing=None, ImagerPixelSpacing=[0.5, 0.5]),
    "mirrored": lambda _: mirrored(),
    "fluoroscopy": lambda _: changed(SOPClassUID=uid.XRayRadiofluoroscopicImageStorage, Modality="RF"),
    "private class": lambda _: changed(SOPClassUID="1.2.826.0.1.3680043.8.498.99.1"),
    "de-identified, no dates": lambda _: changed(
        PatientIdentityRemoved="YES", StudyDate="", SeriesDate=None, AcquisitionDate=None, ContentDate=None
    ),
    "refused by the gate": lambda _: noise(),
}
