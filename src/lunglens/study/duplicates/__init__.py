"""Duplicates: films that are the same, of one patient or of one published case, and the groups that they make."""

from lunglens.study.duplicates.find import KINDS, find_duplicates
from lunglens.study.duplicates.groups import tie_groups
from lunglens.study.duplicates.report import write_report

__all__ = ["KINDS", "find_duplicates", "tie_groups", "write_report"]
