"""The figures and tables of a cross-validation, drawn from its run folder."""

from lunglens.evaluate.figures.figures import write_figures
from lunglens.evaluate.figures.table6 import table6
from lunglens.evaluate.figures.worst import write_worst

__all__ = ["table6", "write_figures", "write_worst"]
