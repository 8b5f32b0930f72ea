"""The page as HTML: one file, no script, nothing fetched."""

import base64

from lunglens.files import templates
from lunglens.film.sheet.content import Sheet


def sheet_html(sheet: Sheet) -> str:
    """The page; it prints on one sheet of A4."""
    panel = "data:image/png;base64," + base64.b64encode(sheet.panel).decode()
    return templates(__package__).get_template("sheet.html.jinja").render(sheet=sheet, panel=panel)
