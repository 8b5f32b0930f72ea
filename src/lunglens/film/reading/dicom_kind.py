"""Whether a DICOM file can be a projection radiograph at all, as its modality and SOP class say."""

import re
from typing import Any, Literal

from lunglens.errors import NotAChestRadiographError
from lunglens.film.language import say
from lunglens.film.reading.dicom_file import integer, note, value
from lunglens.film.reading.facts import PLAIN_RADIOGRAPHY

Kind = Literal["radiograph", "projection", "other"]

# PS3.3 C.7.3.1.1.1. What is in neither list says nothing of the image: OT, SC, HC, and words of no standard.
_RADIOGRAPHY = PLAIN_RADIOGRAPHY | {"RF", "XA", "PX"}
_OTHER_PROJECTIONS = {"MG", "IO", "RTIMAGE", "BMD"}
_NO_PROJECTION = """
    CT MR US NM PT OPT SM ES GM OP OPM OPR OPV OPTBSV OPTENF OCT OAM OSS IVUS IVOCT BI BDUS CFM DMS ST TG DG EC CP FA LP
    MS LS AS DD CS CD MA AR ASMT KER LEN VA SRF IOL SMR ECG EEG EMG EOG EPS HD AU RESP POS ANN DOC SR KO PR SEG REG FID
    RWV PLAN STAIN TEXTUREMAP M3D RTDOSE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT CTPROTOCOL
    MRPROTOCOL XAPROTOCOL
"""
_ADVICE = "Give a chest radiograph (CR or DX)."


def refuse_other_kinds(dataset: Any) -> None:
    """Raise NotAChestRadiographError where the header says what no projection radiograph can be.

    Needs no pixels: another modality, several frames, or raw detector data (Presentation Intent Type, PS3.3 C.8.11.1).
    """
    modality, sop_class = _modality(dataset), _sop_class(dataset)
    if _of_modality(modality) == "other":
        raise NotAChestRadiographError(f"its header says modality {modality}. {_ADVICE}", "modality")
    if _of_modality(modality) is None:
        if _of_class(sop_class) == "other":
            said = re.sub("(.*) Image.*", r"modality \1", sop_class)
            raise NotAChestRadiographError(f"its header says {said}. {_ADVICE}", "modality")
        note(
            dataset,
            say(
                "the header does not say that this is a radiograph (modality {modality})",
                modality=modality or say("absent"),
            ),
        )
    elif modality in {"RF", "XA", "PX"}:
        note(dataset, say("modality {modality}: read as a radiograph", modality=modality))
    frames = integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise NotAChestRadiographError(f"it holds {frames} frames. Give one single-frame chest radiograph.", "frames")
    intent = str(value(dataset, "PresentationIntentType") or "").upper()
    if re.search("FOR.?PROCESSING", intent) or "For Processing" in sop_class:
        raise NotAChestRadiographError(
            "it holds raw detector data (FOR PROCESSING). Send the FOR PRESENTATION image.", "raw-data"
        )


def doubted_kind(dataset: Any) -> str | None:
    """What modality and SOP class say against a radiograph of the chest, in words, without ruling it out."""
    modality, sop_class = _modality(dataset), _sop_class(dataset)
    if _of_modality(modality) == "projection":
        return say("the header gives the modality as {modality}", modality=modality)
    if _of_class(sop_class) == "projection" and _of_modality(modality) is None:
        return say("the header gives the kind as {sop_class}", sop_class=sop_class)
    if _of_class(sop_class) == "other" and _of_modality(modality) == "radiograph":
        return say(
            "the header gives the modality as {modality}, but the kind as {sop_class}",
            modality=modality,
            sop_class=sop_class,
        )
    return None


def _of_modality(code: str) -> Kind | None:
    if code in _RADIOGRAPHY:
        return "radiograph"
    if code in _OTHER_PROJECTIONS:
        return "projection"
    return "other" if code in _NO_PROJECTION.split() else None


def _of_class(name: str) -> Kind | None:
    """By the names of PS3.6 A; None where the class is absent or private, or says nothing of what the image shows."""
    if re.match(
        "Computed Radiography|Digital X-Ray|X-Ray (Angiographic|Radiofluoroscopic) Image|Enhanced X(A|RF) ", name
    ):
        return "radiograph"
    if re.match("Digital (Mammography|Intra-Oral)|Breast Projection|(Enhanced )?RT Image", name):
        return "projection"
    return "other" if name and not re.search("Secondary Capture|Hardcopy", name) else None


def _modality(dataset: Any) -> str:
    return re.sub("[^A-Z0-9]", "", str(value(dataset, "Modality") or "").upper())[:16]


def _sop_class(dataset: Any) -> str:
    """Name of the SOP class without "Storage"; '' where it is absent or in no standard."""
    from pydicom.uid import UID

    stated = value(dataset, "SOPClassUID") or value(getattr(dataset, "file_meta", {}), "MediaStorageSOPClassUID")
    uid = UID(str(stated or "").strip("\0 "))
    return "".join(uid.name.rpartition(" Storage")[::2]) if uid.type == "SOP Class" else ""
