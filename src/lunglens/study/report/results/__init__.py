"""The one report of a study: its data, lungs, classifiers, comparison, heat-maps, and how it differs from the paper."""

from lunglens.study.report.results.page import Inputs, write_results_report

__all__ = ["Inputs", "write_results_report"]
