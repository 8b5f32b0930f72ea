"""Comprehensive SR by TID 1500 (PS3.16): the document around the measurement groups, and what it refers to."""

from collections.abc import Sequence

from highdicom.sr import (
    CodeContentItem,
    ComprehensiveSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    MeasurementReport,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from lunglens.film.about import __version__
from lunglens.film.dicom.codes import private, refusal, scheme_identification
from lunglens.film.dicom.common import FILM, MANUFACTURER, MODEL, Stem, finish
from lunglens.film.dicom.groups import Group, film_group, groups
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed, Refused

_CHEST_FILM = Code("399208008", "SCT", "Plain chest X-ray")
_ANY_IMAGING = Code("363679005", "SCT", "Imaging")  # of a refused film nobody knows what was taken
_SOURCE = Code("260753009", "SCT", "Source")
_PIXELS = Code("{pixels}", "UCUM", "pixels")
_CHILD = RelationshipTypeValues.CONTAINS
_ABOUT = RelationshipTypeValues.HAS_ACQ_CONTEXT


def report(source: Source, finding: Analyzed | Refused, stem: Stem, results: dict[str, Dataset]) -> ComprehensiveSR:
    """The finding as a structured report; of a refused film it says the reason, and nothing of any class.

    results: the other objects of this film, by name, to which the report refers.
    """
    procedure = _ANY_IMAGING if isinstance(finding, Refused) else _CHEST_FILM
    return _document(source, stem, groups(source, finding, stem, results), procedure, results)


def refusal_report(source: Source, reason: str, code: str, stem: Stem) -> ComprehensiveSR:
    """The report on a film that was refused by its header, before any model saw it."""
    group = film_group(source, refusal(code), [("reason", reason)], stem.tracking(FILM))
    return _document(source, stem, [group], _ANY_IMAGING, {})


def _document(
    source: Source, stem: Stem, said: list[Group], procedure: Code, results: dict[str, Dataset]
) -> ComprehensiveSR:
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer()),
        procedure_reported=procedure,
        imaging_measurements=said,
        title=codes.DCM.ImagingMeasurementReport,
    )
    children = content[0].ContentSequence
    children.insert(len(children) - 1, _image_library(source, results))  # before the measurements (TID 1500)
    found = ComprehensiveSR(
        evidence=[source, *results.values()],
        content=content[0],
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        requested_procedures=_requests(source),
        **stem.instance("report"),
    )
    found.CodingSchemeIdentificationSequence = [scheme_identification()]
    found.ManufacturerModelName, found.SoftwareVersions = MODEL, __version__
    finish(found, source, "report")
    return found


def _observer() -> ObserverContext:
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[MANUFACTURER, __version__]),
            name=f"{MODEL} {__version__}",
            manufacturer_name=MANUFACTURER,
            model_name=MODEL,
        ),
    )


def _image_library(source: Source, results: dict[str, Dataset]) -> ContainerContentItem:
    """TID 1600: the film, and the objects made from it, so that a display finds them from the report."""
    library = ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=_CHILD)
    film = _entry(source, _SOURCE)
    entries, states = [film], list[Dataset]()
    for name, dataset in results.items():
        if dataset.Modality == "PR":
            states.append(_presentation(dataset))
        else:
            entries.append(_entry(dataset, private(f"result-{name.split('.')[0]}")))
    if states:
        film.ReferencedSOPSequence[0].ReferencedSOPSequence = states
    library.ContentSequence = ContentSequence([_group([entry]) for entry in entries])
    return library


def _presentation(state: Dataset) -> Dataset:
    """A presentation state is no image: it is named beside the one that it is for (PS3.3 C.18.4)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = state.SOPClassUID, state.SOPInstanceUID
    return item


def _group(entries: Sequence[ImageContentItem]) -> ContainerContentItem:
    group = ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=_CHILD)
    group.ContentSequence = ContentSequence(entries)
    return group


def _entry(image: Dataset, name: Code) -> ImageContentItem:
    entry = ImageContentItem(name, image.SOPClassUID, image.SOPInstanceUID, relationship_type=_CHILD)
    about: list[ContentItem] = []
    modality = _MODALITIES.get(image.get("Modality", ""))
    if modality is not None:
        about.append(CodeContentItem(codes.DCM.Modality, modality, relationship_type=_ABOUT))
    for concept, size in ((codes.DCM.PixelDataRows, "Rows"), (codes.DCM.PixelDataColumns, "Columns")):
        if image.get(size):
            about.append(NumContentItem(concept, image[size].value, _PIXELS, relationship_type=_ABOUT))
    if about:
        entry.ContentSequence = ContentSequence(about)
    return entry


_MODALITIES = {
    "CR": codes.cid29.ComputedRadiography,
    "DX": codes.cid29.DigitalRadiography,
    "RF": codes.cid29.Radiofluoroscopy,
    "XA": codes.cid29.XRayAngiography,
    "SEG": codes.DCM.Segmentation,
    "OT": codes.cid32.Other,
}


def _requests(source: Source) -> list[Dataset] | None:
    """Referenced Request Sequence (PS3.3 C.17.2): the order that the film's accession number names."""
    if not source.AccessionNumber:
        return None
    item = Dataset()
    item.StudyInstanceUID, item.AccessionNumber = source.StudyInstanceUID, source.AccessionNumber
    item.ReferencedStudySequence = item.RequestedProcedureCodeSequence = []
    item.PlacerOrderNumberImagingServiceRequest = item.FillerOrderNumberImagingServiceRequest = ""
    item.RequestedProcedureID = item.RequestedProcedureDescription = ""
    return [item]
