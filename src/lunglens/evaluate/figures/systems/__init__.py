"""The table of a sweep as files: numbers, tables in four formats, and a figure."""

from lunglens.evaluate.figures.systems.write import write_systems

__all__ = ["write_systems"]
