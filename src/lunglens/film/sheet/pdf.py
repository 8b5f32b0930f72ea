"""The page as PDF, on A4 or Letter."""

import io
from typing import Any, Literal
from xml.sax.saxutils import escape

from lunglens.film.sheet.content import Sheet

_INK, _MUTED, _AMBER, _RULE = "#1c2733", "#55626f", "#8a4a12", "#d9dfe6"


Paper = Literal["a4", "letter"]


def sheet_pdf(sheet: Sheet, paper: Paper = "a4") -> bytes:
    """The page as a PDF file; the same content gives the same bytes."""
    from reportlab.lib.pagesizes import A4, LETTER
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    stream = io.BytesIO()
    size, margin = (A4 if paper == "a4" else LETTER), 15 * mm
    document = SimpleDocTemplate(
        stream,
        pagesize=size,
        leftMargin=margin,
        rightMargin=margin,
        topMargin=12 * mm,
        bottomMargin=12 * mm,
        title="LungLens report",
        author=f"LungLens {sheet.version}",
        invariant=1,
    )
    styles = _styles()
    width = size[0] - 2 * margin
    parts: list[Any] = [Paragraph(escape(sheet.title), styles["small"])]
    parts.append(Paragraph(escape(sheet.headline), styles["title"]))
    parts += [Paragraph(escape(line.text), styles["notice"]) for line in sheet.of("notice", "worth")]
    parts += [Spacer(1, 3 * mm), _pictures(sheet, width, styles), Spacer(1, 3 * mm)]
    for label, text in sheet.facts:
        parts.append(Paragraph(f'<font color="{_MUTED}">{escape(label)}:</font> {escape(text)}', styles["body"]))
    if sheet.of("warning", "note"):
        parts.append(Paragraph("Warnings and notes", styles["head"]))
        parts += [
            Paragraph(escape(line.text), styles[line.kind], bulletText="-") for line in sheet.of("warning", "note")
        ]
    if sheet.meanings:
        parts += _meanings(sheet, width, styles)
    models = next((f"; {line.text}" for line in sheet.of("fact") if line.label == "Models"), "")
    parts += [Spacer(1, 4 * mm), Paragraph(escape(f"LungLens {sheet.version}{models}"), styles["small"])]
    document.build(parts)
    return stream.getvalue()


def _pictures(sheet: Sheet, width: float, styles: dict[str, Any]) -> Any:
    """Beside each other, in their shape, none higher than a third of the page."""
    from reportlab.lib.units import mm
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image, Paragraph, Table

    gap, high = 4 * mm, 90 * mm
    wide = width / max(2, len(sheet.pictures)) - gap
    images = []
    for picture in sheet.pictures:
        size = ImageReader(io.BytesIO(picture.png)).getSize()
        scale = min(wide / size[0], high / size[1])
        images.append(Image(io.BytesIO(picture.png), size[0] * scale, size[1] * scale, hAlign="LEFT"))
    captions = [Paragraph(escape(picture.caption), styles["small"]) for picture in sheet.pictures]
    grid = Table([images, captions], [wide + gap] * len(images), hAlign="LEFT")
    grid.setStyle(
        [
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return grid


def _meanings(sheet: Sheet, width: float, styles: dict[str, Any]) -> list[Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, Table

    head = [
        "Measured on",
        f"{sheet.positive} : other",
        "Sensitivity (95 %)",
        "Specificity (95 %)",
        *(f'"{name}" right in' for name in sheet.decisions),
    ]
    rows = [head] + [
        [row.films, f"{row.n[0]} : {row.n[1]}", row.sensitivity, row.specificity, row.ppv, row.npv]
        for row in sheet.meanings
    ]
    cells = [[Paragraph(escape(cell), styles["small"]) for cell in row] for row in rows]
    shares = (0.3, 0.13, 0.16, 0.16, 0.12, 0.13)
    grid = Table(cells, [share * width for share in shares])
    grid.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.5, HexColor(_RULE)), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    percent = f"{100 * sheet.prevalence:.3g}"
    return [
        Paragraph(f"What the answer is worth where {percent} % of the patients have {sheet.positive}", styles["head"]),
        grid,
        Paragraph(
            "By Bayes' theorem from how the model was measured; which line comes nearer to your patients, nobody has "
            "measured.",
            styles["small"],
        ),
    ]


def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name in ("Vera", "VeraBd"):  # they come with reportlab, and go into the file
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    body = ParagraphStyle("body", fontName="Vera", fontSize=9, leading=12.5, textColor=HexColor(_INK))
    amber = HexColor(_AMBER)
    return {
        "body": body,
        "title": ParagraphStyle("title", body, fontName="VeraBd", fontSize=12.5, leading=16.5),
        "head": ParagraphStyle("head", body, fontName="VeraBd", fontSize=10, leading=13.5, spaceBefore=6),
        "notice": ParagraphStyle("notice", body, fontName="VeraBd", textColor=amber),
        "warning": ParagraphStyle("warning", body, textColor=amber, leftIndent=10, bulletIndent=0),
        "note": ParagraphStyle("note", body, leftIndent=10, bulletIndent=0),
        "small": ParagraphStyle("small", body, fontSize=8, leading=10.5),
    }
