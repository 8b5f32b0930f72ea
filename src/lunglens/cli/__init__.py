"""The command line: a file a group of verbs. Everything heavy is imported inside the verb that needs it."""

from lunglens.cli.main import main

__all__ = ["main"]
