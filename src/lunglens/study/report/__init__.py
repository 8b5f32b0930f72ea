"""The report of a study's data set: what is in it, where it comes from, and what a score on it would be worth."""

from lunglens.study.report.page import write_study_report

__all__ = ["write_study_report"]
