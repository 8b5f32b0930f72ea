"""The page as HTML: one file, no script, nothing fetched."""

import base64
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from lunglens.film.sheet.content import Sheet


def sheet_html(sheet: Sheet) -> str:
    """The page; it prints on one sheet of A4."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("sheet.html.jinja").read_text(encoding="utf-8"))
    panel = "data:image/png;base64," + base64.b64encode(sheet.panel).decode()
    return template.render(sheet=sheet, panel=panel)
