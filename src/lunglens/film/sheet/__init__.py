"""One page a film: the panel, the finding in words, and what the number means at a prevalence (extra `serve`)."""

from lunglens.film.sheet.content import Sheet, sheet_html, sheet_of
from lunglens.film.sheet.pdf import sheet_pdf

__all__ = ["Sheet", "sheet_html", "sheet_of", "sheet_pdf"]
