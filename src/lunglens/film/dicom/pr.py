"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): the film as it says itself, with the outlines of the lungs."""

from typing import NamedTuple

from highdicom.color import CIELabColor
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
    TextJustificationValues,
    TextObject,
)
from pydicom.dataset import Dataset
from pydicom.valuerep import DS

from lunglens.film.about import NOTICE
from lunglens.film.dicom.common import LEFT, RIGHT, SERIAL, Stem, finish, made_by
from lunglens.film.dicom.outlines import outlines
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Analyzed
from lunglens.film.picture import colours
from lunglens.film.picture.colours import Colour
from lunglens.film.preprocess import Mask
from lunglens.film.statements import panel_lines

_DASHES = 0x0F0F0F0F  # four pixels of line, four of gap (PS3.3 C.10.5.1.2)
_TEXT_BOX = (0.01, 0.01, 0.6, 0.11)  # left, top, right, bottom: of the displayed area


class _Outline(NamedTuple):
    """One layer: its name (CS), what it holds, the mask that is outlined, its colour, and its tracking identifier."""

    layer: str
    words: str
    mask: Mask
    colour: Colour
    tracked: str


def outlines_state(
    source: Source, finding: Analyzed, lungs: tuple[Mask, Mask], shown: Dataset, stem: Stem
) -> GrayscaleSoftcopyPresentationState:
    """The film's own grayscale, whole, with a layer for each lung, one for the whole lung and one for the decision.

    lungs: left and right (`Analyzed.sides`). shown: how the film's gray values are to be shown (shown.py).
    """
    source.Rows, source.Columns = finding.radiograph.pixels.shape  # as decoded: the masks are of that size
    source.SamplesPerPixel = 1
    doubtful = "lungs" in finding.withheld
    layers, annotations = list[GraphicLayer](), list[GraphicAnnotation]()
    for outline in _outlines_of(finding, *lungs):
        objects = _graphics(outline, stem, dashed=doubtful)
        words = f"{outline.words}, doubtful" if doubtful else outline.words
        colour = CIELabColor.from_rgb(*outline.colour)
        layer = GraphicLayer(outline.layer, len(layers) + 1, words, colour)
        layers.append(layer)
        annotations.append(GraphicAnnotation([source], layer, graphic_objects=objects))
    layers.append(GraphicLayer("DECISION", len(layers) + 1, "Decision", CIELabColor.from_rgb(*colours.TEXT)))
    annotations.append(GraphicAnnotation([source], layers[-1], text_objects=[_decision(finding)]))
    found = GrayscaleSoftcopyPresentationState(
        [source],
        device_serial_number=SERIAL,
        content_label="OUTLINES",
        content_description="Outlines of the lungs",
        graphic_layers=layers,
        graphic_annotations=annotations,
        **made_by(),
        **stem.instance("outlines"),
    )
    _show(found, finding, shown)
    found.BodyPartExamined = "CHEST"  # unpaired, so there is no Laterality
    finish(found, source, "outlines of the lungs")
    found.PresentationCreationDate, found.PresentationCreationTime = found.ContentDate, found.ContentTime
    del found.ContentDate, found.ContentTime  # a presentation state has those of its creation alone (C.11.10)
    return found


def _outlines_of(finding: Analyzed, left: Mask, right: Mask) -> list[_Outline]:
    whole = finding.whole_lung()
    found = [
        _Outline("LEFT LUNG", "Left lung field", left, colours.OUTLINE, LEFT[0]),
        _Outline("RIGHT LUNG", "Right lung field", right, colours.AMBER, RIGHT[0]),
    ]
    if whole is not None:
        found.append(_Outline("WHOLE LUNG", "Whole lungs, behind the heart too", whole, colours.BLUE, "whole lung"))
    return [outline for outline in found if outline.mask.any()]


def _graphics(outline: _Outline, stem: Stem, *, dashed: bool) -> list[GraphicObject]:
    tracking = stem.tracking(outline.tracked)
    found = [
        GraphicObject(
            GraphicTypeValues.POLYLINE,
            line,
            AnnotationUnitsValues.PIXEL,
            tracking_id=tracking["identifier"],
            tracking_uid=tracking["uid"],
        )
        for line in outlines(outline.mask)
    ]
    for graphic in found if dashed else []:
        graphic.LineStyleSequence = [_dashed(outline.colour)]
    return found


def _dashed(colour: Colour) -> Dataset:
    """As on the panel where the lungs are doubtful; a display that knows no line styles draws it solid."""
    style = Dataset()
    style.PatternOnColorCIELabValue = list(CIELabColor.from_rgb(*colour).value)
    style.PatternOnOpacity, style.PatternOffOpacity = 1.0, 0.0
    style.LineThickness, style.LineDashingStyle, style.LinePattern = 1.0, "DASHED", _DASHES
    style.ShadowStyle, style.ShadowOffsetX, style.ShadowOffsetY = "OFF", 0.0, 0.0
    style.ShadowColorCIELabValue, style.ShadowOpacity = [0, 0x8080, 0x8080], 0.0
    return style


def _decision(finding: Analyzed) -> TextObject:
    """The panel's own words on what is decided and why, and the notice."""
    said = [line.text for line in panel_lines(finding) if line.kind == "decision"]
    return TextObject(
        "\r\n".join([f"LungLens: {': '.join(said)}", NOTICE]),
        AnnotationUnitsValues.DISPLAY,
        bounding_box=_TEXT_BOX,
        text_justification=TextJustificationValues.LEFT,
    )


def _show(found: Dataset, finding: Analyzed, shown: Dataset) -> None:
    """Set what the film says of its gray values, and the shape of its pixels."""
    (area,) = found.DisplayedAreaSelectionSequence
    del area.PresentationPixelAspectRatio, area.PixelOriginInterpretation  # the latter is for tiled images
    if finding.radiograph.spacing_mm is None:
        area.PresentationPixelAspectRatio = shown.PresentationPixelAspectRatio
    else:
        area.PresentationPixelSpacing = [DS(side, auto_format=True) for side in finding.radiograph.spacing_mm]
    for element in shown:
        if element.keyword != "PresentationPixelAspectRatio":
            found.add(element)
