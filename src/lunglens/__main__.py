"""`python -m lunglens` is the command line."""

import sys

# `python -m` puts the current folder before all libraries: a numpy.py that lies there would be run in numpy's place.
if not sys.flags.safe_path and not __file__.startswith(sys.path[0]):
    del sys.path[0]

from lunglens.cli import main  # noqa: E402

main()
