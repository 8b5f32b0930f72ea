"""The page as tagged PDF (PDF/UA-1, ISO 14289-1), on A4 or Letter."""

import base64
import json
import re
from dataclasses import asdict
from importlib.resources import files
from typing import Any, Literal, get_args

from lunglens.film.sheet.content import Sheet
from lunglens.film.sheet.pictures import Picture

Paper = Literal["a4", "letter"]
# What the font that comes with typst can draw of texts from elsewhere: ASCII, Latin, Greek, Cyrillic, punctuation.
# PDF/UA allows no letter without a shape, so that any other stands as its number: \u6f22.
UNDRAWN = re.compile("[^ -~\u00a0-\u024f\u0391-\u03a1\u03a3-\u03ff\u0400-\u045f\u2010-\u2015\u2018-\u201e\u2026\u202f]")


def sheet_pdf(sheet: Sheet, paper: Paper = "a4") -> bytes:
    """The page as a PDF file, its font in it; the same content gives the same bytes.

    All texts go to `sheet.typ` as data, so that none is taken for markup, and nothing is fetched or written.
    """
    import typst

    if paper not in get_args(Paper):
        raise ValueError(f"no paper {paper}: {', '.join(get_args(Paper))}")
    content = asdict(sheet) | {"paper": "us-letter" if paper == "letter" else paper}
    shapes = [height / width for width, height in (picture.size for picture in sheet.pictures)]
    content["pictures"] = [(one.caption, shape) for one, shape in zip(sheet.pictures, shapes, strict=True)]
    parts = {"main": files(__package__).joinpath("sheet.typ").read_bytes()}
    parts["sheet.json"] = json.dumps(_drawable(content)).encode()
    parts |= {f"{number}.svg": _svg(picture) for number, picture in enumerate(sheet.pictures)}
    # Its stub lacks the dict that its documentation has.
    made: bytes = typst.compile(parts, ignore_system_fonts=True, pdf_standards="ua-1")  # type: ignore[call-overload]
    return made


def _drawable(content: Any) -> Any:
    """The same with what no font draws as escapes."""
    if isinstance(content, dict):
        return {key: _drawable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_drawable(value) for value in content]
    if isinstance(content, str):
        return UNDRAWN.sub(lambda letter: letter[0].encode("unicode_escape").decode(), content)
    return content


def _svg(picture: Picture) -> bytes:
    """The picture in text, for typst takes no other file that does not lie on the disk; it goes into the PDF as PNG."""
    width, height = picture.size
    source = base64.b64encode(picture.png).decode()
    image = f'<image width="{width}" height="{height}" href="data:image/png;base64,{source}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{image}</svg>'.encode()
