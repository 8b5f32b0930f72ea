"""One page a film: what was decided and how far to trust it, pictures, the finding in words (extra `serve`)."""

from lunglens.film.sheet.content import Sheet, sheet_html, sheet_of
from lunglens.film.sheet.pdf import Paper, sheet_pdf
from lunglens.film.sheet.pictures import Picture, sheet_pictures

__all__ = ["Paper", "Picture", "Sheet", "sheet_html", "sheet_of", "sheet_pdf", "sheet_pictures"]
