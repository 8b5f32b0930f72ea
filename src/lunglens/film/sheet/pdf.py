"""The page as PDF, A4."""

import io
from typing import Any
from xml.sax.saxutils import escape

from lunglens.film.picture.panel import HEIGHT, WIDTH
from lunglens.film.sheet.content import Sheet

_INK, _MUTED, _AMBER, _RULE = "#1c2733", "#55626f", "#8a4a12", "#d9dfe6"


def sheet_pdf(sheet: Sheet) -> bytes:
    """The page as a PDF file; the same content gives the same bytes."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer

    stream = io.BytesIO()
    margin = 15 * mm
    document = SimpleDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=margin,
        rightMargin=margin,
        topMargin=12 * mm,
        bottomMargin=12 * mm,
        title="LungLens report",
        author=f"LungLens {sheet.version}",
        invariant=1,
    )
    styles = _styles()
    width = A4[0] - 2 * margin
    parts: list[Any] = [Paragraph(escape(sheet.title), styles["title"])]
    parts += [Paragraph(escape(line.text), styles["notice"]) for line in sheet.of("notice", "worth")]
    parts += [Spacer(1, 3 * mm), Image(io.BytesIO(sheet.panel), width, width * HEIGHT / WIDTH), Spacer(1, 3 * mm)]
    for line in sheet.of("film", "refusal", "probability", "decision", "opacity", "fact"):
        label = f'<font color="{_MUTED}">{escape(line.label)}:</font> ' if line.label else ""
        parts.append(Paragraph(label + escape(line.text), styles["body"]))
    if sheet.of("warning", "note"):
        parts.append(Paragraph("Warnings and notes", styles["head"]))
        parts += [
            Paragraph(escape(line.text), styles[line.kind], bulletText="-") for line in sheet.of("warning", "note")
        ]
    if sheet.meanings:
        parts += _meanings(sheet, width, styles)
    parts += [
        Spacer(1, 4 * mm),
        Paragraph(f"LungLens {sheet.version}. Not a medical device; for research only.", styles["small"]),
    ]
    document.build(parts)
    return stream.getvalue()


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

    body = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12.5, textColor=HexColor(_INK))
    amber = HexColor(_AMBER)
    return {
        "body": body,
        "title": ParagraphStyle("title", body, fontName="Helvetica-Bold", fontSize=14, leading=18),
        "head": ParagraphStyle("head", body, fontName="Helvetica-Bold", fontSize=10.5, leading=14, spaceBefore=7),
        "notice": ParagraphStyle("notice", body, fontName="Helvetica-Bold", textColor=amber),
        "warning": ParagraphStyle("warning", body, textColor=amber, leftIndent=10, bulletIndent=0),
        "note": ParagraphStyle("note", body, leftIndent=10, bulletIndent=0),
        "small": ParagraphStyle("small", body, fontSize=8, leading=10.5),
    }
