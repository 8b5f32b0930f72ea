"""The figures and tables of a cross-validation, drawn from its run folder."""

from lunglens.report.crossval.figures import write_figures
from lunglens.report.crossval.table6 import table6
from lunglens.report.crossval.worst import write_worst

__all__ = ["table6", "write_figures", "write_worst"]
