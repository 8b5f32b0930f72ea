"""`python -m lunglens` is the command line."""

import os
import sys

# `python -m` puts the current folder before all libraries: a numpy.py that lies there would be run in numpy's place.
# Only where LungLens itself lies there is it needed.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH120
    del sys.path[0]

from lunglens.cli.main import main

main()
