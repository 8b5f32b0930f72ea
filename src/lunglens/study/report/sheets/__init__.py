"""Reporting sheets: checklists of the field, filled from what curate, crossval, report and audit have left."""

from lunglens.study.report.sheets.page import write_sheets

__all__ = ["write_sheets"]
